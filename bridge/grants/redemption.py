"""A code against tokens: the pure decision — store §2 (redemption), security §4, §15.

Reads code, family and stamp.  A code is used by a `Swap`, in the same commit in which its tokens are born; a wrong
verifier, redirect URI or client uses nothing up.
"""

from collections.abc import Callable

from bridge.grants.issue import listed
from bridge.grants.options import MEMORY
from bridge.grants.records import (
    Access,
    Code,
    Family,
    Refresh,
    Used,
    encode,
    encode_trace,
    read_code,
    read_family,
    vouches,
)
from bridge.grants.terms import Fresh, Invalid, Moment, Replay, StampUnknown, Tokens
from bridge.mint import OAuthToken
from bridge.stores.decide import Decision
from bridge.stores.store import Add, Change, Expect, Swap
from bridge.tokens import Names
from bridge.types import ClientId, Stamp

Redeemed = Tokens | Invalid | Replay | StampUnknown


def keys_of(token: OAuthToken, names: Names) -> tuple[str, str, str]:
    """Token, family and stamp: what everybody reads who is shown an OAuth token."""
    return token.key(names), names.family(token.tag, token.family), names.stamp(token.tag)


def redeem(
    raw: bytes | None,
    raw_family: bytes | None,
    raw_stamp: bytes | None,
    *,
    token: OAuthToken,
    client: ClientId,
    objection: Callable[[Code], str | None],
    fresh: Fresh,
    epoch: int,
    moment: Moment,
) -> Decision[Redeemed]:
    """`objection` is the protocol's: what is wrong with redirect URI or verifier, or None."""
    family = read_family(raw_family, token.family, moment.now)
    if family is None or raw_family is None:
        return Decision((), Invalid("the authorization has ended"))
    if family.client != client:
        return Decision((), Invalid("the code belongs to another client"))
    if raw_stamp is None and family.uid is not None:
        return Decision((), StampUnknown(family.uid))
    code = read_code(raw)
    if code is None or raw is None or code.family != family.id:
        return Decision((), Replay(family))
    if why := _refusal(code, family, raw_stamp, moment.now, epoch) or objection(code):
        return Decision((), Invalid(why))
    code_key, family_key, stamp_key = keys_of(token, moment.names)
    tokens = _tokens(code, family, fresh, moment)
    used, ttl = encode_trace(Used(at=int(moment.now), by=fresh.access.sha256)), moment.left(family.until) + MEMORY
    changes: list[Change] = [
        *births(code.stamp, tokens, fresh, moment),
        Swap(code_key, raw, used, moment.options.code + MEMORY),
        # the same value, from now on for as long as its tokens may live
        Swap(family_key, raw_family, raw_family, ttl),
        *listed(family, token.tag, family_key, ttl, moment.names),
        Expect(stamp_key, raw_stamp),
    ]
    return Decision(changes, tokens)


def births(stamp: Stamp, tokens: Tokens, fresh: Fresh, moment: Moment) -> list[Change]:
    """The records of the tokens, the one that witnesses first.  A refresh token's stays as long as its family: one
    that was never there then tells itself from one that lay idle."""
    family, now = tokens.family, int(moment.now)
    access = Access(family=family.id, stamp=stamp, scopes=tokens.scopes, iat=now, exp=tokens.access_exp)
    changes: list[Change] = [Add(fresh.access.key(moment.names), encode(access), moment.left(access.exp))]
    if fresh.refresh is not None and tokens.refresh is not None:
        refresh = Refresh(family=family.id, stamp=stamp, exp=min(now + moment.options.refresh_idle, family.until))
        changes.append(Add(fresh.refresh.key(moment.names), encode(refresh), moment.left(family.until)))
    return changes


def _refusal(code: Code, family: Family, raw_stamp: bytes | None, now: float, epoch: int) -> str | None:
    if now >= code.exp:
        return "the code is too old"
    if code.epoch != epoch:
        return "the code was given out before the store lost data"
    if not vouches(raw_stamp, family.uid, code.stamp):
        return "the sign-in has ended"
    return None


def _tokens(code: Code, family: Family, fresh: Fresh, moment: Moment) -> Tokens:
    return Tokens(
        family=family,
        access=fresh.access.text,
        access_exp=min(int(moment.now) + moment.options.access, family.until),
        scopes=family.scopes,
        refresh=fresh.refresh.text if fresh.refresh is not None and code.refreshable else None,
        nonce=code.nonce,
    )
