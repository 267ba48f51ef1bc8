"""Letters by SMTP, encrypted on the way unless the server is this machine — RFC 5321, RFC 3207, RFC 8314."""

import ipaddress
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused

from bridge.errors import ConfigError, Unavailable
from bridge.outbox.letter import Rendered
from bridge.outbox.message import Stationery, Undeliverable, one_address
from bridge.secret import Secret
from bridge.tokens import new_id

SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way to a mail server."""

    host: str
    port: int
    user: str | None = None
    password: Secret | None = None
    tls: bool = False
    """TLS from the first byte (smtps)."""
    starttls: bool = True
    """TLS by STARTTLS, and no letter without it."""
    ca: str | None = None
    """A file of certificates to believe instead of the system's."""

    @classmethod
    def parse(cls, url: str) -> "Way":
        """`smtp[s]://[user:password@]host[:port][?starttls=required|never][&ca=FILE]`.

        A password never goes over an open line to another machine.  Raises ConfigError, which tells no password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
            settings = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError:
            raise ConfigError("mail.url cannot be read") from None
        if not host or not settings.keys() <= {"starttls", "ca"}:
            raise ConfigError("mail.url: smtp[s]://[user:password@]host[:port][?starttls=never][&ca=FILE]")
        tls = parts.scheme == "smtps"
        starttls = not tls and _wants_starttls(host, settings.get("starttls", [None])[-1])
        if parts.password and not (tls or starttls or _is_here(host)):
            raise ConfigError("mail.url: with starttls=never the password would go over an open line")
        return cls(
            host=host,
            port=port or (465 if tls else 587),
            user=unquote(parts.username) if parts.username else None,
            password=Secret(unquote(parts.password)) if parts.password else None,
            tls=tls,
            starttls=starttls,
            ca=settings.get("ca", [None])[-1],
        )


class SmtpMailer:
    """A connection for each letter; every step has ten seconds."""

    def __init__(self, way: Way, stationery: Stationery) -> None:
        """Raises ConfigError for certificates that cannot be read."""
        self._way = way
        self._stationery = stationery
        self._trust = _trust(way) if way.tls or way.starttls else None

    async def send(self, to: str, letter: Rendered, *, message_id: str | None = None) -> None:
        """Hand it to the server; raises as `Mailer.send`."""
        message = self._stationery.compose(to, letter, message_id or new_id())
        try:
            async with self._connection() as server:
                # To this address alone, whatever the headers may be taken to mean.
                await server.send_message(
                    message,
                    sender=self._stationery.sender.addr_spec,
                    recipients=[one_address(to).addr_spec],
                )
        except SMTPRecipientsRefused as error:
            if all(refused.code >= 500 for refused in error.recipients):
                raise Undeliverable(f"refused: {error.recipients[0].code}") from error
            raise Unavailable(f"the mail server refused for now: {error.recipients[0].code}") from error
        except (SMTPException, OSError) as error:
            raise Unavailable(f"the mail server did not take it: {type(error).__name__}") from error

    def _connection(self) -> SMTP:
        way = self._way
        return SMTP(
            hostname=way.host,
            port=way.port,
            username=way.user,
            password=way.password.reveal() if way.password else None,
            # Else it is asked of the name server, in the event loop.
            local_hostname=self._stationery.sender.domain,
            timeout=SECONDS,
            use_tls=way.tls,
            start_tls=way.starttls,
            tls_context=self._trust,
        )


def _wants_starttls(host: str, said: str | None) -> bool:
    match said:
        case None:
            return not _is_here(host)
        case "required":
            return True
        case "never":
            return False
        case _:
            raise ConfigError("mail.url: starttls is required or never")


def _is_here(host: str) -> bool:
    """Whether the server is this machine, so that nobody stands between."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _trust(way: Way) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=way.ca)
    except OSError as error:
        raise ConfigError(f"mail.url: {way.ca} cannot be read: {error.strerror or type(error).__name__}") from None
