"""What is said of a Redis that drops sessions when it is full — store §1."""

import pytest

from tests.app.conftest import Make
from tests.app.test_claim import on
from tests.servers import Server


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("CONFIG SET maxmemory-policy allkeys-lru", ["store: maxmemory-policy is allkeys-lru, which drops sessions"]),
        ("CONFIG SET maxmemory-policy noeviction", []),
    ],
)
async def test_a_start_says_so_and_goes_on(
    make: Make, own_redis: Server, caplog: pytest.LogCaptureFixture, told: str, said: list[str]
) -> None:
    own_redis.tell(told)
    async with make(on(own_redis)).running():
        pass
    assert [line.partition(";")[0] for line in caplog.messages if line.startswith("store: ")] == said
