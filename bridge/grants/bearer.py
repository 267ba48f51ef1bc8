"""Who shows this access token, or asks about a refresh token?  The one judgement of each — DESIGN §5, security §4."""

from msgspec import Struct

from bridge.grants.records import Access, Family, Refresh, read_access, read_family, read_refresh, vouches
from bridge.grants.terms import StampUnknown
from bridge.mint import OAuthToken


class Bearer(Struct, frozen=True):
    """A living access token and the authorization it belongs to."""

    access: Access
    family: Family

    @property
    def scopes(self) -> tuple[str, ...]:
        """What it was given for."""
        return self.access.scopes


class Refresher(Struct, frozen=True):
    """A living refresh token, unused, and the authorization it belongs to."""

    refresh: Refresh
    family: Family

    @property
    def scopes(self) -> tuple[str, ...]:
        """All that was granted: a narrower access token leaves a refresh token as it was."""
        return self.family.scopes


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


def judge_refresher(
    raw: bytes | None, raw_family: bytes | None, raw_stamp: bytes | None, *, token: OAuthToken, now: float
) -> Refresher | StampUnknown | None:
    """The same of a refresh token that is only asked about: one that was used is nobody's, and that ends nothing."""
    family = read_family(raw_family, token.family, now)
    refresh = read_refresh(raw)
    if family is None or refresh is None or refresh.family != family.id or now >= refresh.exp:
        return None
    if raw_stamp is None and family.uid is not None:
        return StampUnknown(family.uid)
    return Refresher(refresh, family) if vouches(raw_stamp, family.uid, refresh.stamp) else None
