"""Caches that follow their versions — security §20."""

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
from sqlalchemy import select

from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.tables import users
from bridge.database.versions import VersionTable, bump
from bridge.errors import ConfigError, Unavailable
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Put, Store
from bridge.stores.url import open_store
from bridge.stores.versions import BELIEVED_SECONDS, Cached, Versions
from bridge.testing.hands import Hands
from bridge.tokens import Names
from bridge.types import UserId
from tests.database.rows import add_user
from tests.databases import opened
from tests.patience import LetRun, until
from tests.stores.servers import patient

NAMES = Names("https://login.example.org")
KEY = NAMES.version("users")


class Numbers:
    """SQL's versions, without SQL."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}

    async def current(self) -> dict[str, int]:
        return dict(self.versions)


class Asked:
    """Counts how often SQL is asked."""

    def __init__(self, truth: Numbers) -> None:
        self.truth = truth
        self.often = 0

    async def current(self) -> dict[str, int]:
        self.often += 1
        return await self.truth.current()


@dataclass
class Told:
    """What SQL said a moment ago."""

    versions: dict[str, int]


class SlowStore(MemoryStore):
    """A store that can be deaf, and whose answers may have waited on their way."""

    deaf = False
    on_its_way: Callable[[], Awaitable[object]] | None = None

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        if self.deaf:
            raise Unavailable("deaf")
        values = await super().read(*keys)
        if (wait := self.on_its_way) is not None:
            self.on_its_way = None
            await wait()
        return values


class Worker:
    """One worker's versions and one cache of users' first names."""

    def __init__(self, store: Store, truth: Numbers | VersionTable, hands: Hands | None = None) -> None:
        now = hands.now if hands else asyncio.get_running_loop().time
        self.versions = Versions(store, NAMES, truth, monotonic=now)
        self.rows = {"a": "Ann"}
        self.loads: list[str] = []
        self.cached = Cached[str, str](self._load, lambda: self.versions.token("users"), size=3)

    async def _load(self, key: str) -> str | None:
        self.loads.append(key)
        return self.rows.get(key)


async def _another_changes(store: Store, truth: Numbers) -> None:
    """Another worker changes the users, for the second time, and publishes it."""
    truth.versions["users"] = 2
    await Worker(store, truth, Hands()).versions.publish("users")


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def store(hands: Hands) -> SlowStore:
    return SlowStore(hands)


@pytest.fixture
def truth() -> Numbers:
    return Numbers()


@pytest.fixture
async def worker(store: SlowStore, truth: Numbers, hands: Hands) -> Worker:
    worker = Worker(store, truth, hands)
    await worker.versions.republish()
    await worker.versions.poll()
    return worker


async def test_what_was_loaded_is_not_loaded_again(worker: Worker) -> None:
    assert [await worker.cached.get("a"), await worker.cached.get("a")] == ["Ann", "Ann"]
    assert worker.loads == ["a"]


async def test_what_is_not_there_is_remembered_too(worker: Worker) -> None:
    assert [await worker.cached.get("nobody"), await worker.cached.get("nobody")] == [None, None]
    assert worker.loads == ["nobody"]


async def test_the_cache_keeps_the_last_used_however_many_are_asked_for(worker: Worker) -> None:
    for key in ("a", "b", "c", "a", "d", "a"):
        await worker.cached.get(key)
    assert worker.loads == ["a", "b", "c", "d"]
    await worker.cached.get("b")
    assert worker.loads == ["a", "b", "c", "d", "b"]


async def test_what_is_held_is_told_without_loading_it_and_counts_as_used(worker: Worker) -> None:
    ann = await worker.cached.get("a")
    assert ann is not None and not worker.cached.holds("b", ann)
    another = str(b"Ann", "ascii")
    assert another == ann and not worker.cached.holds("a", another), "an equal one is another one"
    for key in ("b", "c"):
        await worker.cached.get(key)
    assert worker.cached.holds("a", ann)
    await worker.cached.get("d")
    assert worker.cached.holds("a", ann)
    assert worker.loads == ["a", "b", "c", "d"]


async def test_nothing_is_held_that_may_have_changed(worker: Worker, truth: Numbers, hands: Hands) -> None:
    ann = await worker.cached.get("a")
    assert ann is not None and worker.cached.holds("a", ann)
    hands.move(BELIEVED_SECONDS)
    assert not worker.cached.holds("a", ann)
    await worker.versions.poll()
    assert worker.cached.holds("a", ann)
    truth.versions["users"] = 1
    await worker.versions.publish("users")
    assert not worker.cached.holds("a", ann)


async def test_a_published_change_is_seen_with_the_next_poll(
    worker: Worker, store: SlowStore, truth: Numbers, hands: Hands
) -> None:
    await worker.cached.get("a")
    worker.rows["a"] = "Bea"
    truth.versions["users"] = 1
    await Worker(store, truth, hands).versions.publish("users")
    await worker.versions.poll()
    assert await worker.cached.get("a") == "Bea"


async def test_a_change_of_one_kind_leaves_the_others(worker: Worker, store: SlowStore, truth: Numbers) -> None:
    before = worker.versions.token("users")
    truth.versions["clients"] = 1
    await worker.versions.publish("clients")
    assert worker.versions.token("clients") == b"1"
    assert worker.versions.token("users") == before


async def test_whoever_publishes_sees_it_himself_at_once(worker: Worker, truth: Numbers) -> None:
    await worker.cached.get("a")
    worker.rows["a"] = "Bea"
    truth.versions["users"] = 1
    await worker.versions.publish("users")
    assert await worker.cached.get("a") == "Bea"


async def test_a_poll_that_was_on_its_way_does_not_undo_ones_own_publication(
    worker: Worker, store: SlowStore, truth: Numbers
) -> None:
    async def meanwhile() -> None:
        truth.versions["users"] = 1
        await worker.versions.publish("users")

    store.on_its_way = meanwhile
    await worker.versions.poll()
    assert worker.versions.token("users") == b"1"


async def test_without_a_recent_poll_nothing_in_the_cache_is_believed(worker: Worker, hands: Hands) -> None:
    await worker.cached.get("a")
    worker.rows["a"] = "Bea"
    hands.move(BELIEVED_SECONDS - 0.01)
    assert await worker.cached.get("a") == "Ann"
    hands.move(0.01)
    assert await worker.cached.get("a") == "Bea"


async def test_the_age_counts_from_the_question_not_from_the_answer(
    worker: Worker, store: SlowStore, hands: Hands
) -> None:
    async def long_way() -> None:
        hands.move(BELIEVED_SECONDS)

    store.on_its_way = long_way
    await worker.versions.poll()
    assert worker.versions.token("users") is None


async def test_what_changes_while_it_is_loaded_is_loaded_again(worker: Worker, truth: Numbers) -> None:
    async def load(key: str) -> str:
        loaded = worker.rows[key]
        if worker.rows[key] == "Ann":
            worker.rows[key] = "Bea"
            truth.versions["users"] = 1
            await worker.versions.publish("users")
        return loaded

    cached = Cached[str, str](load, lambda: worker.versions.token("users"))
    assert await cached.get("a") == "Ann"
    assert await cached.get("a") == "Bea"


async def test_an_unavailable_store_means_asking_sql(worker: Worker, store: SlowStore, hands: Hands) -> None:
    store.deaf = True
    with pytest.raises(Unavailable):
        await worker.versions.poll()
    hands.move(BELIEVED_SECONDS)
    assert [await worker.cached.get("a"), await worker.cached.get("a")] == ["Ann", "Ann"]
    assert worker.loads == ["a", "a"]


async def test_an_empty_store_means_asking_sql_until_the_reconciler_has_published(
    store: SlowStore, truth: Numbers, hands: Hands
) -> None:
    worker = Worker(store, truth, hands)
    await worker.versions.poll()
    assert worker.versions.token("users") is None
    await worker.versions.republish()
    await worker.versions.poll()
    assert worker.versions.token("users") == b"0"


async def test_the_reconciler_repairs_a_crash_between_sql_and_store(worker: Worker, truth: Numbers) -> None:
    await worker.cached.get("a")
    worker.rows["a"] = "Bea"
    truth.versions["users"] = 1  # and the worker that should have published it is no more
    await worker.versions.republish()
    await worker.versions.poll()
    assert await worker.cached.get("a") == "Bea"


async def test_what_the_reconciler_was_told_of_versions_is_enough_until_one_differs(
    worker: Worker, store: SlowStore, truth: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(truth)
    monkeypatch.setattr(worker.versions, "_truth", asked)
    await worker.versions.republish(Told({}))
    assert asked.often == 0
    truth.versions["users"] = 2
    await worker.versions.republish(Told({"users": 1}))
    assert await store.read(KEY) == [b"2"], "what SQL says now, and not what was told"


async def test_a_bump_that_nobody_published_is_in_the_store_after_the_next_look(db: Database, hands: Hands) -> None:
    store, endings = MemoryStore(hands), Endings(db, hands)
    versions = Versions(store, NAMES, VersionTable(db), monotonic=hands.now)
    await versions.republish(await endings.recent(None))
    async with db.begin() as tx:
        await bump(tx, "users")
    await versions.republish(await endings.recent(hands.now()))
    assert await store.read(KEY) == [await _version(db)]


async def test_the_reconciler_repairs_a_store_that_went_back(worker: Worker, store: SlowStore, truth: Numbers) -> None:
    truth.versions["users"] = 2
    await worker.versions.publish("users")
    await store.commit(Put(KEY, b"1", 60))
    await worker.versions.republish()
    assert await store.read(KEY) == [b"2"]


async def test_whatever_the_store_has_not_it_gets_at_once(
    worker: Worker, store: SlowStore, truth: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(truth)
    monkeypatch.setattr(worker.versions, "_truth", asked)
    await worker.versions.republish()
    assert asked.often == 1  # nothing was behind
    truth.versions.update(users=2, keys=3, accounts=1)
    await worker.versions.republish()
    assert asked.often == 3  # what was behind, and that nothing is any more
    assert [worker.versions.token(name) for name in ("users", "keys", "accounts", "clients")] == [
        b"2",
        b"3",
        b"1",
        b"0",
    ]


async def test_one_that_another_publishes_meanwhile_is_not_lowered_and_the_rest_is_published(
    worker: Worker, store: SlowStore, truth: Numbers
) -> None:
    truth.versions.update(users=1, keys=1)
    store.on_its_way = lambda: _another_changes(store, truth)
    await worker.versions.republish()
    assert await store.read(KEY, KEY.replace("users", "keys")) == [b"2", b"1"]
    assert worker.versions.token("users") == b"2"


async def test_whom_others_always_overtake_gives_up(worker: Worker, store: SlowStore, truth: Numbers) -> None:
    async def overtaken() -> None:
        truth.versions["users"] = truth.versions.get("users", 0) + 1
        store.on_its_way = overtaken

    store.on_its_way = overtaken
    with pytest.raises(Unavailable, match="too many others"):
        await worker.versions.republish()


async def test_publishing_never_lowers_a_version(worker: Worker, store: SlowStore, truth: Numbers) -> None:
    """Of two that publish, the slower one read SQL before the other's change; compare-and-swap makes it look again."""

    truth.versions["users"] = 1
    store.on_its_way = lambda: _another_changes(store, truth)
    await worker.versions.publish("users")
    assert await store.read(KEY) == [b"2"]


