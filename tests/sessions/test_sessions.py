"""The requirements on sessions by their number — sessions-and-accounts §3.1."""

import ipaddress
import re
import secrets

import pytest

from bridge.errors import Unavailable
from bridge.sessions.birth import Birth, Born, Parent, new_child
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import SessionRecord
from bridge.sessions.sessions import Stale
from bridge.sessions.stamp import draw_stamp
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Add, Change, Drop, Store, Tag
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken
from bridge.types import FamilyId, StampReason, UserId, Visit
from tests.sessions.world import ANN, BOB, SLOTS, VISIT, World


async def test_s1_two_logins_never_share_a_token(world: World) -> None:
    tokens = [(await world.login()).token for _ in range(5)] + [(await world.legacy()).token for _ in range(5)]
    texts = {token.text.reveal() for token in tokens}
    assert len(texts) == 10
    assert all(re.fullmatch("[0-9A-Za-z]{40}", text) for text in texts)
    assert len({text[11:] for text in texts}) == 10  # what is alike is the tag, and nothing else


async def test_s2_what_is_stored_holds_no_token() -> None:
    """Of keys, values and indexes, all that a dump of the store would show."""
    written: list[Change] = []

    class Copied(MemoryStore):
        async def commit(self, *changes: Change) -> bool:
            written.extend(changes)
            return await super().commit(*changes)

    world = World(Copied(Hands()))
    born = await world.login()
    rotated = await world.sessions.rotate(
        await world.alive(born.token), await world.standing(), VISIT, amr=["pwd"], child=born.child
    )
    legacy = await world.legacy()
    assert isinstance(rotated, Born)
    dump = repr(written)
    assert born.token.sid in dump
    for token in (born.token, born.child, rotated.token, rotated.child, legacy.token):
        assert token is not None
        assert token.text.reveal() not in dump
        assert token.text.reveal()[11:] not in dump


async def test_s3_proving_again_who_you_are_gives_a_new_token_and_the_old_one_is_nobody_at_once(world: World) -> None:
    born = await world.login()
    world.clock.move(100)
    again = await world.sessions.rotate(
        await world.alive(born.token), await world.standing(), VISIT, amr=["pwd", "otp", "mfa"], child=born.child
    )
    assert isinstance(again, Born)
    assert await world.why(born.token) == "rotated"
    assert await world.why(born.child, "middleware") == "rotated"
    now = await world.alive(again.token)
    child = await world.alive(again.child, "middleware")
    assert (now.record.id, now.record.amr) == (born.record.id, ("pwd", "otp", "mfa"))
    assert now.record.auth_time == child.record.auth_time == born.record.auth_time + 100
    assert now.record.abs == born.record.abs
    assert {row.key for row in world.rows.keys} == {born.key, world.names.session(born.child or born.token)}


async def test_a_rotation_leaves_the_children_on_other_hosts_alone(world: World) -> None:
    born = await world.login()
    elsewhere = await world.sessions.child(await world.alive(born.token), via="blog.example")
    assert isinstance(elsewhere, Born)
    rotated = await world.sessions.rotate(await world.alive(born.token), await world.standing(), VISIT, amr=["pwd"])
    assert isinstance(rotated, Born) and rotated.child is not None
    assert await world.why(elsewhere.token, "middleware") == "alive"
    await world.sessions.end(ANN, born.token.tag, born.record.id, "you")
    assert await world.why(elsewhere.token, "middleware") == "ended-by-you"
    assert await world.why(rotated.child, "middleware") == "ended-by-you"


async def test_a_rotation_replaces_no_child_but_its_own(world: World) -> None:
    mine, other = await world.login(), await world.login()
    rotated = await world.sessions.rotate(
        await world.alive(mine.token), await world.standing(), VISIT, amr=["pwd"], child=other.child
    )
    assert isinstance(rotated, Born)
    assert await world.why(other.child, "middleware") == "alive"


