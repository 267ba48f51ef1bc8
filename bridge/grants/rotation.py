"""A refresh token against new tokens: the pure decision — store §2 (refresh), security §4, §9.

Each one is good once.  A client whose reply was lost gets the very same tokens again, for a few seconds and while
their successor is unused; everything else that was used before ends the family.
"""

from bridge.grants.options import MEMORY
from bridge.grants.records import (
    Family,
    Tombstone,
    encode_trace,
    read_family,
    read_refresh,
    read_tombstone,
    vouches,
)
from bridge.grants.redemption import births, keys_of
from bridge.grants.terms import Fresh, Invalid, Moment, Replay, StampUnknown, Tokens, WrongScope
from bridge.grants.wrap import Wrap
from bridge.mint import OAuthToken
from bridge.stores.decide import Decision, More
from bridge.stores.store import Change, Expect, Swap
from bridge.types import ClientId

Rotated = Tokens | Invalid | WrongScope | Replay | StampUnknown


def rotate(
    raw: bytes | None,
    raw_family: bytes | None,
    raw_stamp: bytes | None,
    *raw_successor: bytes | None,
    token: OAuthToken,
    client: ClientId,
    wanted: tuple[str, ...] | None,
    fresh: Fresh,
    wrap: Wrap,
    moment: Moment,
) -> Decision[Rotated] | More:
    """`wanted`: the scopes asked for; None: all that were granted."""
    if fresh.refresh is None:
        return Decision((), Invalid("the client may not refresh"))
    family = read_family(raw_family, token.family, moment.now)
    if family is None:
        return Decision((), Invalid("the authorization has ended"))
    if family.client != client:
        return Decision((), Invalid("the refresh token belongs to another client"))
    if raw_stamp is None and family.uid is not None:
        return Decision((), StampUnknown(family.uid))
    refresh = read_refresh(raw)
    if refresh is None or raw is None or refresh.family != family.id:
        return _used_before(
            read_tombstone(raw), family, raw_stamp, raw_successor, token=token, wanted=wanted, wrap=wrap, moment=moment
        )
    if moment.now >= refresh.exp:
        return Decision((), Invalid("the refresh token was not used for too long"))
    if not vouches(raw_stamp, family.uid, refresh.stamp):
        return Decision((), Invalid("the sign-in has ended"))
    if _beyond(wanted, family):
        return Decision((), WrongScope())
    refresh_key, family_key, stamp_key = keys_of(token, moment.names)
    tokens = _tokens(family, wanted, fresh, fresh.refresh, moment)
    changes: list[Change] = [
        *births(refresh.stamp, tokens, fresh, moment),
        Swap(refresh_key, raw, _tombstone(token, tokens, fresh.refresh, wrap, moment.now), MEMORY),
        Expect(family_key, raw_family),
        Expect(stamp_key, raw_stamp),
    ]
    return Decision(changes, tokens)


def _used_before(
    tombstone: Tombstone | None,
    family: Family,
    raw_stamp: bytes | None,
    raw_successor: tuple[bytes | None, ...],
    *,
    token: OAuthToken,
    wanted: tuple[str, ...] | None,
    wrap: Wrap,
    moment: Moment,
) -> Decision[Rotated] | More:
    if tombstone is None or moment.now - tombstone.at > moment.options.grace:
        return Decision((), Replay(family))
    if not raw_successor:
        return More(moment.names.token("refresh", token.tag, tombstone.by))
    successor, opened = read_refresh(raw_successor[0]), wrap.open(token.text, tombstone.sealed)
    if successor is None or opened is None:
        return Decision((), Replay(family))
    if not vouches(raw_stamp, family.uid, successor.stamp):
        return Decision((), Invalid("the sign-in has ended"))
    if _beyond(wanted, family):
        return Decision((), WrongScope())
    same = Tokens(
        family=family,
        access=opened[1],
        access_exp=tombstone.access_exp,
        scopes=tombstone.scopes,
        refresh=opened[0],
    )
    return Decision((), same)


def _beyond(wanted: tuple[str, ...] | None, family: Family) -> bool:
    return wanted is not None and not set(wanted) <= set(family.scopes)


def _tokens(
    family: Family, wanted: tuple[str, ...] | None, fresh: Fresh, refresh: OAuthToken, moment: Moment
) -> Tokens:
    return Tokens(
        family=family,
        access=fresh.access.text,
        access_exp=min(int(moment.now) + moment.options.access, family.until),
        scopes=family.scopes if wanted is None else wanted,
        refresh=refresh.text,
    )


def _tombstone(token: OAuthToken, tokens: Tokens, successor: OAuthToken, wrap: Wrap, now: float) -> bytes:
    return encode_trace(
        Tombstone(
            at=now,
            by=successor.sha256,
            sealed=wrap.seal(token.text, successor.text, tokens.access),
            access_exp=tokens.access_exp,
            scopes=tokens.scopes,
        )
    )
