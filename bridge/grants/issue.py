"""What an authorization writes: a code or tokens under a session, or a client's own token — store §2, security §15.

The birth expects everything that could end it, in the same commit: the session, the user's stamp, the consent.
"""

from msgspec import Struct
from msgspec.structs import replace

from bridge.grants.options import MEMORY
from bridge.grants.records import Access, Code, Family, encode
from bridge.grants.terms import Moment, Tokens
from bridge.mint import OAuthToken
from bridge.sessions.birth import Tools, lifetime
from bridge.sessions.judge import Alive, touch_due
from bridge.sessions.record import SessionRecord
from bridge.stores.store import Add, Change, Expect, Swap, Tag
from bridge.tokens import Names
from bridge.types import ClientId, FamilyId, SlotTag, Subject


class Asked(Struct, frozen=True, kw_only=True):
    """What a granted authorization is about."""

    client: ClientId
    sub: Subject
    scopes: tuple[str, ...]
    redirect_uri: str | None
    challenge: str | None
    nonce: str | None
    refreshable: bool
    """The client may refresh."""
    userinfo: tuple[str, ...] = ()
    """Claims that it asks for by name."""
    id_token: tuple[str, ...] = ()
    acr: str | None = None
    """What the ID token says of the sign-in, to a client that asked."""

    @property
    def offline(self) -> bool:
        """It outlives the session (Core §11)."""
        return self.refreshable and "offline_access" in self.scopes


class Drawn(Struct, frozen=True):
    """What was drawn for it before the decision."""

    family: FamilyId
    sid: str
    """What the client knows the session by, or will."""
    code: OAuthToken | None
    access: OAuthToken | None = None
    """What the browser itself carries to the client; None: the client comes for all of it."""


def family_of(alive: Alive, asked: Asked, drawn: Drawn, *, consent: int, moment: Moment) -> Family:
    """The authorization itself.  `consent`: the version that it stands on."""
    record = alive.record
    return Family(
        id=drawn.family,
        client=asked.client,
        uid=record.uid,
        sub=asked.sub,
        session=None if asked.offline else record.id,
        sid=drawn.sid,
        scopes=asked.scopes,
        consent=consent,
        auth_time=record.auth_time,
        amr=record.amr,
        acr=asked.acr,
        userinfo=asked.userinfo,
        id_token=asked.id_token,
        until=_until(record, asked, drawn, moment),
    )


def authorization_births(
    alive: Alive, family: Family, asked: Asked, *, drawn: Drawn, epoch: int, moment: Moment
) -> list[Change]:
    """Code, access token and family, one that witnesses first.  The caller adds what they expect.

    A family whose code nobody redeems goes with the code, or with the token beside it, from wherever it is listed too:
    what is had for the asking must not pile up.  The redemption lengthens it, and its place in the lists.
    """
    names, tag, kept = moment.names, alive.token.tag, 0.0
    changes: list[Change] = []
    if drawn.code is not None:
        kept = moment.options.code
        code = Code(
            family=family.id,
            stamp=alive.record.stamp,
            epoch=epoch,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            nonce=asked.nonce,
            refreshable=asked.refreshable,
            exp=int(moment.now) + moment.options.code,
        )
        changes.append(Add(drawn.code.key(names), encode(code), kept + MEMORY))
    if drawn.access is not None:
        now, exp = int(moment.now), access_exp(family, moment)
        record = Access(family=family.id, stamp=alive.record.stamp, scopes=family.scopes, iat=now, exp=exp)
        changes.append(Add(drawn.access.key(names), encode(record), moment.left(exp)))
        kept = max(kept, moment.left(exp))
    if not changes:
        return changes  # an ID token is no key to anything
    key, ttl = names.family(tag, family.id), kept + MEMORY
    return [*changes, Add(key, encode(family), ttl), *listed(family, tag, key, ttl, names)]


def listed(family: Family, tag: SlotTag, key: str, ttl: float, names: Names) -> list[Change]:
    """Where whoever ends a session, or takes an access back, finds the family: for so many seconds at least."""
    by_client = Tag(names.families_of(tag, family.client), key, ttl)
    if family.session is None:
        return [by_client]
    return [by_client, Tag(names.born_under(tag, family.session), key, ttl)]


def access_exp(family: Family, moment: Moment) -> int:
    """When an access token that is born now is over."""
    return min(int(moment.now) + moment.options.access, family.until)


def witnesses(
    alive: Alive, raw_stamp: bytes, raw_consent: bytes, *, asked: Asked, drawn: Drawn, tools: Tools, now: float
) -> list[Change]:
    """What the birth expects: the session, which learns of a client that is new to it and of its use; the user's
    stamp; the consent, exactly as they were read."""
    record, stamp_key = known_to(alive.record, asked.client, drawn.sid), tools.names.stamp(alive.token.tag)
    used = touch_due(alive.record, now, tools.options)
    if used:
        record = replace(record, last=max(int(now), record.iat))
    return [
        Expect(alive.key, alive.seen)
        if record is alive.record
        else Swap(alive.key, alive.seen, tools.codec.encode(alive.key, record), lifetime(record, now, tools.options)),
        Swap(stamp_key, raw_stamp, raw_stamp, tools.options.stamp_ttl) if used else Expect(stamp_key, raw_stamp),
        Expect(tools.names.consent(alive.token.tag, asked.client), raw_consent),
    ]


def known_to(record: SessionRecord, client: ClientId, sid: str) -> SessionRecord:
    """The session's record once the client has been there: unchanged, unless the client is new to it."""
    return record if client in record.clients else replace(record, clients={**record.clients, client: sid})


def own_token(
    client: ClientId, scopes: tuple[str, ...], *, access: OAuthToken, moment: Moment
) -> tuple[list[Change], Tokens]:
    """A client's own token (RFC 6749 §4.4), in the client's slot: no user, no stamp, no refresh token."""
    now, names = int(moment.now), moment.names
    family = Family(id=access.family, client=client, scopes=scopes, until=now + moment.options.access)
    record = Access(family=family.id, scopes=scopes, iat=now, exp=family.until)
    ttl = moment.left(family.until)
    changes: list[Change] = [
        Add(access.key(names), encode(record), ttl),
        Add(names.family(access.tag, family.id), encode(family), ttl + MEMORY),
    ]
    return changes, Tokens(family=family, access=access.text, access_exp=family.until, scopes=scopes)


def _until(record: SessionRecord, asked: Asked, drawn: Drawn, moment: Moment) -> int:
    """What cannot be refreshed lives as long as one access token; what is not offline, at most as long as the
    session may."""
    options, now = moment.options, int(moment.now)
    if drawn.code is None:
        return now + options.access
    redeemed_by = now + options.code
    if not asked.refreshable:
        return redeemed_by + options.access
    longest = redeemed_by + options.refresh_absolute
    return longest if asked.offline else min(longest, max(redeemed_by + options.access, record.abs))