async def test_a_child_keeps_its_id_when_it_is_replaced(world: World) -> None:
    """Whoever ends it by that id later, ends it."""
    born = await world.login()
    before = (await world.alive(born.child, "middleware")).record
    rotated = await world.sessions.rotate(
        await world.alive(born.token), await world.standing(), VISIT, amr=["pwd"], child=born.child
    )
    assert isinstance(rotated, Born)
    after = (await world.alive(rotated.child, "middleware")).record
    assert (after.id, after.via, after.iat) == (before.id, before.via, before.iat)


async def test_a_child_is_born_only_while_its_parent_is_as_it_was_read(world: World) -> None:
    born = await world.login()
    parent = await world.alive(born.token)
    now, tools = world.clock.now(), world.sessions.tools
    under = Parent(parent.token.tag, parent.key, parent.seen, parent.record)
    young = new_child(under, via="blog", now=now, draw=secrets.token_bytes, tools=tools)
    world.clock.move(200)
    assert await world.sessions.touch(parent)
    assert not await world.store.commit(*young.changes)
    assert isinstance(await world.sessions.child(parent, via="blog"), Born)  # it reads again


async def test_what_a_browser_says_of_itself_is_kept_short(world: World) -> None:
    born = await world.login(visit=Visit("pages", user_agent="x" * 10_000))
    assert len((await world.alive(born.token)).record.ua) == 200


async def test_a_rotation_on_an_outdated_row_writes_nothing(world: World) -> None:
    born = await world.login()
    alive = await world.alive(born.token)
    stale = await world.standing()
    kept = await world.sessions.end_others(alive)
    assert isinstance(kept, Alive)
    assert await world.sessions.rotate(kept, stale, VISIT, amr=["pwd"]) == Stale()
    assert await world.why(born.token) == "alive"


async def test_another_users_credential_rotates_nothing(world: World) -> None:
    born = await world.login()
    standing = await world.user(BOB)
    assert await world.sessions.rotate(await world.alive(born.token), standing, VISIT, amr=["pwd"]) == Stale()


async def test_s4_a_token_that_the_client_made_up_is_never_adopted(world: World) -> None:
    made_up = LoginToken.draw(SLOTS.of_user(ANN))
    born = await world.login()
    assert born.token.text.reveal() != made_up.text.reveal()
    assert await world.why(made_up) == "unknown"


@pytest.mark.parametrize(("seconds", "verdict"), [(1_799, "alive"), (1_801, "idle")])
async def test_s5_an_idle_session_is_over(world: World, seconds: int, verdict: str) -> None:
    born = await world.login()
    world.clock.move(seconds)
    assert await world.why(born.token) == verdict
    assert await world.why(born.child, "middleware") == verdict


@pytest.mark.parametrize(("seconds", "verdict"), [(43_199, "alive"), (43_201, "absolute")])
async def test_s5_a_session_is_over_however_busy_it_is(world: World, seconds: int, verdict: str) -> None:
    born = await world.login()
    start = world.clock.now()
    while world.clock.now() - start + 1_000 < seconds:
        world.clock.move(1_000)
        assert await world.sessions.touch(await world.alive(born.token))
    world.clock.move(start + seconds - world.clock.now())
    assert await world.why(born.token) == verdict


async def test_s6_a_session_is_touched_at_most_once_per_interval() -> None:
    """60 s, or a tenth of the idle time where that is longer: here 180 s."""
    writes: list[tuple[Change, ...]] = []

    class Counted(MemoryStore):
        async def commit(self, *changes: Change) -> bool:
            writes.append(changes)
            return await super().commit(*changes)

    world = World(Counted(Hands()))
    born = await world.login()
    writes.clear()
    for _ in range(400):  # ten uses at once, every ten seconds
        for _ in range(10):
            world.sessions.used(await world.alive(born.token))
        await world.sessions.finish()
        world.clock.move(10)
    assert len(writes) == 4_000 // 180


