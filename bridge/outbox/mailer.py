"""Who carries letters away: an SMTP server, the console, a folder — sessions-and-accounts §6.3."""

import sys
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from bridge.clock import Clock
from bridge.errors import ConfigError
from bridge.outbox.letter import Rendered
from bridge.outbox.local import ConsoleMailer, FileMailer
from bridge.outbox.message import Stationery
from bridge.outbox.options import MailOptions
from bridge.outbox.smtp import SmtpMailer, Way


class Mailer(Protocol):
    """Sends one letter to one address."""

    async def send(self, to: str, letter: Rendered, *, message_id: str | None = None) -> None:
        """Return when somebody else is responsible for it.

        `message_id`: the part before the @; the same one again lets the receiver see that it is the same letter.
        Raises `Unavailable` when another try may help, `Undeliverable` when none will, ValueError for a subject of
        more than one line.
        """
        ...


def open_mailer(options: MailOptions, clock: Clock) -> Mailer:
    """The mailer of `mail.url`; nothing is connected yet.  Raises ConfigError, which tells no password."""
    stationery = Stationery.of(options, clock)
    match urlsplit(options.url).scheme:
        case "smtp" | "smtps":
            return SmtpMailer(Way.parse(options.url), stationery)
        case "console":
            return ConsoleMailer(stationery, sys.stdout)
        case "file":
            return FileMailer(stationery, _folder(options.url))
        case scheme:
            raise ConfigError(f"mail.url: {scheme or 'no scheme'}; known are smtp, smtps, console, file")


def _folder(url: str) -> Path:
    path = unquote(url.removeprefix("file:").removeprefix("//"))
    if not path:
        raise ConfigError("mail.url: file: and a folder, as in file:var/mail")
    return Path(path)
