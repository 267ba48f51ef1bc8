"""Codes: redeemed once, by their own client, while everything they stand on stands — store §2, security §4, §15."""

import anyio
import pytest
from msgspec.structs import replace

from bridge.grants.bearer import Bearer, judge_bearer
from bridge.grants.options import MEMORY, GrantOptions
from bridge.grants.records import EndedFamily, encode_trace, read_refresh
from bridge.grants.redemption import keys_of, redeem
from bridge.grants.terms import Invalid, Replay, StampUnknown, Tokens
from bridge.sessions.stamp import draw_stamp, stamp_value
from bridge.stores.store import Drop, Put
from bridge.types import UserId
from tests.grants.scene import OTHER, SHOP, Scene


async def test_a_code_gives_an_access_and_a_refresh_token_that_live() -> None:
    scene = Scene()
    tokens = await scene.redeem(await scene.authorized())
    assert isinstance(tokens, Tokens)
    assert (tokens.family.uid, tokens.family.sub, tokens.nonce) == (7, "sub-7", "n1")
    assert tokens.access_exp == scene.clock.now() + 3600
    bearer = await _shown(scene, tokens)
    assert isinstance(bearer, Bearer) and bearer.access.scopes == ("openid", "offline_access")
    assert tokens.refresh is not None
    assert isinstance(await scene.refresh(tokens.refresh.reveal()), Tokens)


async def test_a_client_that_may_not_refresh_gets_no_refresh_token() -> None:
    scene = Scene()
    tokens = await scene.redeem(await scene.authorized(refreshable=False))
    assert isinstance(tokens, Tokens) and tokens.refresh is None


async def test_a_client_that_may_not_refresh_any_more_gets_no_refresh_token() -> None:
    """Its registration changed between the code and the token request."""
    scene = Scene()
    code = await scene.authorized()
    fresh = replace(scene.fresh(code), refresh=None)
    values = await scene.store.read(*keys_of(code, scene.names))
    how = {"token": code, "client": SHOP, "objection": lambda _: None, "epoch": scene.epoch, "moment": scene.moment}
    tokens = redeem(*values, fresh=fresh, **how).reply  # type: ignore[arg-type]
    assert isinstance(tokens, Tokens) and tokens.refresh is None


async def test_a_used_code_asks_for_the_end_of_its_family() -> None:
    scene = Scene()
    code = await scene.authorized()
    tokens = await scene.redeem(code)
    again = await scene.redeem(code)
    assert isinstance(tokens, Tokens) and again == Replay(tokens.family)
    await scene.families.end(scene.tag, tokens.family, "replay")
    assert await _shown(scene, tokens) is None
    assert await scene.redeem(code) == Invalid("the authorization has ended")
    assert scene.sql.families == [(scene.tag, tokens.family.id)]


async def test_a_genuine_code_that_is_absent_while_its_family_lives_is_a_replay() -> None:
    """§4: the trace of the first use may be gone, the family is not."""
    scene = Scene()
    code = await scene.authorized()
    await scene.redeem(code)
    scene.clock.move(86_400)
    await scene.store.commit(Put(scene.stamp_key, scene.raw_stamp, 60))
    assert isinstance(await scene.redeem(code), Replay)


async def test_another_clients_attempt_ends_nothing_and_burns_nothing() -> None:
    """§12 no. 20: the owner's code stays good."""
    scene = Scene()
    code = await scene.authorized()
    assert isinstance(await scene.redeem(code, client=OTHER), Invalid)
    assert isinstance(await scene.redeem(code), Tokens)
    assert isinstance(await scene.redeem(code, client=OTHER), Invalid)


async def test_a_wrong_verifier_then_the_right_one() -> None:
    """B5: the decision comes before the commit, so an objection uses nothing up."""
    scene = Scene()
    code = await scene.authorized()
    assert await scene.redeem(code, objection=lambda _: "code_verifier does not match") == Invalid(
        "code_verifier does not match"
    )
    assert isinstance(await scene.redeem(code), Tokens)


async def test_a_code_is_good_for_sixty_seconds() -> None:
    scene = Scene()
    code = await scene.authorized()
    scene.clock.move(60)
    assert await scene.redeem(code) == Invalid("the code is too old")


async def test_a_code_is_good_until_its_last_second() -> None:
    scene = Scene()
    code = await scene.authorized()
    scene.clock.move(59)
    assert isinstance(await scene.redeem(code), Tokens)


async def test_a_code_from_before_a_loss_is_refused() -> None:
    """Store §2, rule 9."""
    scene = Scene()
    code = await scene.authorized()
    assert isinstance(await scene.redeem(code, epoch=scene.epoch + 1), Invalid)
    assert isinstance(await scene.redeem(code), Tokens)


async def test_a_code_dies_with_the_users_stamp() -> None:
    scene = Scene()
    code = await scene.authorized()
    await scene.store.commit(Put(scene.stamp_key, stamp_value(scene.user, draw_stamp("password")), 60))
    assert await scene.redeem(code) == Invalid("the sign-in has ended")


async def test_a_stamp_of_another_user_vouches_for_nobody() -> None:
    """§19: the tag is a locator, never an identity."""
    scene = Scene()
    code = await scene.authorized()
    await scene.store.commit(Put(scene.stamp_key, stamp_value(UserId(8), scene.stamp), 60))
    assert await scene.redeem(code) == Invalid("the sign-in has ended")


async def test_an_absent_stamp_asks_sql() -> None:
    scene = Scene()
    code = await scene.authorized()
    await scene.store.commit(Drop(scene.stamp_key))
    assert await scene.redeem(code) == StampUnknown(scene.user)