async def test_two_workers_at_once_publish_the_last_of_many_changes(db: Database, hands: Hands) -> None:
    store = MemoryStore(hands)
    workers = [Versions(store, NAMES, VersionTable(db), monotonic=hands.now) for _ in range(2)]

    async def change(worker: Versions) -> None:
        for _ in range(10):
            async with db.begin() as tx:
                await bump(tx, "users")
            await worker.publish("users")

    async with anyio.create_task_group() as group:
        for worker in workers:
            group.start_soon(change, worker)
    assert await store.read(KEY) == [await _version(db)]


async def _version(db: Database) -> bytes:
    """What SQL says that the version of `users` is."""
    return b"%d" % (await VersionTable(db).current())["users"]


async def test_every_bump_raises_the_version(db: Database) -> None:
    seen = []
    for _ in range(5):
        async with db.begin() as tx:
            await bump(tx, "users")
        seen.append((await VersionTable(db).current())["users"])
    assert seen == sorted(set(seen)) and seen[0] > 0


async def test_a_database_that_went_back_gives_no_version_out_again(sqlite_url: str, tmp_path: Path) -> None:
    """Each has seen one change; what a cache holds of one of them must not stand for the other."""
    backup = shutil.copy(sqlite_url.removeprefix("sqlite:///"), tmp_path / "backup.db")
    given = []
    for url in (sqlite_url, f"sqlite:///{backup}"):
        async with opened(url) as database:
            async with database.begin() as tx:
                await bump(tx, "clients")
            given.append((await VersionTable(database).current())["clients"])
    assert given[0] != given[1]


