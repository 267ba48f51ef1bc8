"""What runs beside the requests survives its own failures, and says so — security §3; DESIGN §7."""

import asyncio
import logging

import pytest

from bridge.app import health, work
from bridge.app.chores import Chores
from bridge.app.telling import Outage
from bridge.app.turnstile import Turnstile
from bridge.errors import ConfigError, Unavailable
from bridge.sessions import reconciler
from tests.app.conftest import Make
from tests.app.scene import get
from tests.patience import PATIENCE, until


async def test_a_chore_that_fails_begins_again_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []
    steady = asyncio.Event()

    async def chore() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError(f"bug {len(runs)}")
        steady.set()
        await asyncio.Event().wait()

    async def other() -> None:
        await asyncio.Event().wait()

    now = [0.0]
    chores = Chores({"the chore": chore, "the other": other}, pause=0.01, monotonic=lambda: now[0])
    await chores.check()
    chores.begin()
    await asyncio.wait_for(steady.wait(), PATIENCE)
    assert chores.failing() == ["the chore"]
    with pytest.raises(Unavailable, match="the chore"):
        await chores.check()
    now[0] += 10
    await chores.check()  # steady since
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL] * 2
    assert "the chore failed and begins again: bug 1" in caplog.text and "Traceback" in caplog.text
    await chores.end()


async def test_an_error_with_a_reason_needs_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def chore() -> None:
        raise ConfigError("the store is another's now")

    chores = Chores({"the claim": chore}, pause=60)
    chores.begin()
    await asyncio.sleep(0.01)
    await chores.end()
    assert "the store is another's now" in caplog.text and "Traceback" not in caplog.text


async def test_a_chore_that_returns_is_done_and_can_be_waited_for() -> None:
    stop = asyncio.Event()

    async def chore() -> None:
        await stop.wait()

    chores = Chores({"the outbox": chore})
    chores.begin()
    await chores.left("the outbox", 0.01)
    asyncio.get_running_loop().call_later(0.02, stop.set)
    await asyncio.wait_for(chores.left("the outbox", 600), PATIENCE)
    assert chores.failing() == []
    await chores.end()
    await chores.left("the outbox", 60)


async def test_at_the_end_each_finishes_what_it_does_then() -> None:
    done: list[str] = []

    async def chore() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            done.append("flushed")

    chores = Chores({"the note of logins": chore})
    chores.begin()
    await asyncio.sleep(0)
    await chores.end()
    assert done == ["flushed"]


async def test_an_outage_is_told_at_its_beginning_and_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    down, now = [True], [100.0]

    async def tick() -> None:
        now[0] += 1
        if down[0]:
            raise Unavailable("the store does not take the connection")

    outage = Outage(tick, lambda: now[0])
    for _ in range(5):
        await outage.once()
    down[0] = False
    for _ in range(5):
        await outage.once()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "an outage begins: the store does not take the connection"),
        ("WARNING", "the outage is over, after 5 s"),
    ]


async def test_the_turnstile_waits_for_the_last() -> None:
    turnstile, seen = Turnstile(), list[bool]()
    assert await turnstile.emptied(0)

    async def guest(leaves: asyncio.Event) -> None:
        with turnstile:
            await leaves.wait()

    async with asyncio.TaskGroup() as group:
        *three, visitor = [asyncio.Event() for _ in range(4)]
        for leaves in three:
            group.create_task(guest(leaves))
        await asyncio.sleep(0)
        assert turnstile.inside == 3
        three[0].set()
        assert not await turnstile.emptied(0.02)
        assert turnstile.inside == 2
        group.create_task(guest(visitor))
        emptied = asyncio.create_task(turnstile.emptied(PATIENCE))
        for leaves in (visitor, *three[1:]):  # who came and went meanwhile does not count
            await asyncio.sleep(0)
            assert not emptied.done()
            leaves.set()
        seen.append(await emptied)
    assert seen == [True] and turnstile.inside == 0


async def test_a_reconciler_that_fails_begins_again_and_readyz_says_so(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else repairs what a crash left between SQL and the store."""
    monkeypatch.setattr(reconciler, "EVERY", 0.01)
    monkeypatch.setattr(health, "FRESH", 0.0)
    bridge, ticks, broken = make(), [0], [False]
    really = bridge.rooms.reconciler.tick

    async def tick() -> None:
        ticks[0] += 1
        if broken[0]:
            raise KeyError("a bug")
        await really()

    monkeypatch.setattr(bridge.rooms.reconciler, "tick", tick)
    async with bridge.running():
        assert (await get(bridge, "/readyz")).status == 200
        broken[0] = True
        bridge._work._chores._pause = 0.01
        await until(bridge._work._chores.failing)
        answer = await get(bridge, "/readyz")
        assert answer.status == 503 and b'"work":"unavailable","' not in answer.body and b'"work":"un' in answer.body
        broken[0] = False
        before = ticks[0]
        await until(lambda: ticks[0] > before + 1)
    assert "the reconciler failed and begins again: 'a bug'" in caplog.text


async def test_an_outage_is_no_failure_of_a_chore(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "EVERY", 0.01)
    bridge = make()
    async with bridge.running():

        async def unavailable(*_: object) -> None:
            raise Unavailable("gone")

        for room, verb in (("reconciler", "tick"), ("versions", "poll"), ("audit", "flush"), ("last_logins", "_write")):
            monkeypatch.setattr(getattr(bridge.rooms, room), verb, unavailable)
        await asyncio.sleep(0.7)
        assert bridge._work._chores.failing() == []
        monkeypatch.undo()


async def test_keys_that_changed_before_the_first_look_are_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading them at the start and the first look at their version, another worker may have made new ones."""
    monkeypatch.setattr(work, "KEYS_EVERY", 0.01)
    bridge = make()
    reads, looks = [0], [0]
    really, token = bridge.rooms.keyring.refresh, bridge.rooms.versions.token

    async def refresh() -> None:
        reads[0] += 1
        await really()

    def look(name: str) -> bytes | None:
        looks[0] += name == "keys"
        return token(name)

    monkeypatch.setattr(bridge.rooms.keyring, "refresh", refresh)
    monkeypatch.setattr(bridge.rooms.versions, "token", look)
    async with bridge.running():
        await until(lambda: reads[0] == 2)  # at the start, and once after it
        before = looks[0]
        await until(lambda: looks[0] > before + 5)
        assert reads[0] == 2
