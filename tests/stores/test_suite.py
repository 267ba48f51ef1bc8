"""Every store passes the one suite — spec/store.md §8."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bridge.stores.address import Address
from bridge.stores.line import Line
from bridge.stores.lines import Lines
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisStore
from bridge.stores.sqlite import SqliteStore
from bridge.stores.store import Store
from bridge.testing.hands import Hands
from bridge.testing.lossy import LossyProxy
from bridge.testing.store_suite import StoreLossSuite, StoreSuite
from tests.servers import Server
from tests.stores.servers import PATIENT, emptied

RIVALS = 5


class Timed:
    """A suite whose time is moved by hand."""

    @pytest.fixture
    def hands(self) -> Hands:
        self.clock = Hands()
        return self.clock

    async def wait(self, seconds: float) -> None:
        self.clock.move(seconds)


class TestMemoryStore(Timed, StoreSuite):
    @pytest.fixture
    async def store(self, hands: Hands) -> Store:
        return MemoryStore(hands)


class TestSqliteStore(Timed, StoreSuite):
    @pytest.fixture
    async def rivals(self, hands: Hands, tmp_path: Path) -> AsyncIterator[Sequence[Store]]:
        stores = [SqliteStore(tmp_path / "store.db", hands) for _ in range(RIVALS)]
        for store in stores:
            await store.open()
        yield stores
        for store in stores:
            await store.close()

    @pytest.fixture
    async def store(self, rivals: Sequence[Store]) -> Store:
        return rivals[0]


class Served(StoreSuite):
    """A suite on a server of the test's own."""

    @pytest.fixture
    async def rivals(self, server: Server) -> AsyncIterator[Sequence[Store]]:
        stores = [RedisStore(Lines(Address(server.url, seconds=PATIENT))) for _ in range(RIVALS)]
        for store in stores:
            await store.open()
        yield stores
        for store in stores:
            await store.close()

    @pytest.fixture
    async def store(self, rivals: Sequence[Store]) -> Store:
        return rivals[0]


class TestRedisStore(Served):
    @pytest.fixture
    def server(self, redis_server: Server) -> Server:
        return emptied(redis_server)


class TestValkeyStore(Served):
    @pytest.fixture
    def server(self, valkey_server: Server) -> Server:
        return emptied(valkey_server)


class Lost(StoreLossSuite):
    """Lost answers of a server of the test's own.

    Whoever waits for one that will not come gives up at once, and nobody gives up on one that is only late.
    """

    @pytest.fixture
    async def proxy(self, server: tuple[str, int]) -> AsyncIterator[LossyProxy]:
        self.made: list[Held] = []
        async with LossyProxy(*server) as proxy:
            proxy.hung = self.give_up
            yield proxy

    async def connect(self, host: str, port: int) -> Store:
        lines = Held(Address(f"redis://{host}:{port}", seconds=PATIENT))
        self.made.append(lines)
        store = RedisStore(lines)
        await store.open()
        return store

    def give_up(self) -> None:
        for line in [line for lines in self.made for line in lines.held]:
            line._break()


class Held(Lines):
    """Lines of which one knows which are held."""

    def __init__(self, server: Address) -> None:
        super().__init__(server)
        self.held: set[Line] = set()

    async def take(self) -> Line:
        line = await super().take()
        self.held.add(line)
        return line

    def give(self, line: Line) -> None:
        self.held.discard(line)
        super().give(line)


@pytest.mark.slow
class TestRedisLosses(Lost):
    @pytest.fixture
    def server(self, redis_server: Server) -> tuple[str, int]:
        return "127.0.0.1", emptied(redis_server).port


class TestValkeyLosses(Lost):
    @pytest.fixture
    def server(self, valkey_server: Server) -> tuple[str, int]:
        return "127.0.0.1", emptied(valkey_server).port
