"""What a Redis store does when its server restarts, forgets, fills up, is demoted or is gone — spec/store.md §4, §8."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bridge.errors import Unavailable
from bridge.stores.address import ANSWER_SECONDS, Address
from bridge.stores.gate import Gate
from bridge.stores.lines import Lines
from bridge.stores.redis import MOST_LINES, RedisStore
from bridge.stores.scripts import Script
from bridge.stores.store import Add, Drop, Put, Swap, Tag, Take
from bridge.testing.lossy import LossyProxy
from tests.patience import PATIENCE, LetRun, until
from tests.servers import Server, free_port, redis_binary, valkey_binary
from tests.stores.servers import PATIENT, answers, emptied, opened, say, started

LONG = 100.0
A, B, C = "lb:a:{t}", "lb:b:{t}", "lb:c:{t}"


class Restartable:
    """A server that the test ends and starts."""

    def __init__(self, stack: ExitStack, binary: str, folder: Path) -> None:
        self._stack = stack
        self._binary = binary
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> None:
        self._process = self._stack.enter_context(started(self._binary, self.port, self._folder, *arguments))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.slow)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Restartable]:
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    with ExitStack() as stack:
        server = Restartable(stack, binary, tmp_path)
        server.start("--save", "")
        yield server


@pytest.fixture
async def store(server: Restartable) -> AsyncIterator[RedisStore]:
    async with opened(server.url) as store:
        await store.open()
        yield store


@pytest.fixture
async def steady(valkey_server: Server) -> AsyncIterator[RedisStore]:
    """A store on a server that nothing happens to."""
    async with opened(emptied(valkey_server).url) as store:
        yield store


# ── restart and rollback ──


async def test_after_a_restart_everybody_is_served_again(server: Restartable, store: RedisStore) -> None:
    """Ten idle connections are dead by then; none of them may cost anybody more than one try."""
    for _ in range(10):
        await _at_once(store)
    server.kill()
    server.start("--save", "")
    for turn in range(5):
        answers = await asyncio.gather(*(store.commit(Add(f"{A}:{turn}:{i}", b"v", LONG)) for i in range(20)))
        assert answers == [True] * 20
    assert list(await store.read(A)) == [None]


async def test_a_restart_is_noticed_as_a_possible_loss(server: Restartable, store: RedisStore) -> None:
    before = await store.identity()
    server.kill()
    server.start("--save", "")
    await store.read(A)
    assert (await store.identity() != before, store.lost) == (True, True)
    store.regained(before)
    assert store.lost, "what was published to the server of before may be gone again"
    store.regained(await store.identity())
    assert not store.lost
    await store.read(A)
    assert not store.lost


async def test_asking_for_the_identity_notices_it_too(server: Restartable, store: RedisStore) -> None:
    server.kill()
    server.start("--save", "")
    await store.identity()
    assert store.lost
    store.regained()
    assert not store.lost


async def test_the_gate_is_shut_by_the_very_answer_that_comes_from_a_snapshot(
    server: Restartable, store: RedisStore
) -> None:
    gate = Gate(store)
    assert await gate.commit(Put(A, b"alive", LONG), Tag("lb:i:{t}", "m", LONG))
    say(server.port, "SAVE")
    assert await gate.commit(Put(A, b"ended", LONG))
    server.kill()
    server.start("--save", "")
    assert say(server.port, "GET", A) == b"$5\r\nalive\r\n", "the snapshot brings it back"
    for verb in (lambda: gate.read(A), lambda: gate.commit(Put(B, b"v", LONG)), lambda: gate.members("lb:i:{t}")):
        with pytest.raises(Unavailable, match="lost"):
            await verb()
    assert list(await store.read(B)) == [None], "the reconciler's own store is open"
    await store.commit(Put(A, b"ended", LONG))
    gate.regained(await gate.identity())
    assert (list(await gate.read(A)), await gate.members("lb:i:{t}")) == ([b"ended"], ["m"])


async def test_a_commit_that_meets_the_loss_is_not_reported_as_done(server: Restartable, store: RedisStore) -> None:
    gate = Gate(store)
    server.kill()
    server.start("--save", "")
    with pytest.raises(Unavailable, match="lost"):
        await gate.commit(Put(A, b"v", LONG))


async def test_a_demoted_primary_is_left_and_a_new_history_is_a_possible_loss(
    server: Restartable, store: RedisStore
) -> None:
    await store.commit(Put(A, b"v", LONG))
    say(server.port, "REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(Unavailable):
        await store.commit(Put(A, b"w", LONG))
    say(server.port, "REPLICAOF", "NO", "ONE")
    assert await store.commit(Put(A, b"w", LONG)) is True
    assert store.lost


# ── scripts and memory ──


async def test_forgotten_scripts_are_sent_again_in_the_middle_of_a_batch(
    server: Restartable, store: RedisStore
) -> None:
    assert await store.commit(Add(A, b"v", LONG), Tag("lb:i:{t}", "m", LONG)) is True
    assert say(server.port, "SCRIPT", "FLUSH") == b"+OK\r\n"
    commits = [store.commit(Add(f"{A}:{i % 5}", b"%d" % i, LONG)) for i in range(10)]
    outcomes, members, values = await asyncio.gather(
        asyncio.gather(*commits), store.members("lb:i:{t}"), store.read(A, f"{A}:0")
    )
    assert (sum(outcomes), outcomes[:5], members) == (5, [True] * 5, ["m"])
    assert list(values) in ([b"v", None], [b"v", b"0"])
    assert await store.commit(Add(A, b"v", LONG)) is False


async def test_one_unknown_script_between_known_ones(server: Restartable, store: RedisStore) -> None:
    await store.commit(Put(A, b"v", LONG))
    first, members, second = await asyncio.gather(
        store.commit(Add(B, b"1", LONG)), store.members("lb:i:{t}"), store.commit(Add(B, b"2", LONG))
    )
    assert (first, members, second) == (True, [], False)


async def test_a_full_server_refuses_whole_commits_and_still_forgets(server: Restartable, store: RedisStore) -> None:
    """Logging out works on a full server."""
    for number in range(50):
        await store.commit(Put(f"{C}:{number}", b"x" * 10_000, LONG))
    await store.commit(Put(A, b"held", LONG))
    say(server.port, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    say(server.port, "CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(Unavailable, match="refused"):
        await store.commit(Add(B, b"new", LONG), Take(A, b"held"), Tag("lb:i:{t}", "m", LONG))
    assert (list(await store.read(A, B)), await store.members("lb:i:{t}")) == ([b"held", None], [])
    assert await store.commit(Drop(A), Drop(f"{C}:0")) is True
    assert list(await store.read(A)) == [None]
    say(server.port, "CONFIG", "SET", "maxmemory", "0")
    assert await store.commit(Add(B, b"new", LONG)) is True


async def test_a_commit_that_removes_first_is_whole_on_a_full_server_too(
    server: Restartable, store: RedisStore
) -> None:
    await store.commit(Put(A, b"held", LONG))
    say(server.port, "CONFIG", "SET", "maxmemory", "1")
    done = await store.commit(Take(A, b"held"), Put(B, b"x" * 100_000, LONG), Tag("lb:i:{t}", "m", LONG))
    assert done is True
    assert (list(await store.read(A, B)), await store.members("lb:i:{t}")) == ([None, b"x" * 100_000], ["m"])


async def test_the_eviction_policy_can_be_asked_for(server: Restartable, store: RedisStore) -> None:
    say(server.port, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert await store.eviction_policy() == "allkeys-lru"


# ── batches ──


async def test_one_bad_command_fails_only_itself(steady: RedisStore, valkey_server: Server) -> None:
    """Somebody put a list where we look for a value."""
    say(valkey_server.port, "RPUSH", A, "not ours")
    bad, good, values = await asyncio.gather(
        steady.commit(Swap(A, b"seen", b"new", LONG)),
        steady.commit(Add(B, b"v", LONG)),
        steady.read(A, C),
        return_exceptions=True,
    )
    assert (type(bad), good, values) == (Unavailable, True, [None, None])


async def test_everything_of_a_tick_leaves_in_one_write(valkey_server: Server) -> None:
    async with (
        LossyProxy("127.0.0.1", emptied(valkey_server).port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}") as store,
    ):
        await store.commit(Put(A, b"v", LONG))
        proxy.seen.clear()
        commits = [store.commit(Add(f"{A}:{i}", b"v", LONG)) for i in range(20)]
        await asyncio.gather(*commits, *(store.read(A, f"{B}:{i}") for i in range(20)))
        assert (len(proxy.seen), proxy.sent(b"MGET"), proxy.sent(b"EVALSHA")) == (1, 1, 20)
        assert proxy.sent(b"\r\n" + A.encode() + b"\r\n") == 1, "a key that many ask for is asked for once"


async def test_what_is_asked_while_an_answer_is_under_way_leaves_in_one_write(
    valkey_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.stores.redis.HOLD_SECONDS", 3_600)
    async with (
        LossyProxy("127.0.0.1", emptied(valkey_server).port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}") as store,
    ):
        proxy.lose("hang")
        under_way = asyncio.ensure_future(store.read(A))
        await until(lambda: not proxy.losses_left)
        asked: list[asyncio.Future[Sequence[bytes | None]]] = []
        for turn in range(6):
            await asyncio.sleep(0.001)
            asked.append(asyncio.ensure_future(store.read(f"{B}:{turn}")))
        await asyncio.sleep(0)
        await proxy.cut_all()  # the first one's answer will not come, and that ends the waiting for it
        await asyncio.gather(*asked)
        assert [count for chunk in proxy.seen if (count := chunk.count(B.encode()))] == [6]
        assert await under_way == [None]


async def test_an_answer_that_is_lost_holds_up_the_others_for_a_moment_only(valkey_server: Server) -> None:
    async with (
        LossyProxy("127.0.0.1", emptied(valkey_server).port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}", seconds=PATIENCE) as store,
    ):
        proxy.lose("hang")
        under_way = asyncio.ensure_future(store.read(A))
        await until(lambda: not proxy.losses_left)
        assert await store.read(B) == [None]
        assert not under_way.done()
        await proxy.cut_all()
        assert await under_way == [None]


@pytest.mark.parametrize("ending", ["cut_all", "reset_all"])
async def test_idle_connections_that_somebody_ended_cost_nobody_an_answer(valkey_server: Server, ending: str) -> None:
    """A balancer or a firewall between us and the server; uvloop has an error of its own for the second kind."""
    async with (
        LossyProxy("127.0.0.1", emptied(valkey_server).port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}") as store,
    ):
        for turn in range(5):
            await _at_once(store)
            await getattr(proxy, ending)()
            await asyncio.sleep(0.01 * turn)
            outcomes = await asyncio.gather(*(store.commit(Add(f"{A}:{turn}:{i}", b"v", LONG)) for i in range(5)))
            assert outcomes == [True] * 5
        assert not store.lost


async def test_what_may_be_sent_once_only_is_not_sent_on_a_connection_that_has_ended(valkey_server: Server) -> None:
    async with (
        LossyProxy("127.0.0.1", emptied(valkey_server).port) as proxy,
        opened(f"redis://127.0.0.1:{proxy.port}") as store,
    ):
        one = Script("return 1")
        for _ in range(3):
            await _at_once(store)
            await proxy.cut_all()
            await until(lambda: all(line.broken for line in store._lines._idle))
            assert await store.run(one, [A], []) == 1


async def test_once_another_server_was_met_nobody_hears_the_one_before(
    server: Restartable, valkey_server: Server
) -> None:
    """An address that was moved to a new primary, while the old one lives on alone and answers whoever is connected."""
    async with LossyProxy("127.0.0.1", server.port) as proxy:
        lines = Lines(Address(f"redis://127.0.0.1:{proxy.port}", seconds=PATIENT))
        first, second = await lines.take(), await lines.take()
        proxy.move("127.0.0.1", valkey_server.port)
        coming = asyncio.ensure_future(lines.take())
        await asyncio.sleep(0)
        lines.give(first)  # idle while the new one is met
        third = await coming
        lines.give(second)  # comes back after the new one was met
        lines.give(third)
        one, other = await lines.take(), await lines.take()
        lines.give(one)
        lines.give(other)
        await lines.close()
        assert lines.lost
        assert one is third and other not in (first, second)


async def test_a_cancelled_caller_does_not_shift_the_answers(steady: RedisStore) -> None:
    """The next one on that connection must not get what he was waiting for."""
    await steady.commit(*(Put(f"{A}:{i}", b"%d" % i, LONG) for i in range(20)))
    for turn in range(20):
        waiting = asyncio.ensure_future(steady.read(f"{A}:{turn}"))
        for _ in range(turn % 5):
            await asyncio.sleep(0)
        waiting.cancel()
        assert list(await steady.read(f"{A}:0", f"{A}:{turn}")) == [b"0", b"%d" % turn]


async def test_what_everybody_gave_up_on_before_it_left_is_not_sent(steady: RedisStore) -> None:
    waiting = asyncio.ensure_future(steady.commit(Put(A, b"v", LONG)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0.01)
    assert list(await steady.read(A)) == [None]


async def test_connections_are_bounded_and_nobody_starves(steady: RedisStore, valkey_server: Server) -> None:
    """While the server is slow, what comes waits together for the next free connection."""
    commits: list[asyncio.Future[bool]] = []
    end = time.monotonic() + PATIENCE
    with _slow(valkey_server):
        more = 2 * MOST_LINES
        while more:
            commits.append(asyncio.ensure_future(steady.commit(Add(f"{A}:{len(commits)}", b"v", LONG))))
            await asyncio.sleep(0.001)
            more -= len(steady._sending) >= MOST_LINES
            assert time.monotonic() < end, "so many lines are never used"
    assert await asyncio.gather(*commits) == [True] * len(commits)
    clients = say(valkey_server.port, "CLIENT", "LIST", "TYPE", "normal").count(b" age=")
    assert MOST_LINES // 2 < clients <= MOST_LINES + 3


async def test_who_stops_asking_for_the_identity_leaves_no_answer_behind(
    steady: RedisStore, valkey_server: Server
) -> None:
    await steady.commit(Put(A, b"v", LONG))
    with _frozen(valkey_server), pytest.raises(TimeoutError):
        await asyncio.wait_for(steady.identity(), 0.05)
    assert list(await steady.read(A)) == [b"v"]


async def test_closing_leaves_nobody_waiting(valkey_server: Server) -> None:
    async with LossyProxy("127.0.0.1", emptied(valkey_server).port) as proxy:
        async with opened(f"redis://127.0.0.1:{proxy.port}") as store:
            await store.read(A)
            proxy.lose("hang")
            waiting = asyncio.ensure_future(store.commit(Add(A, b"v", LONG)))
            await until(lambda: not proxy.losses_left)
        with pytest.raises(Unavailable):
            await waiting


@contextmanager
def _slow(server: Server) -> Iterator[None]:
    """It says who it is, and lets everybody wait who would write."""
    say(server.port, "CLIENT", "PAUSE", "60000", "WRITE")
    try:
        yield
    finally:
        say(server.port, "CLIENT", "UNPAUSE")


@contextmanager
def _frozen(server: Server) -> Iterator[None]:
    """It takes connections, as the kernel does that, and says nothing."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


