"""A letter as an Internet message, to one address, nothing slipped in — RFC 5322, sessions-and-accounts §6.3."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from bridge.clock import Clock
from bridge.domain import ascii_domain
from bridge.errors import ConfigError
from bridge.outbox.letter import Rendered
from bridge.outbox.options import MailOptions

_LONGEST_ADDRESS: Final = 254  # RFC 5321 §4.5.3.1.3, less the angle brackets
_LONGEST_LABEL: Final = 63  # RFC 1035 §2.3.4
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f<>]")
_CONFIGURED: Final = re.compile(r'"?(?P<name>[^"<>\r\n]*?)"? *<(?P<spec>[^<>\s]+)>|(?P<only>[^<>\s]+)')


class Undeliverable(Exception):
    """This letter can never arrive: the address is none, or its server knows nobody of that name."""


@dataclass(frozen=True, slots=True)
class Stationery:
    """What all letters of an installation share: From, Reply-To, and the clock for Date."""

    sender: Address
    reply_to: Address | None
    clock: Clock

    @classmethod
    def of(cls, options: MailOptions, clock: Clock) -> "Stationery":
        """Raises ConfigError for an address that is none."""
        return cls(
            _configured("mail.sender", options.sender),
            _configured("mail.reply_to", options.reply_to) if options.reply_to else None,
            clock,
        )

    def compose(self, to: str, letter: Rendered, message_id: str) -> EmailMessage:
        """The message to that one address, text first, then HTML.

        Raises Undeliverable when `to` is not exactly one address, ValueError for a subject of more than one line.
        """
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        message["To"] = one_address(to)
        if self.reply_to is not None:
            message["Reply-To"] = self.reply_to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.fromtimestamp(self.clock.now(), UTC))
        message["Message-ID"] = f"<{message_id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes back, please
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        return message


def one_address(text: str) -> Address:
    """The address that the text is, its domain in IDNA.  Raises Undeliverable.

    "a@x.example, b@y.example" is two, and would send a stranger what is meant for one.
    """
    local, at, name = text.rpartition("@")
    domain = ascii_domain(name) if at else None
    try:
        if domain is None or len(text) > _LONGEST_ADDRESS or max(map(len, domain.split("."))) > _LONGEST_LABEL:
            raise ValueError("no address")
        spec = f"{local}@{domain}"
        address = Address(addr_spec=spec)
        if address.addr_spec != spec or _NEVER.search(spec) or domain.startswith("["):
            raise ValueError("no address for a letter")
    except (ValueError, MessageError, IndexError) as error:  # IndexError: the standard library's parser, on "@"
        raise Undeliverable("the address is not one address") from error
    return address


def _configured(name: str, text: str) -> Address:
    match = _CONFIGURED.fullmatch(text)
    try:
        address = one_address(match["spec"] or match["only"] if match else "")
    except Undeliverable:
        raise ConfigError(f"{name} is not one e-mail address") from None
    return Address(match["name"] or "" if match else "", addr_spec=address.addr_spec)
