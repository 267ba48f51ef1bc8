"""The letters that the bridge writes, as subject, text and HTML — sessions-and-accounts §6.3, §6.4, A9.

No letter asks anybody to sign in by a link but the reset letter; none carries pictures, styles or words from elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from babel.dates import format_date, format_time
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bridge.brand import Brand
from bridge.i18n import Languages, html_lang
from bridge.types import FactorChange

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When and from where something was done, as far as it is known."""

    at: int
    """Unix seconds."""
    device: str | None
    """By `bridge.outbox.device.device_name`."""
    ip: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetLetter:
    """Here is the link for a new password."""

    template: ClassVar[str] = "reset"
    email: str
    link: str
    """On the configured address, never on the request's Host (R5)."""
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChangedLetter:
    """Your password was changed."""

    template: ClassVar[str] = "password_changed"
    email: str
    seen: Circumstances
    reset_page: str
    """Where a new link can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorChangedLetter:
    """A second factor was added or taken away, or recovery codes were made."""

    template: ClassVar[str] = "second_factor_changed"
    email: str
    change: FactorChange
    alone: bool
    """The password is enough from now on."""
    seen: Circumstances
    reset_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodeUsedLetter:
    """Somebody signed in with one of the codes that he wrote down."""

    template: ClassVar[str] = "recovery_code_used"
    email: str
    left: int
    seen: Circumstances
    account_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyCopiedLetter:
    """A passkey was refused, because its count of signatures does not grow: there may be a copy of it."""

    template: ClassVar[str] = "passkey_copied"
    email: str
    seen: Circumstances
    account_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCopiedLetter:
    """What kept a device signed in was shown again after it had been replaced: somebody else holds it."""

    template: ClassVar[str] = "device_copied"
    email: str
    seen: Circumstances
    account_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeviceLetter:
    """Somebody signed in on a device that we had not seen."""

    template: ClassVar[str] = "new_device"
    email: str
    seen: Circumstances
    account_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyFailuresLetter:
    """A sign-in succeeded after many that failed."""

    template: ClassVar[str] = "many_failures"
    email: str
    failures: int
    seen: Circumstances
    account_page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteLetter:
    """You are invited to a customer account.  Which one is not said: its name is its owner's words."""

    template: ClassVar[str] = "invite"
    email: str
    link: str
    until: int
    """Unix seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailConfirmLetter:
    """Confirm that this shall be the address of an account; goes to that address."""

    template: ClassVar[str] = "email_confirm"
    email: str
    link: str
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailUndoLetter:
    """The address of your account is another one; goes to the address that it was."""

    template: ClassVar[str] = "email_undo"
    email: str
    link: str
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUpLetter:
    """Here is the link for an account of your own; goes to an address that nobody has."""

    template: ClassVar[str] = "sign_up"
    email: str
    link: str
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadySignedUpLetter:
    """Somebody asked for an account with your address: you have one."""

    template: ClassVar[str] = "already_signed_up"
    email: str
    sign_in_page: str


Letter = (
    ResetLetter
    | PasswordChangedLetter
    | SecondFactorChangedLetter
    | RecoveryCodeUsedLetter
    | PasskeyCopiedLetter
    | DeviceCopiedLetter
    | NewDeviceLetter
    | ManyFailuresLetter
    | InviteLetter
    | EmailConfirmLetter
    | EmailUndoLetter
    | SignUpLetter
    | AlreadySignedUpLetter
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A letter ready to be sent; both parts say the same."""

    subject: str
    text: str
    html: str


class Letters:
    """Writes every letter in every language, in the operator's name.

    Templates (`<letter>.txt`, which sets the subject, and `<letter>.html`) and translations in the given folders go
    before ours.  Raises ValueError when a folder of translations cannot be read.
    """

    def __init__(self, brand: Brand, *, template_dirs: Sequence[Path] = (), locale_dirs: Sequence[Path] = ()) -> None:
        self.languages: Languages = Languages(*locale_dirs, _HERE / "locale")
        folders = [*template_dirs, _HERE / "templates"]
        self._speaking = {name: self._environment(brand, folders, name) for name in self.languages.names}

    def write(self, letter: Letter, *, locale: str) -> Rendered:
        """The letter in one of `languages.names` (`languages.choose(user=…)` picks it)."""
        environment = self._speaking[locale]
        words = environment.get_template(f"{letter.template}.txt").make_module({"letter": letter})
        html = environment.get_template(f"{letter.template}.html").render(letter=letter)
        return Rendered(" ".join(str(vars(words)["subject"]).split()), str(words).strip() + "\n", html.strip() + "\n")

    def _environment(self, brand: Brand, folders: list[Path], locale: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(folders),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.install_gettext_translations(self.languages.catalog(locale), newstyle=True)  # type: ignore[attr-defined]
        environment.filters |= {"date": _date(locale), "clock": _clock(locale)}
        environment.globals |= {"brand": brand, "lang": html_lang(locale)}
        return environment


def _date(locale: str) -> Callable[[int], str]:
    return lambda at: format_date(datetime.fromtimestamp(at, UTC), "long", locale=locale)


def _clock(locale: str) -> Callable[[int], str]:
    return lambda at: format_time(datetime.fromtimestamp(at, UTC), "HH:mm", tzinfo=UTC, locale=locale)