async def test_a_truth_that_is_older_than_the_store_is_refused(
    worker: Worker, store: SlowStore, truth: Numbers
) -> None:
    truth.versions.update(users=7, clients=3)
    for name in ("users", "clients"):
        await worker.versions.publish(name)
    truth.versions.update(users=8)
    await worker.versions.refuse_an_older_truth()  # nobody has published that one yet
    truth.versions.update(users=7, clients=2)
    with pytest.raises(ConfigError, match=r"older than the store \(clients\)"):
        await worker.versions.refuse_an_older_truth()


async def test_a_change_on_its_way_is_no_older_truth(worker: Worker, store: SlowStore, truth: Numbers) -> None:
    """Committed and published by another, between the two looks."""

    truth.versions["users"] = 1
    store.on_its_way = lambda: _another_changes(store, truth)
    await worker.versions.refuse_an_older_truth()


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"9" * 5_000])
async def test_what_is_no_version_in_the_store_shows_nothing(worker: Worker, store: SlowStore, value: bytes) -> None:
    await store.commit(Put(KEY, value, 60))
    await worker.versions.refuse_an_older_truth()


async def test_a_change_that_was_undone_raises_no_version(db: Database) -> None:
    async def undone() -> None:
        async with db.begin() as tx:
            await bump(tx, "users")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await undone()
    assert await VersionTable(db).current() == {}


