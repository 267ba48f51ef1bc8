"""What each page must be told: one frozen model a page, so that a door cannot forget a field — DESIGN §7.

Every form carries `csrf`; `interaction` names the browser's visit and is None outside one. Times are Unix seconds.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from bridge.login.proof import Way
from bridge.pages.app import App
from bridge.sessions.judge import DeadReason
from bridge.types import FactorChange
from bridge.users.policy import PasswordFault
from bridge.users.user import SecondFactorState

Why = DeadReason | Literal["signed-out"]
"""Why a session is over; "signed-out": here and now, by the person."""

LoginProblem = Literal[
    "wrong",
    "too-many",
    "unreachable",
    "stale",
    "no-email",
    "no-password",
    "signed-in-elsewhere",
    "passkey-wrong",
    "passkey-copied",
]
LoginNotice = Literal["password-reset", "confirm"]
CodeProblem = Literal["wrong", "too-many", "stale", "no-code", "used", "passkey-wrong", "passkey-copied"]
AnswerProblem = Literal["stale"]
ResetProblem = Literal["no-email", "stale"]
PasswordProblem = PasswordFault | Literal["different", "stale", "unreachable"]
ChangeProblem = PasswordProblem | Literal["wrong-current", "too-many", "unchanged"]
LinkProblem = Literal["expired", "used", "bad"]
SetupProblem = Literal["wrong", "used", "stale"]
AccountNotice = (
    Literal["session-ended", "others-ended", "nothing-ended", "withdrawn", "nothing-withdrawn", "factor-unchanged"]
    | Literal["device-forgotten", "nothing-forgotten"]
    | Literal["email-asked", "email-cancelled", "email-over"]
    | FactorChange
)
InviteFace = Literal["accept", "register", "sign-in", "other"]
InviteProblem = PasswordProblem | Literal["no-name", "long-name"]
SignUpBeginning = Literal["no-email", "stale"]
SignUpProblem = InviteProblem
AddressProblem = Literal["no-email", "same"]
EmailChangeProblem = Literal["stale", "taken"]
SecondStep = SecondFactorState | Literal["elsewhere"]
ErrorKind = Literal["bad-request", "stale", "forbidden", "denied", "not-found", "method", "too-large", "ours"]


@dataclass(frozen=True, slots=True)
class Remembered:
    """Who need only say that it is he: he asked to stay signed in with this browser, or came by a link."""

    name: str
    email: str
    answer: str = "resume"
    """What the form says then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Sign in with e-mail address and password; with an app, also its cancel button."""

    template: ClassVar[str] = "login.html"
    csrf: str
    interaction: str | None
    app: App | None
    email: str = ""
    problem: LoginProblem | None = None
    wait: int | None = None
    """Seconds until "too-many" is over, if that may be told."""
    notice: LoginNotice | None = None
    """"confirm": somebody is signed in and must show again that it is him."""
    ended: Why | None = None
    """Why the session that the browser still held is over."""
    next: str | None = None
    """A path on this host to go to afterwards, where there is no visit."""
    remembered: Remembered | None = None
    keep: bool | None = None
    """Whether the browser shall stay signed in; None: that is not offered."""
    passkey: str | None = None
    """What a browser is asked for instead of a password (JSON); None: passkeys are not offered."""
    sign_up: bool = False
    """Whoever has no account may make one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactor:
    """The second step: a code of six digits, or a recovery code."""

    template: ClassVar[str] = "second_factor.html"
    csrf: str
    interaction: str | None
    app: App | None
    way: Way = "totp"
    others: tuple[Way, ...] = ()
    """What he may choose instead."""
    passkey: str | None = None
    """What a browser is asked for when it shall be a passkey (JSON); None: he has none."""
    problem: CodeProblem | None = None
    wait: int | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """The second step belongs to another system, which knows the factor: a link to it."""

    template: ClassVar[str] = "elsewhere.html"
    interaction: str | None
    url: str
    """http or https."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One thing that an app asks for."""

    name: str
    words: str | None = None
    """The operator's own words for it; None: ours for a standard scope, else the bare name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """May this app have this?"""

    template: ClassVar[str] = "consent.html"
    csrf: str
    interaction: str
    app: App
    email: str
    scopes: tuple[Scope, ...]
    claims: tuple[str, ...] = ()
    """What it asks for by name, beside what the scopes give."""
    problem: AnswerProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueAs:
    """A session that may not answer by itself: is it you who wants to go on? (security §8)"""

    template: ClassVar[str] = "continue_as.html"
    csrf: str
    interaction: str | None
    app: App | None
    name: str
    email: str
    problem: AnswerProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrive:
    """A link that signs somebody in, in a browser where somebody else is: is it you? (security §8)"""

    template: ClassVar[str] = "arrive.html"
    csrf: str
    access_token: str
    """What the link carried: used up by the answer."""
    scope: str = ""
    """Where it says that it leads."""
    name: str
    email: str
    problem: AnswerProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logout:
    """Really sign out? `app` asked for it; its `redirect_uri` is where the browser goes afterwards."""

    template: ClassVar[str] = "logout.html"
    csrf: str
    interaction: str | None
    app: App | None
    email: str | None
    problem: AnswerProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """Nobody is signed in any more, and why."""

    template: ClassVar[str] = "signed_out.html"
    why: Why
    frames: tuple[str, ...] = ()
    """What apps want to be loaded, so that they know it."""
    target: str | None = None
    """Where the browser moves on to when they had time for it: a checked address."""
    app: App | None = None
    """Whose address that is, if nobody vouches for it: then the browser moves on by a click alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgot:
    """Ask for a reset link."""

    template: ClassVar[str] = "forgot.html"
    csrf: str
    interaction: str | None
    email: str = ""
    problem: ResetProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetSent:
    """The one answer to every such request (sessions-and-accounts §3.3, R1): says nothing about the address."""

    template: ClassVar[str] = "reset_sent.html"
    interaction: str | None
    email: str
    """As typed."""
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassword:
    """Choose a new password after a reset link."""

    template: ClassVar[str] = "new_password.html"
    csrf: str
    nonce: str
    """Ties the form to the reset cookie (security §24)."""
    masked_address: str
    """By `masking.masked`: whoever holds the link need not learn the address."""
    shortest: int
    problem: PasswordProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRefused:
    """A reset link that is no longer good, and the way to a new one."""

    template: ClassVar[str] = "link_refused.html"
    problem: LinkProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """May somebody take part in a customer account? `face`: who looks, and so what he can do: accept it, become a
    user by it, sign in first; "other": it went to somebody else's address."""

    template: ClassVar[str] = "invite.html"
    csrf: str
    account: str
    masked_address: str
    face: InviteFace
    person: str
    """The address of who is signed in; empty: nobody is."""
    shortest: int
    first_name: str = ""
    last_name: str = ""
    problem: InviteProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteAccepted:
    """He takes part in it from now on."""

    template: ClassVar[str] = "invite_accepted.html"
    account: str
    signed_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """Ask for an account, by the address that it shall have."""

    template: ClassVar[str] = "sign_up.html"
    csrf: str
    interaction: str | None
    app: App | None
    person: str | None
    """The address of who is signed in, and stays so; None: nobody is."""
    email: str = ""
    problem: SignUpBeginning | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpSent:
    """The one answer to every such request: says nothing about the address (security §24)."""

    template: ClassVar[str] = "sign_up_sent.html"
    interaction: str | None
    email: str
    """As typed."""
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpFinish:
    """The link was opened: name and password for the new account."""

    template: ClassVar[str] = "sign_up_finish.html"
    csrf: str
    interaction: str | None
    app: App | None
    masked_address: str
    person: str | None
    """The address of who is signed in and will not be any more; None: nobody is, or he stays so."""
    shortest: int
    first_name: str = ""
    last_name: str = ""
    problem: SignUpProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedUp:
    """The account is made, in another browser than that which asked: here nobody is signed in by it."""

    template: ClassVar[str] = "signed_up.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChange:
    """Shall this be the account's address? With `undo`: was it not you who changed it?"""

    template: ClassVar[str] = "email_change.html"
    csrf: str
    undo: bool
    old_address: str
    new_address: str
    """Both by `masking.masked`."""
    problem: EmailChangeProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChanged:
    """The address is another one; with `undone`: the account is shut."""

    template: ClassVar[str] = "email_changed.html"
    undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOver:
    """A link from a letter of which nothing can come any more."""

    template: ClassVar[str] = "link_over.html"
    what: Literal["invite", "email", "signup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged:
    """The result of a change on the account page."""

    template: ClassVar[str] = "password_changed.html"
    others_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRow:
    """One line in the list of a person's sessions."""

    id: str
    device: str | None
    """By `bridge.outbox.device.device_name`; None: not known."""
    ip: str | None
    started: int
    last_seen: int | None
    """None: never used."""
    current: bool
    via: str | None = None
    """The API credential that made it; None: the person, in a browser."""
    apps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One line in the list of the devices that stay signed in."""

    id: str
    device: str | None
    """By `bridge.outbox.device.device_name`; None: not known."""
    ip: str | None
    since: int
    until: int
    last_used: int
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedApp:
    """One application that the person has allowed something, until he takes it back."""

    client: str
    name: str
    scopes: tuple[Scope, ...]
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRow:
    """One line in the list of a person's passkeys."""

    id: int
    label: str
    added: int
    last_used: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """What a person has for the second step, where it is ours to manage."""

    totp_since: int | None
    passkeys: tuple[PasskeyRow, ...]
    codes_left: int
    offers_passkeys: bool
    """Whether there can be passkeys at this address at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpSetup:
    """A new secret for an authenticator app: as a picture, and in letters for who cannot scan it."""

    template: ClassVar[str] = "totp_setup.html"
    csrf: str
    offer: str
    """Sealed: comes back with the code."""
    secret: str
    uri: str
    """`otpauth:`, for an app on this very device."""
    picture: str
    """`data:`, a QR code."""
    problem: SetupProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeySetup:
    """Add a passkey: what the browser makes is sent with a name for it."""

    template: ClassVar[str] = "passkey_setup.html"
    csrf: str
    passkey: str
    """What the browser is asked for (JSON)."""
    label: str
    problem: SetupProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """The codes for the day on which everything else is lost; nobody will see them again. `first`: they came with the
    first second factor."""

    template: ClassVar[str] = "recovery_codes.html"
    codes: tuple[str, ...]
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddress:
    """The form for another address, and the one that waits for its confirmation until then."""

    waits: str | None = None
    until: int | None = None
    typed: str = ""
    problem: AddressProblem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The person's own page. `shortest` is None where the password is kept elsewhere and cannot be changed here,
    `factors` where the second step is, `address` where the address is."""

    template: ClassVar[str] = "account.html"
    csrf: str
    name: str
    email: str
    sessions: tuple[SessionRow, ...]
    devices: tuple[DeviceRow, ...]
    apps: tuple[AllowedApp, ...]
    second_factor: SecondStep
    factors: Factors | None
    address: NewAddress | None
    shortest: int | None
    problem: ChangeProblem | None = None
    wait: int | None = None
    notice: AccountNotice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """What went wrong: `detail` is fixed English that names the parameter, the words around it are translated."""

    template: ClassVar[str] = "error.html"
    kind: ErrorKind
    detail: str | None
    reference: str | None
    app: App | None = None
    target: str | None = None
    """Where the person may go on to, at that app: a checked address."""
    fields: tuple[tuple[str, str], ...] = ()
    """What is carried there by a form; none: it is a link."""

    @property
    def status(self) -> int:
        return _STATUS[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """Too many requests (429), or somebody we need does not answer (503)."""

    template: ClassVar[str] = "try_later.html"
    kind: Literal["too-many", "unavailable"]
    wait: int | None
    reference: str | None = None

    @property
    def status(self) -> int:
        return 429 if self.kind == "too-many" else 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """Everything is done here: the browser moves on by itself, and by a link where it does not."""

    template: ClassVar[str] = "onward.html"
    target: str
    """A path on this host, or a checked address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPost:
    """Fields that the browser carries to another place by POST (OAuth 2.0 Form Post Response Mode §2)."""

    template: ClassVar[str] = "form_post.html"
    target: str
    """A checked redirect target."""
    app_name: str | None
    fields: tuple[tuple[str, str], ...]


Page = (
    Login
    | SecondFactor
    | Elsewhere
    | Consent
    | ContinueAs
    | Arrive
    | Logout
    | SignedOut
    | Forgot
    | ResetSent
    | NewPassword
    | LinkRefused
    | Invite
    | InviteAccepted
    | SignUp
    | SignUpSent
    | SignUpFinish
    | SignedUp
    | EmailChange
    | EmailChanged
    | LinkOver
    | PasswordChanged
    | TotpSetup
    | PasskeySetup
    | RecoveryCodes
    | Account
    | Error
    | TryLater
    | Onward
    | FormPost
)

_STATUS: dict[ErrorKind, int] = {
    "bad-request": 400,
    "stale": 400,
    "forbidden": 403,
    "denied": 403,
    "not-found": 404,
    "method": 405,
    "too-large": 413,
    "ours": 500,
}
