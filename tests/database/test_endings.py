"""The truth about endings — security §3, store §2."""

import sqlite3
from contextlib import closing

import anyio
import pytest
from sqlalchemy import event, insert

from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.recent import RECENT, EndedKey, EndedSession
from bridge.database.tables import ended_sessions
from bridge.database.versions import VersionTable, bump
from bridge.errors import Unavailable
from bridge.testing.hands import Hands
from bridge.types import FamilyId, Key, SlotTag, Stamp, Standing, UserId
from tests.database.rows import add_consent, add_user

NOW = 1_800_000_000
HOUR = 3600.0
TAG = SlotTag("0123456789a")
LATER = NOW + HOUR


@pytest.fixture
def hands() -> Hands:
    return Hands(NOW)


@pytest.fixture
def endings(db: Database, hands: Hands) -> Endings:
    return Endings(db, hands)


async def test_a_stamp_is_what_the_row_says(db: Database, endings: Endings) -> None:
    user = await add_user(db, stamp="n1")
    assert await endings.stamp_of(user) == "n1"


async def test_somebody_who_is_not_there_has_no_stamp(endings: Endings) -> None:
    assert await endings.stamp_of(UserId(7)) is None
    assert not await endings.restamp(UserId(7), Stamp("p2"))


async def test_a_new_stamp_over_the_expected_one_is_written_once(db: Database, endings: Endings) -> None:
    user = await add_user(db, stamp="n1")
    assert await endings.restamp(user, Stamp("u2"), expected=Stamp("n1"))
    assert not await endings.restamp(user, Stamp("u3"), expected=Stamp("n1"))
    assert await endings.stamp_of(user) == "u2"


async def test_of_twenty_who_expect_one_stamp_one_writes(db: Database, endings: Endings) -> None:
    user = await add_user(db, stamp="n1")
    won: list[str] = []

    async def try_it(new: str) -> None:
        if await endings.restamp(user, Stamp(new), expected=Stamp("n1")):
            won.append(new)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(try_it, f"u{number}")
    assert [await endings.stamp_of(user)] == won


async def test_the_same_stamp_again_still_counts_as_written(db: Database, endings: Endings) -> None:
    """MariaDB counts changed rows unless it is asked for found ones: a repeated call would be told that it lost."""
    user = await add_user(db, stamp="n1")
    assert await endings.restamp(user, Stamp("a1"))
    assert await endings.restamp(user, Stamp("a1"))


async def test_an_ended_session_is_remembered_with_its_first_reason(endings: Endings) -> None:
    assert await endings.ended_session("s1") is None
    await endings.end_session(UserId(1), TAG, "s1", "you", LATER)
    await endings.end_session(UserId(1), TAG, "s1", "administrator", LATER)
    assert await endings.ended_session("s1") == "you"
    assert await endings.ended_session("S1") is None


async def test_twenty_who_end_one_session_at_once_all_succeed(endings: Endings) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(endings.end_session, UserId(1), TAG, "s1", "you", LATER)
    assert len((await endings.recent(NOW)).sessions) == 1


async def test_recent_names_everything_that_ended_since(db: Database, endings: Endings, hands: Hands) -> None:
    user = await add_user(db, TAG, stamp_changed_at=NOW - 1000)
    await add_consent(db, user, "app", NOW + 10)
    hands.move(10)
    await endings.restamp(user, Stamp("p2"))
    await endings.end_session(user, TAG, "s1", "you", LATER)
    await endings.end_key(Key("lb:1:s:{0123456789a}:ff"), "s1", user, TAG, LATER)
    await endings.end_family(TAG, FamilyId("ff00"), "replay", LATER)
    recent = await endings.recent(NOW + 10)
    assert recent.users == [Standing(user, TAG, Stamp("p2"))]
    assert recent.sessions == [EndedSession(user=user, tag=TAG, session_id="s1", reason="you")]
    assert recent.keys == [EndedKey(key=Key("lb:1:s:{0123456789a}:ff"), session_id="s1", user=user, tag=TAG)]
    assert recent.families == [(TAG, "ff00")]
    assert recent.consents == [(user, TAG, "app")]


async def test_recent_leaves_out_whatever_was_granted(db: Database, endings: Endings) -> None:
    """A grant that the store missed only asks the person once more."""
    await add_consent(db, await add_user(db, TAG), "app", NOW, granted=True)
    assert (await endings.recent(NOW)).consents == []


async def test_recent_tells_the_epoch_that_another_worker_raised(db: Database, endings: Endings, hands: Hands) -> None:
    assert (await endings.recent(NOW)).epoch == endings.epoch == 1
    assert await Endings(db, hands).raise_epoch("run-1") == 2
    assert (await endings.recent(NOW)).epoch == endings.epoch == 2


async def test_recent_tells_the_versions_that_others_raised(db: Database, endings: Endings) -> None:
    assert (await endings.recent(NOW)).versions == {}
    for name in ("users", "users", "keys"):
        async with db.begin() as tx:
            await bump(tx, name)
    told = (await endings.recent(NOW)).versions
    assert told == await VersionTable(db).current() and told.keys() == {"users", "keys"}


async def test_what_was_committed_late_is_told_as_soon_as_it_is(db: Database, endings: Endings, hands: Hands) -> None:
    """Written while another look already went by: it is older than that look, and so is asked for again."""
    row = {"session_id": "s1", "user_id": 1, "tag": TAG, "reason": "you", "ended_at": NOW, "until": int(LATER)}
    async with db.begin() as tx:
        await tx.execute(insert(ended_sessions).values(row))
        hands.move(30)
        assert (await endings.recent(NOW)).sessions == []
    assert [ended.session_id for ended in (await endings.recent(NOW)).sessions] == ["s1"]