# ── nobody there ──


class Ticks:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_server_that_is_gone_is_left_alone_for_two_seconds(server: Restartable) -> None:
    ticks = Ticks()
    async with opened(server.url, monotonic=ticks) as store:
        await store.read(A)
        server.kill()
        for _ in range(5):
            with pytest.raises(Unavailable):
                await store.read(A)
        server.start("--save", "")
        for seconds in (0.0, 1.9):
            ticks.now = seconds
            with pytest.raises(Unavailable, match="a moment ago"):
                await store.read(A)
        ticks.now = 2.1
        assert list(await store.read(A)) == [None]
        assert list(await store.read(A)) == [None]


async def test_the_first_who_tries_again_tries_alone(server: Restartable) -> None:
    ticks = Ticks()
    async with opened(server.url, monotonic=ticks) as store:
        server.kill()
        for _ in range(5):
            with pytest.raises(Unavailable):
                await store.commit(Put(A, b"v", LONG))
        ticks.now = 3.0
        with pytest.raises(Unavailable, match="connection"):
            await store.read(A)
        with pytest.raises(Unavailable, match="a moment ago"):
            await store.read(A)


async def test_a_refused_connection_is_known_at_once() -> None:
    async with opened(f"redis://127.0.0.1:{free_port()}", seconds=3_600) as store, asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable):
            await store.open()


async def test_a_black_hole_costs_half_a_second(valkey_server: Server) -> None:
    """A server that takes the connection and says nothing."""
    async with opened(emptied(valkey_server).url, seconds=ANSWER_SECONDS) as store:
        begun = time.monotonic()
        with _frozen(valkey_server), LetRun() as ran, pytest.raises(Unavailable):
            await store.read(A)
        assert time.monotonic() - begun > 0.4
        assert ran.seconds < 0.9

        async def answered() -> bool:
            try:
                return list(await store.read(A)) == [None]
            except Unavailable:
                return False

        await until(answered)


async def _at_once(store: RedisStore) -> None:
    """Many ticks at a time, so that many connections are open afterwards."""

    async def later(ticks: int) -> None:
        for _ in range(ticks):
            await asyncio.sleep(0)
        await store.read(A)

    await asyncio.gather(*(later(ticks) for ticks in range(20)))


def test_a_server_that_was_ended_does_not_answer(server: Restartable) -> None:
    assert answers(server.port)
    server.kill()
    assert not answers(server.port)
