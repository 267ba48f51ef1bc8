"""A change and its audit rows, in one transaction or not at all — security §20, §30."""

from collections.abc import Awaitable, Callable

import anyio
import pytest
from sqlalchemy import func, insert, select

from bridge.database.database import Database
from bridge.database.tables import audit, users, versions
from bridge.database.trouble import Sacrificed
from bridge.errors import Unavailable
from bridge.events.audit import AuditLog
from bridge.events.event import Event, Events
from bridge.events.ledger import Deed, Ledger
from bridge.events.options import EventsOptions
from bridge.testing.hands import Hands
from bridge.types import UserId, Visit
from tests.database.rows import a_user

VISIT = Visit("legacy", caller="portal")


class Scene:
    """A ledger, and what was heard and published."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.heard: list[Event] = []
        self.published: list[str] = []
        clock = Hands()
        self.log = AuditLog(db, clock, EventsOptions())
        self.ledger = Ledger(db=db, audit=self.log, events=Events(clock, self, self.log), versions=self)

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    async def publish(self, name: str) -> None:
        self.published.append(name)

    async def counts(self) -> tuple[int, int]:
        """How many users and audit rows there are."""
        async with self.db.read() as tx:
            found = [
                (await tx.execute(select(func.count()).select_from(table))).scalar_one() for table in (users, audit)
            ]
        return found[0], found[1]


@pytest.fixture
def scene(db: Database) -> Scene:
    return Scene(db)


async def add(deed: Deed) -> str:
    await deed.tx.execute(insert(users).values(**a_user()))
    await deed.record("user.created", user=UserId(7), client="app", reason="why", more="facts")
    deed.outdates("users")
    deed.outdates("accounts")
    deed.outdates("users")
    return "done"


@pytest.fixture
def by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version rises by one each time."""
    monkeypatch.setattr("bridge.database.versions._LONGEST_STEP", 1)


@pytest.mark.usefixtures("by_one")
async def test_the_change_and_its_row_are_there_together(scene: Scene) -> None:
    assert await scene.ledger.do(VISIT, add) == "done"
    assert await scene.counts() == (1, 1)
    async with scene.db.read() as tx:
        row = (await tx.execute(select(audit))).mappings().one()
        bumped = {(name, version) for name, version in await tx.execute(select(versions.c.name, versions.c.version))}
    assert (row["kind"], row["user_id"], row["actor"], row["door"]) == ("user.created", 7, "portal", "legacy")
    assert (row["client_id"], row["reason"], row["details"]) == ("app", "why", '{"more": "facts"}')
    assert bumped == {("users", 1), ("accounts", 1)}


async def test_others_hear_of_it_once_and_the_audit_writes_no_second_row(scene: Scene) -> None:
    await scene.ledger.do(VISIT, add)
    (event,) = scene.heard
    assert event.kept and event.actor == "portal"
    await scene.log.flush()
    assert await scene.counts() == (1, 1)
    assert scene.published == ["accounts", "users"]


async def test_nobody_hears_of_it_before_it_has_happened(scene: Scene) -> None:
    async def work(deed: Deed) -> None:
        await add(deed)
        assert (scene.heard, scene.published) == ([], [])
        assert await scene.counts() == (0, 0)

    await scene.ledger.do(VISIT, work)
    assert len(scene.heard) == 1


async def fails_afterwards(deed: Deed) -> None:
    await add(deed)
    raise ZeroDivisionError


async def fails_to_record(deed: Deed) -> None:
    await deed.tx.execute(insert(users).values(**a_user()))
    await deed.record("x" * 33, user=UserId(10**30))  # type: ignore[arg-type]


@pytest.mark.parametrize("work", [fails_afterwards, fails_to_record])
async def test_what_fails_has_not_happened(scene: Scene, work: Callable[[Deed], Awaitable[None]]) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011  whichever: the drivers say it differently
        await scene.ledger.do(VISIT, work)
    assert await scene.counts() == (0, 0)
    assert (scene.heard, scene.published) == ([], [])


async def test_what_is_undone_within_a_deed_is_not_announced(scene: Scene) -> None:
    async def half(deed: Deed) -> None:
        async with deed.savepoint():
            await fails_afterwards(deed)

    async def work(deed: Deed) -> None:
        with pytest.raises(ZeroDivisionError):
            await half(deed)
        await deed.record("account.changed")

    await scene.ledger.do(VISIT, work)
    assert await scene.counts() == (0, 1)
    assert [event.kind for event in scene.heard] == ["account.changed"]


async def test_a_deed_that_the_database_sacrificed_is_done_again_and_told_once(scene: Scene) -> None:
    tries = 0

    async def work(deed: Deed) -> None:
        nonlocal tries
        tries += 1
        await add(deed)
        if tries < 3:
            raise Sacrificed("deadlock")

    await scene.ledger.do(VISIT, work)
    assert tries == 3 and await scene.counts() == (1, 1) and len(scene.heard) == 1


async def test_a_store_that_is_down_does_not_undo_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(name: str) -> None:
        raise Unavailable("store")

    monkeypatch.setattr(scene, "publish", away)
    assert await scene.ledger.do(VISIT, add) == "done"
    assert await scene.counts() == (1, 1)


@pytest.mark.usefixtures("by_one")
async def test_deeds_that_outdate_the_same_caches_in_any_order_do_not_stop_one_another(scene: Scene) -> None:
    async def work(number: int) -> None:
        names = ["users", "accounts", "clients"]

        async def deed_(deed: Deed) -> None:
            for name in names[number % 3 :] + names[: number % 3]:
                deed.outdates(name)
            await anyio.sleep(0.01)

        await scene.ledger.do(VISIT, deed_)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(work, number)
    async with scene.db.read() as tx:
        assert set((await tx.execute(select(versions.c.version))).scalars()) == {20}
