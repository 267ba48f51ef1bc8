"""Refresh tokens: each good once, the same successor for a lost reply, the end for a replay — security §4, §9."""

import anyio
import pytest

from bridge.grants.bearer import judge_bearer
from bridge.grants.options import GrantOptions
from bridge.grants.records import Tombstone, encode_trace, read_refresh, read_tombstone
from bridge.grants.redemption import keys_of
from bridge.grants.terms import Invalid, Replay, Tokens, WrongScope
from bridge.sessions.stamp import draw_stamp, stamp_value
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Put
from tests.grants.scene import OTHER, Scene


async def _renew(scene: Scene, text: str, **how: object) -> Tokens:
    renewed = await scene.refresh(text, **how)  # type: ignore[arg-type]
    assert isinstance(renewed, Tokens) and renewed.refresh is not None
    return renewed


def _text(tokens: Tokens) -> str:
    assert tokens.refresh is not None
    return tokens.refresh.reveal()


async def test_a_refresh_gives_two_new_tokens_of_the_same_family() -> None:
    scene = Scene()
    first = await scene.tokens()
    second = await _renew(scene, _text(first))
    assert second.family == first.family
    assert len({first.access.reveal(), second.access.reveal(), _text(first), _text(second)}) == 4
    third = await _renew(scene, _text(second))
    assert third.family == first.family


async def test_a_lost_reply_is_given_again_the_same() -> None:
    """§9: same successor, same access token, and the true remaining time."""
    scene = Scene()
    old = _text(await scene.tokens())
    first = await _renew(scene, old)
    scene.clock.move(9)
    again = await _renew(scene, old)
    assert (_text(again), again.access.reveal()) == (_text(first), first.access.reveal())
    assert again.access_exp == first.access_exp


async def test_after_the_grace_it_is_a_replay() -> None:
    scene = Scene()
    old = _text(await scene.tokens())
    await _renew(scene, old)
    scene.clock.move(10.5)
    assert isinstance(await scene.refresh(old), Replay)


async def test_once_the_successor_is_used_the_grace_is_over() -> None:
    """The grand-parent is always a replay (store §2, rule 11)."""
    scene = Scene()
    old = _text(await scene.tokens())
    await _renew(scene, _text(await _renew(scene, old)))
    assert isinstance(await scene.refresh(old), Replay)


async def test_a_grace_of_nothing_forgives_nothing() -> None:
    scene = Scene(options=GrantOptions(grace=0))
    old = _text(await scene.tokens())
    await _renew(scene, old)
    scene.clock.move(0.001)
    assert isinstance(await scene.refresh(old), Replay)


async def test_a_genuine_token_that_is_absent_while_its_family_lives_is_a_replay() -> None:
    scene = Scene()
    first = await scene.tokens()
    never_stored = scene.mint.draw("refresh", scene.tag, first.family.id)
    assert await scene.refresh(never_stored.text.reveal()) == Replay(first.family)


async def test_another_clients_attempt_ends_nothing() -> None:
    scene = Scene()
    old = _text(await scene.tokens())
    assert isinstance(await scene.refresh(old, client=OTHER), Invalid)
    await _renew(scene, old)
    assert isinstance(await scene.refresh(old, client=OTHER), Invalid)
    scene.clock.move(11)
    assert isinstance(await scene.refresh(old, client=OTHER), Invalid)


async def test_an_ended_family_ends_every_token_of_it() -> None:
    scene = Scene()
    first = await scene.tokens()
    second = await _renew(scene, _text(first))
    await scene.families.end(scene.tag, first.family, "replay")
    for text in (_text(first), _text(second)):
        assert await scene.refresh(text) == Invalid("the authorization has ended")
    for tokens in (first, second):
        token = scene.mint.parse("access", tokens.access.reveal())
        assert token is not None
        values = await scene.store.read(*keys_of(token, scene.names))
        assert judge_bearer(*values, token=token, now=scene.clock.now()) is None


async def test_a_refresh_dies_with_the_users_stamp_even_within_the_grace() -> None:
    """§12 no. 60."""
    scene = Scene()
    old = _text(await scene.tokens())
    new = _text(await _renew(scene, old))
    await scene.store.commit(Put(scene.stamp_key, stamp_value(scene.user, draw_stamp("disabled")), 60))
    assert await scene.refresh(new) == Invalid("the sign-in has ended")
    assert await scene.refresh(old) == Invalid("the sign-in has ended")


async def test_fewer_scopes_narrow_the_access_token_and_nothing_else() -> None:
    """§12 no. 55."""
    scene = Scene()
    first = await scene.tokens(scopes=("openid", "email", "offline_access"))
    narrow = await _renew(scene, _text(first), wanted=("email",))
    assert narrow.scopes == ("email",)
    whole = await _renew(scene, _text(narrow))
    assert whole.scopes == ("openid", "email", "offline_access")