async def test_s6_a_lapsed_or_ended_session_is_not_touched_back_to_life(world: World) -> None:
    born = await world.login()
    alive = await world.alive(born.token)
    await world.sessions.end(ANN, born.token.tag, born.record.id, "you")
    assert not await world.sessions.touch(alive)
    assert await world.why(born.token) == "ended-by-you"


async def test_a_touch_keeps_everything_but_the_time(world: World) -> None:
    born = await world.login()
    world.clock.move(200)
    assert await world.sessions.touch(await world.alive(born.token))
    record = (await world.alive(born.token)).record
    assert record.last == born.record.last + 200
    assert [getattr(record, name) for name in record.__struct_fields__ if name != "last"] == [
        getattr(born.record, name) for name in record.__struct_fields__ if name != "last"
    ]


async def test_s7_an_ended_session_is_nobody_and_so_is_its_child(world: World) -> None:
    born = await world.login()
    ended = await world.sessions.end(ANN, born.token.tag, born.record.id, "you")
    assert [record.kind for record in ended] == ["op", "app"]
    assert await world.why(born.token) == "ended-by-you"
    assert await world.why(born.child, "middleware") == "ended-by-you"
    assert [row.session_id for row in world.rows.sessions] == [born.record.id]


async def test_s7_a_child_ends_without_its_parent(world: World) -> None:
    born = await world.login()
    child = await world.alive(born.child, "middleware")
    await world.sessions.end(ANN, born.token.tag, child.record.id, "you")
    assert await world.why(born.child, "middleware") == "ended-by-you"
    assert await world.why(born.token) == "alive"


async def test_what_is_no_session_but_was_born_under_one_ends_with_it(world: World) -> None:
    """A family of tokens lies in the same index, and the same bytes end it."""
    born = await world.login()
    family = world.names.family(born.token.tag, FamilyId("0123456789abcdef"))
    index = world.names.born_under(born.token.tag, born.record.id)
    assert await world.store.commit(Add(family, b"1.family", 600), Tag(index, family, 600))
    await world.sessions.end(ANN, born.token.tag, born.record.id, "administrator")
    (value,) = await world.store.read(family)
    assert value is not None and value.startswith(b'0.{"type":"ended"')


async def test_s8_a_disabled_user_has_no_sessions(world: World) -> None:
    born, legacy = await world.login(), await world.legacy()
    await world.sessions.end_all(ANN, born.token.tag, "disabled")
    assert await world.why(born.token) == "disabled"
    assert await world.why(born.child, "middleware") == "disabled"
    assert await world.why(legacy.token, "middleware") == "disabled"


async def test_s8_a_user_who_is_no_more_has_no_sessions(world: World) -> None:
    born = await world.login()
    del world.rows.stamps[ANN]
    assert await world.sessions.publish_stamp(ANN, born.token.tag) is None
    assert await world.why(born.token) == "disabled"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("password", "password-changed"),
        ("second-factor", "second-factor-changed"),
        ("email", "email-changed"),
        ("user", "ended-by-you"),
        ("admin", "ended-by-administrator"),
    ],
)
async def test_s9_ending_all_tells_everybody_why(world: World, reason: StampReason, told: str) -> None:
    born, other = await world.login(), await world.login(BOB)
    assert await world.sessions.end_all(ANN, born.token.tag, reason) is not None
    assert await world.why(born.token) == told
    assert await world.why(other.token) == "alive"


async def test_s9_ending_the_others_keeps_this_one_alone(world: World) -> None:
    here, there, portal = await world.login(), await world.login(), await world.legacy()
    kept = await world.sessions.end_others(await world.alive(here.token))
    assert isinstance(kept, Alive)
    assert await world.why(here.token) == "alive"
    assert await world.why(here.child, "middleware") == "ended-by-you"  # made again by whoever asked for this
    assert await world.why(there.token) == "ended-by-you"
    assert await world.why(portal.token, "middleware") == "ended-by-you"
    again = await world.sessions.child(kept, via="pages")
    assert isinstance(again, Born)
    assert await world.why(again.token, "middleware") == "alive"