async def test_an_ended_family_has_no_codes() -> None:
    scene = Scene()
    code = await scene.authorized()
    trace = encode_trace(EndedFamily(reason="consent-withdrawn", at=0))
    await scene.store.commit(Put(scene.names.family(code.tag, code.family), trace, 60))
    assert await scene.redeem(code) == Invalid("the authorization has ended")


async def test_a_family_that_was_copied_to_another_key_is_nobodys() -> None:
    """DESIGN §5: record and locator must name the same family, whoever could write to the store."""
    scene = Scene()
    code, other = await scene.authorized(), await scene.authorized()
    (living,) = await scene.store.read(scene.names.family(other.tag, other.family))
    assert living is not None
    await scene.store.commit(Put(scene.names.family(code.tag, code.family), living, 60))
    assert await scene.redeem(code) == Invalid("the authorization has ended")


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b"[]", b'{"v":1}', b"0.", b"0.{}"])
async def test_what_cannot_be_read_is_dead_not_an_error(junk: bytes) -> None:
    scene = Scene()
    code = await scene.authorized()
    keys = keys_of(code, scene.names)
    await scene.store.commit(Put(keys[0], junk, 60))
    assert isinstance(await scene.redeem(code), Replay)
    await scene.store.commit(Put(keys[1], junk, 60))
    assert isinstance(await scene.redeem(code), Invalid)


async def test_of_fifty_redemptions_one_succeeds() -> None:
    """B5, §12 no. 22."""
    scene = Scene()
    code = await scene.authorized()
    found: list[object] = []

    async def one() -> None:
        found.append(await scene.redeem(code))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(one)
    assert sum(isinstance(each, Tokens) for each in found) == 1
    assert sum(isinstance(each, Replay) for each in found) == 49


async def test_without_offline_access_nothing_is_refreshed_past_the_session() -> None:
    scene = Scene()
    alive = await scene.signed_in()
    tokens = await scene.redeem(await scene.authorized(alive, scopes=("openid",)))
    assert isinstance(tokens, Tokens)
    assert (tokens.family.session, tokens.family.until) == (alive.record.id, alive.record.abs)
    index = scene.names.born_under(scene.tag, alive.record.id)
    assert scene.names.family(scene.tag, tokens.family.id) in await scene.store.members(index)


async def test_a_refresh_token_does_not_say_that_it_outlives_its_family() -> None:
    """Introspection repeats what it says."""
    scene = Scene()
    tokens = await scene.redeem(await scene.authorized(await scene.signed_in(), scopes=("openid",)))
    assert isinstance(tokens, Tokens) and tokens.refresh is not None
    token = scene.mint.parse("refresh", tokens.refresh.reveal())
    assert token is not None
    (raw,) = await scene.store.read(token.key(scene.names))
    refresh, now = read_refresh(raw), int(scene.clock.now())
    assert refresh is not None and tokens.family.until < now + GrantOptions().refresh_idle
    assert refresh.exp == tokens.family.until


async def test_offline_access_outlives_the_session() -> None:
    """Core §11; §12 no. 97: the session's end does not find it."""
    scene = Scene()
    alive = await scene.signed_in()
    tokens = await scene.redeem(await scene.authorized(alive))
    assert isinstance(tokens, Tokens)
    assert tokens.family.session is None
    assert tokens.family.until == scene.clock.now() + 60 + GrantOptions().refresh_absolute
    index = scene.names.born_under(scene.tag, alive.record.id)
    assert scene.names.family(scene.tag, tokens.family.id) not in await scene.store.members(index)


async def test_an_access_token_is_over_after_an_hour() -> None:
    scene = Scene()
    tokens = await scene.redeem(await scene.authorized())
    assert isinstance(tokens, Tokens)
    token = scene.mint.parse("access", tokens.access.reveal())
    assert token is not None
    values = await scene.store.read(*keys_of(token, scene.names))
    assert isinstance(judge_bearer(*values, token=token, now=scene.clock.now() + 3599), Bearer)
    assert judge_bearer(*values, token=token, now=scene.clock.now() + 3600) is None


async def _shown(scene: Scene, tokens: Tokens) -> object:
    token = scene.mint.parse("access", tokens.access.reveal())
    assert token is not None
    values = await scene.store.read(*keys_of(token, scene.names))
    return judge_bearer(*values, token=token, now=scene.clock.now())


@pytest.mark.parametrize("scopes", [("openid",), ("openid", "offline_access")])
async def test_a_family_whose_code_nobody_redeems_goes_with_the_code(scopes: tuple[str, ...]) -> None:
    """Codes are to be had for the asking by whoever is signed in: what they leave must not pile up."""
    scene = Scene()
    code = await scene.authorized(scopes=scopes)
    family_key = scene.names.family(code.tag, code.family)
    scene.clock.move(GrantOptions().code + MEMORY - 1)
    assert (await scene.store.read(family_key))[0] is not None
    scene.clock.move(1)
    assert await scene.store.read(family_key, code.key(scene.names)) == [None, None]


@pytest.mark.parametrize("scopes", [("openid",), ("openid", "offline_access")])
async def test_a_redeemed_family_stays_until_nothing_of_it_could_live(scopes: tuple[str, ...]) -> None:
    scene = Scene()
    code = await scene.authorized(scopes=scopes)
    scene.clock.move(GrantOptions().code - 1)
    tokens = await scene.redeem(code)
    assert isinstance(tokens, Tokens)
    scene.clock.move(tokens.family.until + MEMORY - 1 - scene.clock.now())
    family_key = scene.names.family(code.tag, code.family)
    assert (await scene.store.read(family_key))[0] is not None
    assert family_key in await scene.store.members(scene.names.families_of(code.tag, SHOP))
    scene.clock.move(1)
    assert await scene.store.read(family_key) == [None]
