"""Whether a password may be this person's new one, wherever he chooses it — sessions-and-accounts A1, A3, A6."""

from dataclasses import dataclass
from typing import Protocol

from bridge.secret import Secret
from bridge.users.backend import Capability
from bridge.users.policy import PasswordFault, PasswordPolicy
from bridge.users.user import User


class Authority(Protocol):
    """Who keeps the passwords."""

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> Capability: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPasswords:
    """One rule for every page."""

    policy: PasswordPolicy
    users: Authority
    about: tuple[str, ...] = ()
    """Words that everybody knows: the site's own name."""

    def kept_here(self, user: User) -> bool:
        """Whether this user's password can be set here at all; else another system owns it (DESIGN §8)."""
        return user.authority == self.users.name and Capability.SET_PASSWORD in self.users.capabilities

    def shortest(self, user: User) -> int:
        """How many characters it must have."""
        return self.policy.shortest(second_factor=_owes_code(user))

    @property
    def shortest_first(self) -> int:
        """The same for somebody who is no user yet."""
        return self.policy.shortest(second_factor=False)

    def judge_first(self, new: Secret, *, about: tuple[str, ...]) -> PasswordFault | None:
        """What is wrong with it for somebody who is no user yet, or None; `about`: his names and address."""
        return self.policy.judge(new, about=(*self.about, *about))

    def judge(self, user: User, new: Secret) -> PasswordFault | None:
        """What is wrong with it, or None."""
        about = (*self.about, user.email, user.first_name, user.last_name)
        return self.policy.judge(new, about=about, second_factor=_owes_code(user))


def _owes_code(user: User) -> bool:
    return user.second_factor != "none"