async def test_more_scopes_than_granted_are_refused_and_burn_nothing() -> None:
    scene = Scene()
    old = _text(await scene.tokens())
    assert await scene.refresh(old, wanted=("openid", "phone")) == WrongScope()
    await _renew(scene, old)


async def test_who_asks_again_within_the_grace_gets_no_more_than_at_first() -> None:
    scene = Scene()
    old = _text(await scene.tokens())
    new = await _renew(scene, old)
    assert await scene.refresh(old, wanted=("openid", "phone")) == WrongScope()
    again = await _renew(scene, old, wanted=("openid",))
    assert _text(again) == _text(new)


async def test_a_refresh_token_lies_idle_for_two_weeks_at_most() -> None:
    scene = Scene()
    old = _text(await scene.tokens())
    scene.clock.move(14 * 86_400)
    assert await scene.refresh(old) == Invalid("the refresh token was not used for too long")


async def test_refreshing_does_not_prolong_the_whole() -> None:
    """30 days absolute."""
    scene = Scene()
    tokens = await scene.tokens()
    for _ in range(4):
        scene.clock.move(7 * 86_400)
        tokens = await _renew(scene, _text(tokens))
    scene.clock.move(2 * 86_400 + 60)
    assert await scene.refresh(_text(tokens)) == Invalid("the authorization has ended")


async def test_of_fifty_refreshes_there_is_one_successor() -> None:
    """§12 no. 58: no forks."""
    scene = Scene()
    old = _text(await scene.tokens())
    found: list[object] = []

    async def one() -> None:
        found.append(await scene.refresh(old))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(one)
    answers = [(_text(each), each.access.reveal()) for each in found if isinstance(each, Tokens)]
    assert len(answers) == 50 and len(set(answers)) == 1


async def test_the_tombstone_opens_for_the_predecessor_alone() -> None:
    """§9: neither the store's copy nor its ring gives the successor away."""
    scene = Scene()
    old = _text(await scene.tokens())
    new = await _renew(scene, old)
    tombstone = await _tombstone(scene, old)
    predecessor, stranger = scene.mint.parse("refresh", old), scene.mint.parse("refresh", _text(new))
    assert predecessor is not None and stranger is not None
    opened = scene.wrap.open(predecessor.text, tombstone.sealed)
    assert opened is not None and opened[0].matches(_text(new)) and opened[1].matches(new.access)
    assert scene.wrap.open(stranger.text, tombstone.sealed) is None


async def test_no_token_lies_in_the_store_right_after_a_rotation() -> None:
    """§5: a dump of the store holds no secret that was handed out."""
    scene = Scene()
    code = await scene.authorized()
    tokens = await scene.redeem(code)
    assert isinstance(tokens, Tokens)
    new = await _renew(scene, _text(tokens))
    assert isinstance(scene.store, MemoryStore)
    dump = repr(scene.store._values) + repr(scene.store._indexes)
    assert tokens.family.id in dump  # it is a dump of what we think
    for secret in (code.text.reveal(), tokens.access.reveal(), _text(tokens), new.access.reveal(), _text(new)):
        assert secret not in dump and secret[4:] not in dump


async def test_a_tombstone_that_was_tampered_with_is_a_replay() -> None:
    scene = Scene()
    old = _text(await scene.tokens())
    await _renew(scene, old)
    tombstone = await _tombstone(scene, old)
    forged = Tombstone(
        at=tombstone.at,
        by=tombstone.by,
        sealed=tombstone.sealed[:-1] + bytes([tombstone.sealed[-1] ^ 1]),
        access_exp=0,
        scopes=("admin",),
    )
    token = scene.mint.parse("refresh", old)
    assert token is not None
    await scene.store.commit(Put(token.key(scene.names), encode_trace(forged), 60))
    assert isinstance(await scene.refresh(old), Replay)


async def _tombstone(scene: Scene, text: str) -> Tombstone:
    token = scene.mint.parse("refresh", text)
    assert token is not None
    (raw,) = await scene.store.read(token.key(scene.names))
    assert read_refresh(raw) is None
    tombstone = read_tombstone(raw)
    assert tombstone is not None
    return tombstone


@pytest.mark.parametrize("grace", [-1, 11])
def test_a_grace_longer_than_ten_seconds_is_no_grace(grace: int) -> None:
    from bridge.errors import ConfigError

    with pytest.raises(ConfigError, match=r"grants\.grace"):
        GrantOptions(grace=grace)
