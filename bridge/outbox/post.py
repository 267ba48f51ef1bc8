"""Letters to users: to the stored address, in the user's language — sessions-and-accounts §6.3; security §10."""

from typing import Protocol

from bridge.events.event import Events
from bridge.outbox.letter import Letter, Letters
from bridge.outbox.mailer import Mailer
from bridge.outbox.outbox import Delivery
from bridge.types import UserId


class Addressee(Protocol):
    """What a letter needs of whom it goes to; `bridge.users.user.User` has it."""

    @property
    def id(self) -> UserId | None:
        """None: he is invited to become a user."""
        ...

    @property
    def email(self) -> str: ...
    @property
    def language(self) -> str: ...


class Post:
    """Writes a letter and hands it to the mailer.

    It goes where a row says: the user's, or that of an invite or of a change of address; never to what a visitor typed.
    """

    def __init__(self, *, mailer: Mailer, letters: Letters, events: Events) -> None:
        self._mailer = mailer
        self._letters = letters
        self._events = events

    async def send(self, delivery: Delivery, to: Addressee, letter: Letter, *, asked: str = "") -> None:
        """Send it, for that delivery; `asked`: the language of the page that caused it, if the user has set none.

        Raises as `Mailer.send`.
        """
        locale = self._letters.languages.choose(user=to.language, ui_locales=asked)
        await self._mailer.send(to.email, self._letters.write(letter, locale=locale), message_id=delivery.message_id)
        self._events.tell("mail.sent", user=to.id, actor="outbox", purpose=delivery.purpose, job=str(delivery.id))
