"""A letter whose cause has happened is left at once, or later, and nobody fails or waits for it — A9, decision 0101."""

import asyncio
from collections.abc import Mapping

import pytest

from bridge.errors import Unavailable
from bridge.outbox import patient
from bridge.outbox.patient import PatientOutbox
from bridge.types import UserId
from tests.patience import PATIENCE, until

ADA = UserId(7)
FACTS = {"at": "1"}


class Queue:
    """An outbox that may refuse, or never answer."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.down = self.hangs = False
        self.asked = 0
        self.came = asyncio.Event()

    async def put(self, tx: None, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> int:
        assert (tx, user, payload) == (None, ADA, FACTS)
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.down:
            raise Unavailable("the database is away")
        self.taken.append(purpose)
        self.came.set()
        return len(self.taken)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def letters(queue: Queue) -> PatientOutbox:
    return PatientOutbox(queue)


async def leave(letters: PatientOutbox, *purposes: str) -> None:
    for purpose in purposes:
        await letters.put(purpose, ADA, FACTS)


async def test_a_letter_is_left_before_its_cause_goes_on(letters: PatientOutbox, queue: Queue) -> None:
    await leave(letters, "one")
    assert queue.taken == ["one"]
    await letters.flush()
    assert queue.taken == ["one"]


async def test_what_the_database_does_not_take_comes_later_in_its_order(
    letters: PatientOutbox, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.down = True
    await leave(letters, "one", "two")
    assert queue.asked == 1, "who comes behind others does not wait for the database"
    assert caplog.text.count("letters wait for the database, the first (one) to user 7") == 1
    await letters.flush()
    assert queue.taken == []
    queue.down = False
    await leave(letters, "three")
    assert queue.taken == []
    await letters.flush()
    assert queue.taken == ["one", "two", "three"]
    await leave(letters, "four")
    assert queue.taken[-1] == "four"


async def test_nobody_waits_for_a_database_that_hangs(
    letters: PatientOutbox, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "PATIENCE", 0.05)
    queue.hangs = True
    async with asyncio.timeout(PATIENCE):
        await leave(letters, "one", "two")
    queue.hangs = False
    await letters.flush()
    assert queue.taken == ["one", "two"]


async def test_they_are_tried_again_by_themselves(
    letters: PatientOutbox, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "EVERY", 0.01)
    queue.down = True
    await leave(letters, "one")
    running = asyncio.create_task(letters.run())
    await asyncio.sleep(0.05)
    queue.down = False
    await until(queue.came.is_set)
    running.cancel()
    assert queue.taken == ["one"]


async def test_the_end_tries_once_more(letters: PatientOutbox, queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    queue.down = True
    await leave(letters, "one")
    queue.down = False
    await letters.close()
    assert queue.taken == ["one"] and "lost" not in caplog.text


async def test_what_is_lost_is_told(letters: PatientOutbox, queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    queue.down = True
    await leave(letters, "one", "two")
    await letters.close()
    assert "2 letters are lost" in caplog.text
    queue.down = False
    await letters.close()
    assert queue.taken == [] and caplog.text.count("lost") == 1


async def test_so_many_may_wait_and_no_more(
    letters: PatientOutbox, queue: Queue, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "MOST", 2)
    queue.down = True
    await leave(letters, "one", "two", "three")
    assert "user 7 gets no letter (three)" in caplog.text
    queue.down = False
    await letters.flush()
    assert queue.taken == ["one", "two"]
