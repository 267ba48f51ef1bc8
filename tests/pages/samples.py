"""One model of every page, and more where a page has several faces: what the tests of the pages look at."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, get_args

from bridge.pages.app import App
from bridge.pages.models import (
    Account,
    AccountNotice,
    AddressProblem,
    AllowedApp,
    Arrive,
    ChangeProblem,
    CodeProblem,
    Consent,
    ContinueAs,
    DeviceRow,
    Elsewhere,
    EmailChange,
    EmailChanged,
    EmailChangeProblem,
    Error,
    ErrorKind,
    Factors,
    Forgot,
    FormPost,
    Invite,
    InviteAccepted,
    InviteFace,
    InviteProblem,
    LinkOver,
    LinkProblem,
    LinkRefused,
    Login,
    LoginNotice,
    LoginProblem,
    Logout,
    NewAddress,
    NewPassword,
    Onward,
    Page,
    PasskeyRow,
    PasskeySetup,
    PasswordChanged,
    PasswordProblem,
    RecoveryCodes,
    Remembered,
    ResetProblem,
    ResetSent,
    Scope,
    SecondFactor,
    SecondStep,
    SessionRow,
    SetupProblem,
    SignedOut,
    SignedUp,
    SignUp,
    SignUpBeginning,
    SignUpFinish,
    SignUpProblem,
    SignUpSent,
    TotpSetup,
    TryLater,
    Why,
)
from bridge.pages.picture import qr_code
from bridge.secret import Secret

NOW: Final = 1_795_297_080  # 21 November 2026, 21:38 UTC

NOTES: Final = App(
    name="Acme Notes",
    redirect_uri="https://notes.example.com/callback",
    verified=True,
    logo_uri="https://static.example.com/notes.png",
    policy_uri="https://notes.example.com/privacy",
    tos_uri="https://notes.example.com/terms",
)
CALENDAR: Final = App(name="Calendar", redirect_uri="https://calendar.example.net:8443/cb", verified=False)
DESKTOP: Final = App(name="Acme Desktop", redirect_uri="com.example.desktop:/back", verified=True)

HERE: Final = SessionRow(
    id="here",
    device="Chrome · Windows",
    ip="203.0.113.24",
    started=NOW - 3_600,
    last_seen=NOW - 5,
    current=True,
    apps=("Acme Notes", "Billing"),
)
PHONE: Final = SessionRow(
    id="phone", device="Safari · iPhone", ip="2001:db8::7348", started=NOW - 259_200, last_seen=NOW - 300, current=False
)
PORTAL: Final = SessionRow(
    id="portal", device=None, ip=None, started=NOW - 600, last_seen=None, current=False, via="Portal"
)

KEPT: Final = DeviceRow(
    id="here",
    device="Chrome · Windows",
    ip="203.0.113.24",
    since=NOW - 3_600,
    until=NOW + 2_588_400,
    last_used=NOW - 5,
    current=True,
)
TABLET: Final = DeviceRow(
    id="tablet",
    device="Safari · iPad",
    ip="2001:db8::7348",
    since=NOW - 864_000,
    until=NOW + 1_728_000,
    last_used=NOW - 86_400,
    current=False,
)

LOGIN: Final = Login(csrf="the-csrf", interaction=None, app=None)
LOGIN_TO: Final = Login(csrf="the-csrf", interaction="the-interaction", app=NOTES, email="ada@example.com")
SECOND: Final = SecondFactor(csrf="the-csrf", interaction="the-interaction", app=NOTES)
CONSENT: Final = Consent(
    csrf="the-csrf",
    interaction="the-interaction",
    app=NOTES,
    email="ada@example.com",
    scopes=tuple(
        Scope(name=name) for name in ("openid", "profile", "email", "phone", "address", "offline_access", "invoices")
    ),
)
CONTINUE: Final = ContinueAs(
    csrf="the-csrf", interaction="the-interaction", app=NOTES, name="Ada Lovelace", email="ada@example.com"
)
ARRIVE: Final = Arrive(
    csrf="the-csrf", access_token="the-token", scope="clientarea:sso", name="Ada Lovelace", email="ada@example.com"
)
LOGOUT: Final = Logout(csrf="the-csrf", interaction="the-interaction", app=NOTES, email="ada@example.com")
FORGOT: Final = Forgot(csrf="the-csrf", interaction="the-interaction")
NEW_PASSWORD: Final = NewPassword(csrf="the-csrf", nonce="the-nonce", masked_address="a•••@e•••.com", shortest=15)
ACCOUNT: Final = Account(
    csrf="the-csrf",
    name="Ada Lovelace",
    email="ada@example.com",
    sessions=(HERE, PHONE, PORTAL),
    devices=(KEPT, TABLET),
    apps=(AllowedApp(client="notes", name="Acme Notes", scopes=(Scope(name="openid"), Scope(name="email"))),),
    second_factor="totp",
    factors=Factors(
        totp_since=NOW - 864_000,
        passkeys=(
            PasskeyRow(id=3, label="Firefox · Linux", added=NOW - 864_000, last_used=NOW - 7_200),
            PasskeyRow(id=4, label="Blue security key", added=NOW - 86_400, last_used=None),
        ),
        codes_left=7,
        offers_passkeys=True,
    ),
    address=NewAddress(),
    shortest=8,
)
ASKED: Final = '{"challenge": "AAAA", "rpId": "login.example.com"}'
OTPAUTH: Final = Secret("otpauth://totp/Acme:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme")
TOTP_SETUP: Final = TotpSetup(
    csrf="the-csrf",
    offer="the-offer",
    secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    uri=OTPAUTH.reveal(),
    picture=qr_code(OTPAUTH),
)
NO_FACTORS: Final = Factors(totp_since=None, passkeys=(), codes_left=0, offers_passkeys=True)
PASSKEY_SETUP: Final = PasskeySetup(csrf="the-csrf", passkey=ASKED, label="Firefox · Linux")
RECOVERY_CODES: Final = RecoveryCodes(codes=tuple(f"{n}1ab-cdef-ghjk-mnpq" for n in range(10)), first=True)
SIGN_UP: Final = SignUp(csrf="the-csrf", interaction="the-interaction", app=NOTES, person=None)
SIGN_UP_FINISH: Final = SignUpFinish(
    csrf="the-csrf",
    interaction="the-interaction",
    app=NOTES,
    masked_address="n…a@example.com",
    person=None,
    shortest=15,
)
INVITE: Final = Invite(
    csrf="the-csrf",
    account="Acme Hosting",
    masked_address="a•••@e•••e.com",
    face="register",
    person="",
    shortest=15,
)
EMAIL_CHANGE: Final = EmailChange(
    csrf="the-csrf", undo=False, old_address="a•••@e•••e.com", new_address="c•••s@e•••e.com"
)
FORM_POST: Final = FormPost(
    target="https://notes.example.com/callback", app_name="Acme Notes", fields=(("code", "lbc_x"), ("submit", "a b"))
)

ONWARD: Final = Onward(target="https://notes.example.com/bye")

SCREENS: Final[dict[str, Page]] = {
    "login": LOGIN,
    "login-to-an-app": LOGIN_TO,
    "login-wrong": replace(LOGIN_TO, problem="wrong"),
    "login-without-email": replace(LOGIN, problem="no-email"),
    "login-after-an-end": replace(LOGIN, ended="password-changed"),
    "login-after-a-reset": replace(LOGIN, notice="password-reset"),
    "login-and-stay": replace(LOGIN, keep=False),
    "login-remembered": replace(
        LOGIN_TO, email="", keep=False, passkey=ASKED, remembered=Remembered("Ada Lovelace", "ada@example.com")
    ),
    "login-again": replace(LOGIN_TO, app=CALENDAR, notice="confirm"),
    "second-factor": SECOND,
    "second-factor-wrong": replace(SECOND, problem="wrong"),
    "second-factor-recovery": replace(SECOND, way="recovery-code", others=("totp",)),
    "second-factor-choice": replace(SECOND, others=("recovery-code",)),
    "elsewhere": Elsewhere(interaction="the-interaction", url="https://billing.example.com/login"),
    "consent": CONSENT,
    "consent-not-verified": replace(CONSENT, app=CALENDAR),
    "consent-on-this-device": replace(CONSENT, app=DESKTOP, scopes=(Scope(name="x", words="read your invoices"),)),
    "continue-as": CONTINUE,
    "arrive": ARRIVE,
    "logout": LOGOUT,
    "logout-plain": Logout(csrf="the-csrf", interaction=None, app=None, email=None),
    "signed-out": SignedOut(why="signed-out"),
    "signed-out-and-onward": SignedOut(
        why="signed-out",
        frames=("https://notes.example.com/out?iss=https%3A%2F%2Flogin.example.com&sid=s",),
        target="https://notes.example.com/bye",
    ),
    "signed-out-and-a-stranger": SignedOut(
        why="signed-out", target="https://notes.example.net/bye?state=1", app=CALENDAR
    ),
    "signed-out-by-a-change": SignedOut(why="password-changed"),
    "forgot": FORGOT,
    "reset-sent": ResetSent(interaction="the-interaction", email="ada@example.com", minutes=60),
    "new-password": NEW_PASSWORD,
    "new-password-too-common": replace(NEW_PASSWORD, problem="too-common"),
    "link-expired": LinkRefused(problem="expired"),
    "invite": INVITE,
    "invite-to-accept": replace(INVITE, face="accept", person="ada@example.com"),
    "invite-of-another": replace(INVITE, face="other", person="tom@example.com"),
    "invite-before-sign-in": replace(INVITE, face="sign-in"),
    "invite-without-a-name": replace(INVITE, problem="no-name"),
    "invite-accepted": InviteAccepted(account="Acme Hosting", signed_in=False),
    "email-to-confirm": EMAIL_CHANGE,
    "email-to-undo": replace(EMAIL_CHANGE, undo=True),
    "email-changed": EmailChanged(undone=False),
    "sign-up": SIGN_UP,
    "sign-up-of-who-is-signed-in": replace(SIGN_UP, person="ada@example.com"),
    "sign-up-sent": SignUpSent(interaction="the-interaction", email="nora@example.com", minutes=60),
    "sign-up-finish": SIGN_UP_FINISH,
    "signed-up": SignedUp(),
    "link-over": LinkOver(what="invite"),
    "password-changed": PasswordChanged(others_ended=True),
    "account": ACCOUNT,
    "account-wrong-password": replace(
        ACCOUNT,
        problem="wrong-current",
        notice="others-ended",
        second_factor="none",
        factors=NO_FACTORS,
    ),
    "account-elsewhere": replace(
        ACCOUNT, shortest=None, sessions=(HERE,), devices=(), second_factor="elsewhere", factors=None, address=None
    ),
    "account-with-another-address": replace(
        ACCOUNT,
        notice="email-asked",
        address=NewAddress(
            waits="ada.lovelace@example.org", until=NOW + 86_400, typed="ada@example", problem="no-email"
        ),
    ),
    "totp-setup": TOTP_SETUP,
    "totp-setup-wrong": replace(TOTP_SETUP, problem="wrong"),
    "passkey-setup": PASSKEY_SETUP,
    "passkey-setup-wrong": replace(PASSKEY_SETUP, problem="wrong"),
    "login-with-passkeys": replace(LOGIN_TO, passkey=ASKED),
    "login-passkey-copied": replace(LOGIN, passkey=ASKED, problem="passkey-copied"),
    "second-factor-passkey": replace(SECOND, way="passkey", passkey=ASKED, others=("recovery-code",)),
    "second-factor-both": replace(SECOND, passkey=ASKED, others=("recovery-code",)),
    "recovery-codes": RECOVERY_CODES,
    "recovery-codes-again": replace(RECOVERY_CODES, first=False),
    "error": Error(
        kind="bad-request", detail="redirect_uri is not registered for this client", reference="01JD8Q2M7H", app=None
    ),
    "error-for-a-stranger": Error(
        kind="bad-request",
        detail="response_type is missing",
        reference=None,
        app=CALENDAR,
        target="https://notes.example.net/cb?error=invalid_request",
    ),
    "error-ours": Error(kind="ours", detail=None, reference="01JD8Q2M7H"),
    "not-found": Error(kind="not-found", detail=None, reference=None),
    "try-later": TryLater(kind="too-many", wait=170),
    "unavailable": TryLater(kind="unavailable", wait=2, reference="01JD8Q2M7H"),
    "onward": ONWARD,
    "form-post": FORM_POST,
}
MOVING: Final = ("onward", "form-post", "signed-out-and-onward")
"""Those that no browser stays on."""


def faces() -> Iterator[list[Page]]:
    """For each choice that a model offers, the page with every answer: no two may read alike."""
    yield [LOGIN, *(replace(LOGIN, problem=each) for each in get_args(LoginProblem))]
    yield [CONSENT, replace(CONSENT, problem="stale")]
    yield [CONTINUE, replace(CONTINUE, problem="stale")]
    yield [ARRIVE, replace(ARRIVE, problem="stale")]
    yield [LOGOUT, replace(LOGOUT, problem="stale")]
    yield [LOGIN, *(replace(LOGIN, notice=each) for each in get_args(LoginNotice))]
    yield [SignedOut(why=each) for each in choices(Why) if each not in _ALIKE]
    yield [replace(LOGIN, ended=each) for each in choices(Why) if each not in _ALIKE]
    yield [SECOND, *(replace(SECOND, problem=each) for each in get_args(CodeProblem))]
    by_code = replace(SECOND, way="recovery-code")
    yield [SECOND, by_code, *(replace(by_code, problem=each) for each in get_args(CodeProblem))]
    yield [replace(SECOND, others=others) for others in ((), ("recovery-code",))]
    yield [replace(by_code, others=others) for others in ((), ("totp",))]
    yield [TOTP_SETUP, *(replace(TOTP_SETUP, problem=each) for each in get_args(SetupProblem))]
    yield [PASSKEY_SETUP, *(replace(PASSKEY_SETUP, problem=each) for each in get_args(SetupProblem))]
    yield [replace(ACCOUNT, factors=replace(NO_FACTORS, offers_passkeys=each)) for each in (True, False)]
    by_key = replace(SECOND, way="passkey", passkey=ASKED, others=("recovery-code",))
    keyed: list[CodeProblem] = ["too-many", "stale", "passkey-wrong", "passkey-copied"]
    yield [SECOND, by_code, by_key, *(replace(by_key, problem=each) for each in keyed)]
    yield [replace(by_code, others=each) for each in ((), ("totp",), ("passkey",))]
    yield [LOGIN, replace(LOGIN, passkey=ASKED)]
    yield [LOGIN, replace(LOGIN, keep=False)]
    yield [LOGIN, replace(LOGIN, remembered=Remembered("Ada Lovelace", "ada@example.com"))]
    yield [SECOND, replace(SECOND, passkey=ASKED)]
    yield [replace(RECOVERY_CODES, first=each) for each in (True, False)]
    yield [
        replace(ACCOUNT, factors=replace(NO_FACTORS, totp_since=since, codes_left=left))
        for since in (None, NOW)
        for left in (1, 2)
    ]
    yield [FORGOT, *(replace(FORGOT, problem=each) for each in get_args(ResetProblem))]
    yield [NEW_PASSWORD, *(replace(NEW_PASSWORD, problem=each) for each in choices(PasswordProblem))]
    yield [ACCOUNT, *(replace(ACCOUNT, problem=each) for each in choices(ChangeProblem))]
    yield [ACCOUNT, *(replace(ACCOUNT, notice=each) for each in choices(AccountNotice))]
    yield [ACCOUNT, *(replace(ACCOUNT, address=NewAddress(problem=each)) for each in get_args(AddressProblem))]
    yield [replace(ACCOUNT, address=each) for each in (None, NewAddress(), NewAddress(waits="a@b.example", until=NOW))]
    yield [replace(ACCOUNT, second_factor=each) for each in choices(SecondStep)]
    yield [replace(INVITE, face=each) for each in get_args(InviteFace)]
    yield [INVITE, *(replace(INVITE, problem=each) for each in choices(InviteProblem) if each != "unreachable")]
    yield [InviteAccepted(account="Acme Hosting", signed_in=each) for each in (True, False)]
    yield [EMAIL_CHANGE, *(replace(EMAIL_CHANGE, problem=each) for each in get_args(EmailChangeProblem))]
    yield [EmailChanged(undone=each) for each in (True, False)]
    yield [LinkOver(what=each) for each in ("invite", "email", "signup")]
    yield [SIGN_UP, *(replace(SIGN_UP, problem=each) for each in get_args(SignUpBeginning))]
    yield [replace(SIGN_UP, person=each) for each in (None, "ada@example.com")]
    yield [replace(SIGN_UP_FINISH, person=each) for each in (None, "ada@example.com")]
    finishing = [each for each in choices(SignUpProblem) if each != "unreachable"]
    yield [SIGN_UP_FINISH, *(replace(SIGN_UP_FINISH, problem=each) for each in finishing)]
    yield [replace(LOGIN, sign_up=each) for each in (True, False)]
    yield [LinkRefused(problem=each) for each in get_args(LinkProblem)]
    yield [Error(kind=each, detail=None, reference=None) for each in get_args(ErrorKind)]
    yield [TryLater(kind=each, wait=wait) for each in ("too-many", "unavailable") for wait in (None, 300)]
    yield [PasswordChanged(others_ended=each) for each in (True, False)]


_ALIKE: Final = {"wrong-place", "rotated"}
"""Of these and "unknown" a person can make no difference."""


def choices(union: object) -> list[Any]:
    """Every word of a Literal, or of a union of them."""
    found: list[Any] = []
    for part in get_args(union):
        found += [part] if isinstance(part, str) else choices(part)
    return found