async def test_of_two_first_bumps_the_second_waits_for_the_first(db: Database) -> None:
    """The keyring stands on this: whoever comes second sees what the first has made."""
    order: list[str] = []
    begun = anyio.Event()

    async def first() -> None:
        async with db.begin() as tx:
            await bump(tx, "keys")
            begun.set()
            await anyio.sleep(0.2)
            order.append("first")

    async def second() -> None:
        await begun.wait()
        async with db.begin() as tx:
            await bump(tx, "keys")
            order.append("second")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        group.start_soon(second)
    assert order == ["first", "second"]


async def test_another_process_sees_a_change_within_two_seconds(sqlite_url: str, tmp_path: Path) -> None:
    """Also when whoever made it was killed before it could publish, as the reconciler does once a second."""
    store_url = f"sqlite:///{tmp_path / 'store.db'}"
    async with opened(sqlite_url) as db, _reading(db, store_url) as (versions, cached):
        await add_user(db, first_name="Ann")
        await versions.republish()
        assert await cached.get(UserId(1)) == "Ann"
        published = [sys.executable, "-c", CHANGE, sqlite_url, store_url, "Bea", "publish"]
        await anyio.run_process(published)
        assert await _until(cached, "Bea") < 2
        died = await anyio.run_process([*published[:-2], "Cleo", "die"], check=False)
        assert died.returncode == -signal.SIGKILL
        await versions.republish()  # as the reconciler does, a second later at most
        assert await _until(cached, "Cleo") < 1


async def _until(cached: Cached[UserId, str], name: str) -> float:
    """The seconds it took, without those in which this process stood still."""

    async def seen() -> bool:
        return await cached.get(UserId(1)) == name

    with LetRun() as ran:
        await until(seen)
    return ran.seconds


CHANGE = """
import asyncio, os, signal, sys
from sqlalchemy import update
from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.tables import users
from bridge.database.versions import VersionTable, bump
from bridge.stores.url import open_store
from bridge.stores.versions import Versions
from bridge.tokens import Names

async def change(db_url, store_url, name, last_words):
    db, store = Database(db_url, SystemClock()), open_store(store_url, clock=SystemClock())
    await store.open()
    async with db.begin() as tx:
        await tx.execute(update(users).values(first_name=name))
        await bump(tx, "users")
    if last_words == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    await Versions(store, Names("https://login.example.org"), VersionTable(db)).publish("users")
    await store.close()
    await db.close()

asyncio.run(change(*sys.argv[1:]))
"""


@contextlib.asynccontextmanager
async def _reading(db: Database, store_url: str) -> AsyncIterator[tuple[Versions, Cached[UserId, str]]]:
    """A worker that polls, with a cache of first names."""
    store = patient(open_store(store_url, clock=SystemClock()))
    await store.open()
    versions = Versions(store, NAMES, VersionTable(db))

    async def load(user: UserId) -> str | None:
        async with db.read() as tx:
            name: str | None = (await tx.execute(select(users.c.first_name).where(users.c.id == user))).scalar()
        return name

    async with anyio.create_task_group() as group:
        group.start_soon(versions.run)
        yield versions, Cached[UserId, str](load, lambda: versions.token("users"))
        group.cancel_scope.cancel()
    await store.close()
