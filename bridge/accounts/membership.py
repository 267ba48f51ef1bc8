"""Who may do what with an account — whmcs-api §3.5, §4.3."""

from dataclasses import dataclass

from bridge.accounts.permissions import Permissions
from bridge.types import AccountId, UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One user of one account."""

    account: AccountId
    user: UserId
    owner: bool
    permissions: Permissions
    """An owner's are all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A membership, and who that user is: `users.user[]` of GetClientsDetails."""

    membership: Membership
    name: str
    """Both names, or the e-mail address for somebody without any."""
    email: str
    last_login_at: int | None
    """Unix seconds."""
    last_login_ip: str | None