async def test_s9_a_session_that_has_ended_ends_no_others(world: World) -> None:
    here, there = await world.login(), await world.login()
    mine = await world.alive(here.token)
    assert isinstance(await world.sessions.end_others(await world.alive(there.token)), Alive)
    stamp = world.rows.stamps[ANN]
    verdict = await world.sessions.end_others(mine)
    assert isinstance(verdict, Dead) and verdict.reason == "ended-by-you"
    assert world.rows.stamps[ANN] == stamp
    assert await world.why(there.token) == "alive"


async def test_s9_who_is_overtaken_by_another_ending_is_told_so(world: World) -> None:
    """SQL took this one's stamp, and then another before this one came to the store."""
    here = await world.login()
    alive = await world.alive(here.token)
    mine, theirs = draw_stamp("user"), draw_stamp("password")
    assert await world.rows.restamp(ANN, mine, expected=alive.record.stamp)
    assert await world.rows.restamp(ANN, theirs)
    await world.sessions.publish_stamp(ANN, here.token.tag)
    verdict = await world.sessions.keep(alive, mine)
    assert isinstance(verdict, Dead) and verdict.reason == "password-changed"


async def test_s9_the_one_who_changed_the_password_stays(world: World) -> None:
    """The row took the new stamp over this session's own, in the transaction that changed the hash."""
    here, there = await world.login(), await world.login()
    alive = await world.alive(here.token)
    new = draw_stamp("password")
    assert await world.rows.restamp(ANN, new, expected=alive.record.stamp)
    assert isinstance(await world.sessions.keep(alive, new), Alive)
    assert await world.why(here.token) == "alive"
    assert await world.why(there.token) == "password-changed"


async def test_s10_a_user_sees_his_sessions_and_nothing_to_use_them_with(world: World) -> None:
    first = await world.login(visit=Visit("pages", ip=ipaddress.ip_address("192.0.2.7"), user_agent="Firefox"))
    world.clock.move(60)
    portal = await world.legacy()
    ended = await world.login()
    await world.login(BOB)
    await world.sessions.end(ANN, ended.token.tag, ended.record.id, "you")
    views = await world.sessions.list_of(ANN, first.token.tag)
    assert [(view.id, view.kind, view.via) for view in views] == [
        (portal.record.id, "legacy", "portal"),
        (first.record.id, "op", "pages"),
    ]
    assert (views[1].ip, views[1].user_agent, views[1].last) == ("192.0.2.7", "Firefox", first.record.iat)
    assert views[0].last is None  # never used
    assert first.token.sid not in repr(views)


async def test_s11_beyond_the_cap_the_oldest_session_of_that_door_goes(store: Store) -> None:
    world = World(store, options=SessionOptions(cap=3))
    browser = await world.login()
    portals = []
    for _ in range(5):
        world.clock.move(1)
        portals.append(await world.legacy(cap=2))
    told = [await world.why(born.token, "middleware") for born in portals]
    assert told == ["evicted"] * 3 + ["alive"] * 2
    assert await world.why(browser.token) == "alive"


async def test_s11_whoever_signs_in_and_out_all_day_does_not_fill_his_list(store: Store) -> None:
    world = World(store, options=SessionOptions(cap=3))
    born = await world.login()
    for _ in range(40):
        await world.sessions.end(ANN, born.token.tag, born.record.id, "you")
        born = await world.login()
    await world.sessions.end(ANN, born.token.tag, born.record.id, "you")
    assert len(await world.store.members(world.names.sessions_of(born.token.tag))) < 40


async def test_s18_a_store_that_does_not_answer_is_not_nobody(small: World) -> None:
    born = await small.login()

    class Silent:
        async def read(self, *keys: str) -> list[bytes | None]:
            raise Unavailable("no answer")

    small.store = Silent()  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await small.another_worker().resolve(born.token, "issuer", None)


