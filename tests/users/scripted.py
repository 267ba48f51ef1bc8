"""A backend whose answers are written down: an authority of somebody else, as the bridge sees it."""

from collections.abc import Sequence

from bridge.errors import Unavailable
from bridge.secret import Secret
from bridge.tokens import Slots
from bridge.types import Stamp, Subject, UserId
from bridge.users.backend import (
    Answer,
    Authenticated,
    Capability,
    Refused,
    SecondFactorElsewhere,
    Unreachable,
)
from bridge.users.email import email_key
from bridge.users.user import User

ELSEWHERE_URL = "https://billing.example.com/login"


class ScriptedUsers:
    """Knows a few users by heart; it can be told to be out of reach."""

    name = "scripted"
    capabilities = Capability.LIST

    def __init__(self, password: str, emails: Sequence[str], *, disabled: str = "", elsewhere: str = "") -> None:
        slots = Slots(Secret(b"s" * 32))
        self.reachable = True
        self.asked: list[str] = []
        self._password = password
        self._elsewhere = email_key(elsewhere)
        self._users = {
            email_key(email): User(
                id=UserId(number),
                sub=Subject(f"scripted:{number}"),
                tag=slots.of_user(UserId(number)),
                email=email,
                email_key=email_key(email) or "",
                stamp=Stamp(f"n{number}"),
                disabled=email == disabled,
                authority="scripted",
            )
            for number, email in enumerate(emails, 1)
        }

    async def authenticate(self, email: str, password: Secret) -> Answer:
        self.asked.append(email)
        if not self.reachable:
            return Unreachable()
        user = self._users.get(email_key(email) or "")
        if user is None or user.disabled or not password.matches(self._password):
            return Refused("unknown" if user is None else "wrong", user.id if user else None)
        return SecondFactorElsewhere(ELSEWHERE_URL) if user.email_key == self._elsewhere else Authenticated(user)

    async def by_id(self, user: UserId) -> User | None:
        return next((each for each in self._all() if each.id == user), None)

    async def by_email(self, email: str) -> User | None:
        self._all()
        return self._users.get(email_key(email) or "")

    async def list(self, *, after: UserId = UserId(0), limit: int = 100) -> list[User]:  # noqa: B008
        return [user for user in self._all() if user.id > after][:limit]

    def _all(self) -> Sequence[User]:
        if not self.reachable:
            raise Unavailable("scripted")
        return list(self._users.values())
