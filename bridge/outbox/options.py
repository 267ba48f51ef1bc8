"""The settings of mail — sessions-and-accounts §6.3."""

from dataclasses import dataclass

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOptions:
    """How letters leave the house.

    Raises ConfigError for a number that cannot be meant.
    """

    url: str = "console:"
    """smtp://user:password@host:587 (STARTTLS is required; ?starttls=never for a server without, ?ca=FILE for a
    certificate of your own), smtps://…:465, console: (print them), file:DIR (one .eml file each)."""
    sender: str = "Login <no-reply@localhost>"
    """The From of every letter: an address, or a name and an address in angle brackets."""
    reply_to: str = ""
    """Where answers go; empty: to the sender."""
    at_once: int = 10
    """Letters that one worker sends at the same time."""
    keep_sent_days: int = 30
    """Days for which the outbox remembers that it sent a letter (never the letter itself)."""
    keep_dead_days: int = 90
    """Days for which the outbox keeps what it gave up."""

    def __post_init__(self) -> None:
        if self.at_once < 1 or self.keep_sent_days < 0 or self.keep_dead_days < 0:
            raise ConfigError("mail.at_once must be 1 or more, mail.keep_*_days 0 or more")