async def test_an_absent_stamp_is_asked_of_sql(world: World) -> None:
    born = await world.login()
    assert await world.store.commit(Drop(world.names.stamp(born.token.tag)))
    assert await world.why(born.token) == "alive"
    assert await world.store.commit(Drop(world.names.stamp(born.token.tag)))
    world.rows.stamps[ANN] = draw_stamp("password")
    assert await world.why(born.token) == "password-changed"


async def test_nobody_is_born_under_an_older_stamp(world: World) -> None:
    standing = await world.user()
    await world.sessions.end_all(ANN, standing.tag, "password")
    wish = Birth.browser(world.options)
    assert await world.sessions.start(standing, wish, VISIT, amr=["pwd"]) == Stale()
    assert await world.sessions.list_of(ANN, standing.tag) == []


async def test_a_legacy_session_that_is_never_used_lapses_after_ten_minutes(world: World) -> None:
    used, unused = await world.legacy(), await world.legacy()
    assert used.record.idle == unused.record.idle == world.options.idle
    world.clock.move(599)
    alive = await world.alive(used.token, "middleware")
    assert world.sessions.due(alive)  # the first use counts at once
    assert await world.sessions.touch(alive)
    world.clock.move(2)
    assert await world.why(used.token, "middleware") == "alive"
    assert await world.why(unused.token, "middleware") == "idle"
    world.clock.move(world.options.idle - 3)
    assert await world.why(used.token, "middleware") == "alive"
    world.clock.move(1)
    assert await world.why(used.token, "middleware") == "idle"


async def test_a_cap_that_cannot_be_kept_does_not_undo_the_login(small: World) -> None:
    standing = await small.user()
    first = await small.sessions.start(standing, Birth.legacy(small.options, via="p", cap=1), VISIT, amr=["pwd"])
    small.rows.error = Unavailable("no SQL")
    second = await small.sessions.start(standing, Birth.legacy(small.options, via="p", cap=1), VISIT, amr=["pwd"])
    assert isinstance(first, Born) and isinstance(second, Born)
    assert await small.why(second.token, "middleware") == "alive"


async def test_what_happens_to_sessions_is_told_without_their_tokens(small: World) -> None:
    born = await small.login()
    rotated = await small.sessions.rotate(await small.alive(born.token), await small.standing(), VISIT, amr=["pwd"])
    assert isinstance(rotated, Born)
    await small.sessions.end(ANN, born.token.tag, born.record.id, "administrator", actor="help desk")
    await small.sessions.end_all(ANN, born.token.tag, "admin")
    assert small.heard.kinds() == ["session.created", "session.rotated", "session.ended", "sessions.ended-all"]
    told = repr(small.heard.events)
    assert small.heard.events[0].sid == born.token.sid[:8]
    for token in (born.token, rotated.token):
        assert token.text.reveal() not in told and token.sid not in told


async def test_unknown_users_have_no_sessions_to_end(small: World) -> None:
    assert await small.sessions.end_all(UserId(99), SLOTS.of_user(UserId(99)), "admin") is None


async def test_s14_a_record_says_when_and_how_its_owner_proved_who_he_is(world: World) -> None:
    born = await world.login()
    record = (await world.alive(born.token)).record
    assert isinstance(record, SessionRecord)
    assert (record.auth_time, record.amr, record.acr) == (int(world.clock.now()), ("pwd",), None)


async def test_a_stale_standing_of_the_same_stamp_starts_again(world: World) -> None:
    """Nothing is wrong with the credential: the stamp was only missing in the store."""
    standing = await world.user()
    await world.store.commit(Drop(world.names.stamp(standing.tag)))
    wish = Birth.browser(world.options)
    assert await world.sessions.start(standing, wish, VISIT, amr=["pwd"]) == Stale()
    assert await world.sessions.publish_stamp(ANN, standing.tag) == standing.stamp
    assert isinstance(await world.sessions.start(standing, wish, VISIT, amr=["pwd"]), Born)
