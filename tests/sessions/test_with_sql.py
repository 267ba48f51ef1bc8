"""Sessions on the real truth about endings, in SQLite, beside every store — security §3; store §2."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Column, delete, insert, select, update

from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.recent import Recent
from bridge.database.tables import ended_keys, ended_sessions, users
from bridge.sessions.birth import Birth, Born
from bridge.sessions.judge import Alive
from bridge.sessions.reconciler import Reconciler
from bridge.sessions.sessions import Stale
from bridge.sessions.stamp import draw_stamp
from bridge.stores.store import Store
from bridge.types import UserId
from tests.database.rows import add_user
from tests.databases import opened, sqlite_template, sqlite_url
from tests.sessions.world import SLOTS, VISIT, World

__all__ = ["sqlite_template", "sqlite_url"]


class Scene:
    """A world whose truth is SQL, and the one user that it knows."""

    def __init__(self, store: Store, db: Database, user: UserId) -> None:
        self.db = db
        self.user = user
        self.endings = Endings(db, SystemClock())
        self.world = World(store, truth=self.endings)
        self.world.clock.move(time.time() - self.world.clock.now())
        self.sessions = self.world.sessions
        self.reconciler = Reconciler[Recent](
            store=store,
            truth=self.endings,
            tools=self.sessions.tools,
            clock=self.world.clock,
            events=self.world.events,
        )

    async def login(self) -> Born:
        standing = await self.world.standing(self.user)
        born = await self.sessions.start(standing, Birth.browser(self.world.options), VISIT, amr=["pwd"])
        assert isinstance(born, Born)
        return born

    async def column(self, column: Column[Any]) -> list[Any]:
        async with self.db.read() as tx:
            return list((await tx.execute(select(column))).scalars())


@pytest.fixture
async def scene(store: Store, sqlite_url: str) -> AsyncIterator[Scene]:
    """Every store beside a database of its own."""
    async with opened(sqlite_url) as db:
        user = await add_user(db, tag=SLOTS.of_user(UserId(1)), stamp=draw_stamp("new"))
        assert user == 1
        yield Scene(store, db, user)


async def test_an_ended_session_is_in_sql_with_its_reason(scene: Scene) -> None:
    born = await scene.login()
    await scene.sessions.end(scene.user, born.token.tag, born.record.id, "evicted")
    assert await scene.endings.ended_session(born.record.id) == "evicted"
    assert await scene.world.why(born.token) == "evicted"
    assert await scene.column(ended_sessions.c.until) == [born.record.abs + 600]


async def test_a_rotation_leaves_both_old_names_in_sql(scene: Scene) -> None:
    born = await scene.login()
    standing = await scene.world.standing(scene.user)
    again = await scene.sessions.rotate(
        await scene.world.alive(born.token), standing, VISIT, amr=["pwd"], child=born.child
    )
    assert isinstance(again, Born) and born.child is not None
    names = scene.world.names
    assert set(await scene.column(ended_keys.c.key)) == {names.session(born.token), names.session(born.child)}


async def test_of_two_who_end_the_others_sql_decides(scene: Scene) -> None:
    here, there = await scene.login(), await scene.login()
    mine, other = await scene.world.alive(here.token), await scene.world.alive(there.token)
    kept = await scene.sessions.end_others(mine)
    assert isinstance(kept, Alive)
    assert not isinstance(await scene.sessions.end_others(other), Alive)
    assert await scene.column(users.c.stamp) == [kept.record.stamp]
    assert await scene.world.why(here.token) == "alive"


async def test_end_all_is_in_sql_before_it_is_in_the_store(scene: Scene) -> None:
    born = await scene.login()
    stamp = await scene.sessions.end_all(scene.user, born.token.tag, "admin")
    assert await scene.column(users.c.stamp) == [stamp]
    assert await scene.world.why(born.token) == "ended-by-administrator"


async def test_nobody_is_born_on_a_row_that_changed(scene: Scene) -> None:
    standing = await scene.world.standing(scene.user)
    assert await scene.endings.restamp(scene.user, draw_stamp("password"))
    await scene.sessions.publish_stamp(scene.user, standing.tag)
    wish = Birth.browser(scene.world.options)
    assert await scene.sessions.start(standing, wish, VISIT, amr=["pwd"]) == Stale()


async def test_a_deleted_user_has_no_sessions(scene: Scene) -> None:
    born = await scene.login()
    async with scene.db.begin() as tx:
        await tx.execute(delete(users))
    assert await scene.sessions.publish_stamp(scene.user, born.token.tag) is None
    assert await scene.world.why(born.token) == "disabled"


async def test_3_a_crash_after_sql_is_mended_by_the_reconciler(scene: Scene) -> None:
    ended, other = await scene.login(), await scene.login()
    await scene.reconciler.tick()
    tag, later = ended.token.tag, time.time() + 3_600
    await scene.endings.end_session(scene.user, tag, ended.record.id, "you", later)
    await scene.reconciler.tick()
    assert await scene.world.why(ended.token) == "ended-by-you"
    assert await scene.world.why(other.token) == "alive"
    async with scene.db.begin() as tx:
        await tx.execute(update(users).values(stamp=draw_stamp("password"), stamp_changed_at=int(time.time())))
    await scene.reconciler.tick()
    assert await scene.world.why(other.token) == "password-changed"


async def test_9_the_epoch_is_raised_once_for_each_identity_of_the_store(scene: Scene) -> None:
    await scene.reconciler.tick()
    epoch = scene.endings.epoch
    await scene.reconciler.tick()
    assert scene.endings.epoch == (await scene.endings.recent(None)).epoch == epoch
    await scene.endings.raise_epoch("another run")
    assert scene.endings.epoch == epoch + 1


async def test_9_the_epoch_that_another_worker_raised_is_known_with_the_next_tick(scene: Scene) -> None:
    await scene.reconciler.tick()
    raised = await Endings(scene.db, SystemClock()).raise_epoch("another run")
    assert scene.endings.epoch < raised
    await scene.reconciler.tick()
    assert scene.endings.epoch == raised


async def test_3_an_ending_that_was_committed_late_is_published_with_the_next_tick(scene: Scene) -> None:
    """Its time is that of its writing, and its transaction waited for others: several ticks have looked since."""
    late = await scene.login()
    written = int(time.time())
    row = {"user_id": scene.user, "tag": late.token.tag, "session_id": late.record.id, "reason": "you"}
    await scene.reconciler.tick()
    for _ in range(12):  # with a tick that looks further back among them
        scene.world.clock.move(4)
        await scene.reconciler.tick()
    async with scene.db.begin() as tx:
        await tx.execute(insert(ended_sessions).values(**row, ended_at=written, until=written + 3_600))
    assert await scene.world.why(late.token) == "alive"
    scene.world.clock.move(4)
    await scene.reconciler.tick()
    assert await scene.world.why(late.token) == "ended-by-you"