async def test_however_much_ended_all_of_it_is_told(endings: Endings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.database.beside.MOST", 3)
    names = [f"s{number}" for number in range(5)]
    for name in names:
        await endings.end_session(UserId(1), TAG, name, "you", LATER)
    assert sorted(ended.session_id for ended in (await endings.recent(None)).sessions) == names


async def test_what_each_second_asks_costs_one_statement_and_none_where_a_file_is_read(
    db: Database, endings: Endings
) -> None:
    await _end_one_of_each(db, endings)
    asked: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *of: asked.append(of[2]))
    for look in (endings.recent(NOW), endings.restamped(NOW, NOW)):
        asked.clear()
        await look
        assert len(asked) == (0 if db.address.kind == "sqlite" else 1)


async def test_what_ended_long_ago_is_not_looked_through_each_second(sqlite_url: str) -> None:
    """All that ended in the last month could still matter, so that nearly every row is of that kind."""
    values = {"changed": NOW, "ended": NOW, "now": NOW}
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as file:
        plan = file.execute(f"EXPLAIN QUERY PLAN {RECENT.on_sqlite.text}", RECENT.on_sqlite.values(values)).fetchall()
    steps = [step for *_, step in plan]
    assert [step for step in steps if step.startswith("SCAN")] == ["SCAN versions"]
    assert len([step for step in steps if "ended_at>?" in step]) == 3


async def test_recent_leaves_out_what_ended_before(db: Database, endings: Endings) -> None:
    await _end_one_of_each(db, endings)
    recent = await endings.recent(NOW + 1)
    assert (recent.users, recent.sessions, recent.keys, recent.families, recent.consents) == ([], [], [], [], [])


async def test_after_a_loss_everything_that_still_matters_is_told(db: Database, endings: Endings, hands: Hands) -> None:
    await _end_one_of_each(db, endings)
    hands.move(HOUR - 1)
    recent = await endings.recent(None)
    assert [len(kind) for kind in (recent.users, recent.sessions, recent.keys, recent.families, recent.consents)] == [
        1,
        1,
        1,
        1,
        1,
    ]


async def test_what_could_not_be_alive_any_more_is_neither_told_nor_kept(
    db: Database, endings: Endings, hands: Hands
) -> None:
    await _end_one_of_each(db, endings)
    hands.move(HOUR)
    recent = await endings.recent(None)
    assert (recent.sessions, recent.keys, recent.families) == ([], [], [])
    assert await endings.sweep() == 3
    assert await endings.ended_session("s1") is None


async def test_a_stamp_older_than_the_longest_life_is_not_told_again(db: Database, hands: Hands) -> None:
    endings = Endings(db, hands, longest_life=HOUR)
    user = await add_user(db, stamp_changed_at=NOW)
    hands.move(HOUR)
    assert [one.user for one in (await endings.recent(None)).users] == [user]
    hands.move(1)
    assert (await endings.recent(None)).users == []


async def test_a_life_that_was_once_allowed_is_not_forgotten(db: Database, hands: Hands) -> None:
    """Sessions of before the settings were changed live on, and so must what ended them."""
    user = await add_user(db, stamp_changed_at=NOW)
    await Endings(db, hands, longest_life=HOUR).raise_epoch("run-1")
    shorter = Endings(db, hands, longest_life=60)
    await shorter.raise_epoch("run-1")
    hands.move(HOUR)
    assert [one.user for one in (await shorter.recent(None)).users] == [user]
    hands.move(1)
    assert (await shorter.recent(None)).users == []
    longer = Endings(db, hands, longest_life=2 * HOUR)
    await longer.raise_epoch("run-1")
    assert [one.user for one in (await longer.recent(None)).users] == [user]


async def test_a_half_second_does_not_shorten_what_is_remembered(db: Database, endings: Endings, hands: Hands) -> None:
    await endings.end_family(TAG, FamilyId("ff00"), "replay", NOW + 0.5)
    hands.move(0.4)
    assert (await endings.recent(None)).families == [(TAG, "ff00")]


async def test_the_epoch_is_unknown_until_it_was_read(endings: Endings) -> None:
    with pytest.raises(Unavailable):
        _ = endings.epoch
    assert (await endings.recent(None)).epoch == endings.epoch == 1


async def test_a_loss_raises_the_epoch_once_however_many_workers_notice(db: Database, hands: Hands) -> None:
    workers = [Endings(db, hands) for _ in range(10)]
    async with anyio.create_task_group() as group:
        for worker in workers:
            group.start_soon(worker.raise_epoch, "run-1")
    assert {worker.epoch for worker in workers} == {2}
    assert await workers[0].raise_epoch("run-2") == 3
    assert (await workers[1].recent(None)).epoch == workers[1].epoch == 3


async def _end_one_of_each(db: Database, endings: Endings) -> None:
    user = await add_user(db, stamp_changed_at=NOW)
    await add_consent(db, user, "app", NOW)
    await endings.end_session(user, TAG, "s1", "you", LATER)
    await endings.end_key(Key("k"), "s1", user, TAG, LATER)
    await endings.end_family(TAG, FamilyId("ff00"), "replay", LATER)
