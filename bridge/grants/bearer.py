"""Who shows this access token?  The one judgement of it — DESIGN §5, security §4; RFC 6750."""

from msgspec import Struct

from bridge.grants.records import Access, Family, read_access, read_family, vouches
from bridge.grants.terms import StampUnknown
from bridge.mint import OAuthToken


class Bearer(Struct, frozen=True):
    """A living access token and the authorization it belongs to."""

    access: Access
    family: Family


def judge_bearer(
    raw: bytes | None, raw_family: bytes | None, raw_stamp: bytes | None, *, token: OAuthToken, now: float
) -> Bearer | StampUnknown | None:
    """What token, family and stamp, as just read, make of it; None: nobody.

    A client's own token stands without a stamp; that its client is still enabled is the caller's to ask.
    """
    family = read_family(raw_family, token.family, now)
    access = read_access(raw)
    if family is None or access is None or access.family != family.id or now >= access.exp:
        return None
    if raw_stamp is None and family.uid is not None:
        return StampUnknown(family.uid)
    return Bearer(access, family) if vouches(raw_stamp, family.uid, access.stamp) else None
