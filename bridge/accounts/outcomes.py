"""Why something was not done with an account.  Each is a value, and nothing was written — whmcs-api §3.5, §3.6.

Beside each stands what WHMCS says then; where two apply, a verb gives the one that its action's page lists first.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoUser:
    """`Invalid user id`; AddClient: `Invalid Owner User ID`."""


@dataclass(frozen=True, slots=True)
class NoAccount:
    """`Invalid client id`; UpdateClient, CloseClient, DeleteClient: `Client ID Not Found`."""


@dataclass(frozen=True, slots=True)
class NotAMember:
    """`User is not associated with client`."""


@dataclass(frozen=True, slots=True)
class AlreadyMember:
    """`User already associated with client`."""


@dataclass(frozen=True, slots=True)
class IsOwner:
    """`Permissions cannot be set on a client owner`; DeleteUserClient: `You cannot remove the account owner`."""


@dataclass(frozen=True, slots=True)
class NoPermissions:
    """`Missing permissions definition`; CreateClientInvite: `User permissions are required`."""


@dataclass(frozen=True, slots=True)
class NoAddress:
    """`The email address entered is not valid`."""


@dataclass(frozen=True, slots=True)
class EmailTaken:
    """Another account has this address.  UpdateClient: `Duplicate Email Address`; AddClient: `The email address entered
    is not available for use.`"""


@dataclass(frozen=True, slots=True)
class UserExists:
    """The owner who was to be made: `A user already exists with that email address`."""


@dataclass(frozen=True, slots=True)
class InviteGone:
    """No such invite, or it was accepted, cancelled, or too late."""


@dataclass(frozen=True, slots=True)
class OtherAddress:
    """The invite is to another address than this user's."""
