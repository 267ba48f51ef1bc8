"""The outbox and its workers — sessions-and-accounts §6.3."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import event, select

from bridge.clock import SystemClock, chance
from bridge.database.database import Database
from bridge.database.tables import audit
from bridge.database.tables import outbox as table
from bridge.errors import Unavailable
from bridge.events.audit import AuditLog
from bridge.events.event import Event, Events
from bridge.events.ledger import Ledger
from bridge.events.options import EventsOptions
from bridge.outbox.jobs import Jobs
from bridge.outbox.mailer import open_mailer
from bridge.outbox.message import Undeliverable
from bridge.outbox.options import MailOptions
from bridge.outbox.outbox import Delivery, Outbox, Revived
from bridge.outbox.worker import LEASE_SECONDS, PAUSES, OutboxWorker
from bridge.testing.hands import Hands
from bridge.testing.mailer_suite import LETTER
from bridge.types import UserId, Visit
from tests import servers
from tests.databases import opened
from tests.patience import PATIENCE, until

DAY = 86_400


class Sender:
    """Notes what it was given, and does what the test says."""

    def __init__(self) -> None:
        self.given: list[Delivery] = []
        self.then: Callable[[], Exception | None] = lambda: None
        self.seconds = 0.0
        self.held: anyio.Event | None = None
        """If there is one, nothing is delivered before it is set."""

    async def __call__(self, delivery: Delivery) -> None:
        self.given.append(delivery)
        await anyio.sleep(self.seconds)
        if self.held is not None:
            await self.held.wait()
        if (error := self.then()) is not None:
            raise error


class Ear:
    """Hears events."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def hear(self, event: Event) -> None:
        self.heard.append(event)


class Silent:
    """Nobody else is to be told that something changed."""

    async def publish(self, name: str) -> None: ...


class Office:
    """An outbox, its workers and their sender, on one database and one clock."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.hands = Hands()
        self.outbox = Outbox(db, self.hands)
        self.sender = Sender()
        self.ear = Ear()
        self.worker = self.another()

    def another(self, **options: Any) -> OutboxWorker:
        """One more worker."""
        events = Events(self.hands, self.ear)
        senders: dict[str, Sender] = dict.fromkeys(("reset", "new-device"), self.sender)
        return OutboxWorker(self.db, senders, self.hands, events, MailOptions(**options))

    async def revive(self, *only: str, **lives: int) -> Revived:
        """As the command does it."""
        events = Events(self.hands, self.ear)
        log = AuditLog(self.db, self.hands, EventsOptions())
        ledger = Ledger(db=self.db, audit=log, events=events, versions=Silent())
        visit = Visit("command", caller="command")
        return await ledger.do(visit, lambda deed: self.outbox.revive(deed, only=only, lives=lives))

    async def written(self) -> list[tuple[str, str, Any]]:
        """What the audit says: kind, actor and details."""
        async with self.db.read() as tx:
            rows = await tx.execute(select(audit.c.kind, audit.c.actor, audit.c.details).order_by(audit.c.id))
        return [(kind, actor, json.loads(details)) for kind, actor, details in rows]

    async def rows(self) -> list[dict[str, Any]]:
        async with self.db.read() as tx:
            return [dict(row) for row in (await tx.execute(select(table).order_by(table.c.id))).mappings()]

    async def row(self) -> dict[str, Any]:
        (only,) = await self.rows()
        return only


@pytest.fixture
def office(db: Database) -> Office:
    return Office(db)


async def test_what_was_put_is_delivered_once_and_then_forgotten_but_for_the_fact(office: Office) -> None:
    number = await office.outbox.put(None, "reset", UserId(7), {"email_key": "ada@example.net"})
    assert await office.worker.work() == 1
    assert await office.worker.work() == 0
    (given,) = office.sender.given
    assert (given.id, given.purpose, given.user, given.attempt) == (number, "reset", 7, 1)
    assert given.payload == {"email_key": "ada@example.net"}
    row = await office.row()
    assert (row["state"], row["payload"], row["message_id"]) == ("sent", "{}", given.message_id)


async def test_a_job_is_put_with_the_change_that_caused_it_or_not_at_all(office: Office) -> None:
    async def change() -> None:
        async with office.db.begin() as tx:
            await office.outbox.put(tx, "reset", None, {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()
    assert await office.worker.work() == 0


async def test_a_delayed_job_waits(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {}, delay=60)
    assert await office.worker.work() == 0
    office.hands.move(60)
    assert await office.worker.work() == 1


async def test_a_job_that_another_process_left_is_sent_with_the_next_poll(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing here rings a bell for it."""
    monkeypatch.setattr("bridge.outbox.worker.POLL_SECONDS", 0.05)
    async with opened(database_url) as here, opened(database_url) as there, anyio.create_task_group() as group:
        office = Office(here)
        group.start_soon(office.worker.run)
        await anyio.sleep(0.15)  # it has found nothing, more than once
        await Outbox(there, office.hands).put(None, "reset", None, {})
        await until(lambda: office.sender.given)
        office.worker.stop()


async def test_what_was_sent_stands_in_nobodys_way(office: Office) -> None:
    worker = office.another(at_once=1)
    for _ in range(3):
        await office.outbox.put(None, "reset", None, {})
        assert await worker.work() == 1
        office.hands.move(DAY)  # its lease is over
    assert len(office.sender.given) == 3


async def test_a_poll_that_finds_nothing_costs_one_statement_and_none_where_a_file_is_read(office: Office) -> None:
    """Whatever its worker delivers."""
    of_one = OutboxWorker(office.db, {}, office.hands, Events(office.hands), MailOptions(), only=("a", "b"))
    others = OutboxWorker(office.db, {}, office.hands, Events(office.hands), MailOptions(), but=("a", "b"))
    asked: list[str] = []
    event.listen(office.db.engine.sync_engine, "before_cursor_execute", lambda *of: asked.append(of[2]))
    for worker in (office.worker, of_one, others):
        asked.clear()
        assert await worker.work() == 0
        assert len(asked) == (0 if office.db.address.kind == "sqlite" else 1)


async def test_many_workers_at_once_deliver_each_job_once(office: Office) -> None:
    numbers = {await office.outbox.put(None, "reset", None, {}) for _ in range(60)}
    office.sender.seconds = 0.01
    workers = [office.another(at_once=7) for _ in range(5)]

    async def until_nothing_is_left(worker: OutboxWorker) -> None:
        while await worker.work():
            pass

    async with anyio.create_task_group() as group:
        for worker in workers:
            group.start_soon(until_nothing_is_left, worker)
    for worker in workers:
        await until_nothing_is_left(worker)
    assert sorted(delivery.id for delivery in office.sender.given) == sorted(numbers)


async def test_a_failed_job_is_tried_after_1_5_30_and_120_minutes_and_then_given_up(office: Office) -> None:
    await office.outbox.put(None, "reset", UserId(7), {})
    office.sender.then = lambda: Unavailable("the mail server did not take it")
    for pause in PAUSES:
        assert await office.worker.work() == 1
        office.hands.move(pause - 1)
        assert await office.worker.work() == 0
        office.hands.move(1)
    assert office.ear.heard == []
    assert await office.worker.work() == 1
    office.hands.move(10 * DAY)
    assert await office.worker.work() == 0
    assert [delivery.attempt for delivery in office.sender.given] == [1, 2, 3, 4, 5]
    assert len({delivery.message_id for delivery in office.sender.given}) == 1
    row = await office.row()
    assert (row["state"], row["last_error"]) == ("dead", "Unavailable: the mail server did not take it")
    (event,) = office.ear.heard
    assert (event.kind, event.user, event.reason) == ("mail.failed", 7, "gave-up")
    assert event.details == {"purpose": "reset", "job": str(row["id"])}


def test_the_pauses_are_those_of_the_specification() -> None:
    assert PAUSES == (60, 300, 1_800, 7_200)


async def test_an_address_that_is_none_is_given_up_at_once(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {})
    office.sender.then = lambda: Undeliverable("no")
    await office.worker.work()
    assert (await office.row())["state"] == "dead"
    assert [event.reason for event in office.ear.heard] == ["undeliverable"]


async def test_the_gauges_count_what_waits_and_what_was_given_up(office: Office) -> None:
    office.sender.then = lambda: Undeliverable("no")
    await office.outbox.put(None, "reset", None, {})
    await office.worker.work()
    assert office.worker.dead == 1
    await office.outbox.put(None, "reset", None, {})
    other = office.another()
    await other.count()
    assert (other.waiting, other.dead) == (1, 1)


async def test_what_was_given_up_can_be_begun_again(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {"a": "b"})
    office.sender.then = lambda: Undeliverable("no")
    await office.worker.work()
    office.sender.then = lambda: None
    assert await office.revive() == Revived(again={"reset": 1}, over={})
    await office.worker.work()
    assert (await office.row())["state"] == "sent"
    assert office.sender.given[-1].payload == {"a": "b"}


async def test_a_letter_whose_link_is_over_is_not_begun_again(office: Office) -> None:
    """Each try makes a link anew: weeks after it was asked for, it would come to whoever reads that mail now."""
    office.sender.then = lambda: Undeliverable("no")
    for _ in range(2):
        await office.outbox.put(None, "reset", None, {})
        await office.worker.work()
        office.hands.move(1_800)
    assert await office.revive(reset=3_600) == Revived(again={"reset": 1}, over={"reset": 1})
    assert [row["state"] for row in await office.rows()] == ["dead", "waiting"]
    assert await office.written() == [("outbox.retried", "command", {"purpose": "reset", "jobs": "1"})]
    assert await office.revive(reset=3_600) == Revived(again={}, over={"reset": 1})
    assert len(await office.written()) == 1


async def test_only_what_is_named_is_begun_again(office: Office) -> None:
    office.sender.then = lambda: Undeliverable("no")
    for purpose in ("reset", "new-device"):
        await office.outbox.put(None, purpose, None, {})
    await office.worker.work()
    assert await office.outbox.given_up() == ["new-device", "reset"]
    assert await office.revive("new-device") == Revived(again={"new-device": 1}, over={})
    assert await office.outbox.given_up() == ["reset"]


async def test_one_job_that_fails_leaves_the_others_of_its_batch(office: Office) -> None:
    for _ in range(3):
        await office.outbox.put(None, "reset", None, {})
    errors = iter([None, ValueError("a bug of the sender"), None])
    office.sender.then = lambda: next(errors)
    await office.worker.work()
    assert [row["state"] for row in await office.rows()] == ["sent", "waiting", "sent"]


async def test_a_purpose_that_this_worker_does_not_know_is_tried_again(office: Office) -> None:
    """Another one, of the next version, may know it."""
    await office.outbox.put(None, "from-the-future", None, {})
    await office.worker.work()
    assert (await office.row())["state"] == "waiting"


async def test_no_secret_of_an_error_is_kept(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {})
    office.sender.then = lambda: ValueError("https://x/reset/t/abc.def.ghi password=hunter2")
    await office.worker.work()
    assert "ghi" not in (await office.row())["last_error"]
    assert "hunter2" not in (await office.row())["last_error"]


async def test_whoever_dies_between_sending_and_noting_sends_the_same_message_after_the_lease(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {})
    dying = Jobs(office.db, office.hands, chance)
    (claimed,) = await dying.claim(1, LEASE_SECONDS)
    await office.sender(claimed.delivery)  # and no more was heard of it
    assert await office.worker.work() == 0
    office.hands.move(LEASE_SECONDS - 1)
    assert await office.worker.work() == 0
    office.hands.move(2)
    assert await office.worker.work() == 1
    first, second = office.sender.given
    assert first.message_id == second.message_id
    assert second.attempt == 2


async def test_whoever_comes_back_after_his_lease_changes_nothing(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {})
    late = Jobs(office.db, office.hands, chance)
    (claimed,) = await late.claim(1, LEASE_SECONDS)
    office.hands.move(LEASE_SECONDS + 1)
    await office.worker.work()
    await late.put_off(claimed, 0, "late")
    await late.finish(claimed, "dead", "late")
    assert (await office.row())["state"] == "sent"


async def test_a_job_that_kills_its_worker_every_time_is_given_up(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {})
    for _ in range(len(PAUSES) + 1):
        assert len(await Jobs(office.db, office.hands, chance).claim(1, LEASE_SECONDS)) == 1
        office.hands.move(LEASE_SECONDS + 1)
    await office.worker.work()
    assert (await office.row())["state"] == "dead"
    assert office.sender.given == []


async def test_a_sender_that_never_ends_is_ended(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.outbox.worker.SEND_SECONDS", 0.1)
    await office.outbox.put(None, "reset", None, {})
    office.sender.seconds = 3_600
    with anyio.fail_after(PATIENCE):
        await office.worker.work()
    assert (await office.row())["last_error"].startswith("TimeoutError")


async def test_what_was_finished_is_forgotten_in_time(office: Office) -> None:
    office.sender.then = lambda: Undeliverable("no") if len(office.sender.given) == 2 else None
    for _ in range(3):
        await office.outbox.put(None, "reset", None, {}, delay=0)
        await office.worker.work()
    await office.outbox.put(None, "reset", None, {}, delay=1_000 * DAY)
    worker = office.another(keep_sent_days=1, keep_dead_days=2)
    for days, states in ((1, ["sent", "dead", "sent", "waiting"]), (0.1, ["dead", "waiting"]), (1, ["waiting"])):
        office.hands.move(days * DAY)
        await worker.forget()
        assert [row["state"] for row in await office.rows()] == states


async def test_a_worker_runs_until_it_is_stopped_and_finishes_what_it_began(office: Office) -> None:
    office.sender.seconds = 0.3
    async with anyio.create_task_group() as group:
        group.start_soon(office.worker.run)
        await office.outbox.put(None, "reset", None, {})
        await until(lambda: office.sender.given)
        office.worker.stop()
    assert (await office.row())["state"] == "sent"


async def test_a_database_that_is_away_does_not_end_the_worker(sqlite_url: str) -> None:
    async with opened(sqlite_url) as holder, opened(sqlite_url, patience=0.1) as db:
        office = Office(db)

        async def sent() -> bool:
            return bool((await office.row())["state"] == "sent")

        await office.outbox.put(None, "reset", None, {})
        async with anyio.create_task_group() as group:
            async with holder.begin():
                group.start_soon(office.worker.run)
                await anyio.sleep(0.5)
                assert office.sender.given == []
            await until(sent)
            office.worker.stop()


async def test_letters_wait_for_a_mail_server_that_is_down(office: Office) -> None:
    port = servers.free_port()
    mailer = open_mailer(MailOptions(url=f"smtp://127.0.0.1:{port}"), office.hands)

    async def send(delivery: Delivery) -> None:
        await mailer.send("ada@example.net", LETTER, message_id=delivery.message_id)

    worker = OutboxWorker(office.db, {"reset": send}, office.hands, Events(office.hands), MailOptions())
    await office.outbox.put(None, "reset", None, {})
    await worker.work()
    assert (await office.row())["state"] == "waiting"
    office.hands.move(60)
    sink = servers.SmtpSink(port=port)
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    await worker.work()
    controller.stop()
    assert [message["Message-ID"] for message in sink.messages] == [f"<{(await office.row())['message_id']}@localhost>"]
    assert (await office.row())["state"] == "sent"


async def test_a_killed_process_costs_a_second_letter_and_never_the_first(sqlite_url: str, tmp_path: Path) -> None:
    """SIGKILL in a real process, right after the letter was handed over and before that was noted."""
    folder = tmp_path / "mail"
    async with opened(sqlite_url) as db:
        number = await Outbox(db, SystemClock()).put(None, "reset", None, {})
        killed = await anyio.run_process([sys.executable, "-c", DIES, sqlite_url, str(folder)], check=False)
        assert killed.returncode == -signal.SIGKILL
        async with db.read() as tx:
            row = (await tx.execute(select(table))).one()
        assert (row.id, row.state, row.attempts) == (number, "waiting", 1)
        assert [file.name for file in folder.iterdir()] == [f"{row.message_id}.eml"]
        hands = Hands(SystemClock().now() + LEASE_SECONDS + 2)
        mailer = open_mailer(MailOptions(url=f"file:{folder}"), hands)

        async def send(delivery: Delivery) -> None:
            await mailer.send("ada@example.net", LETTER, message_id=delivery.message_id)

        assert await OutboxWorker(db, {"reset": send}, hands, Events(hands), MailOptions()).work() == 1
        assert [file.name for file in folder.iterdir()] == [f"{row.message_id}.eml"]  # the same letter again


async def test_a_job_in_the_table_is_json_that_says_whom_and_what(office: Office) -> None:
    await office.outbox.put(None, "reset", UserId(7), {"email_key": "ä"})
    assert json.loads((await office.row())["payload"]) == {"email_key": "ä"}


DIES = """
import asyncio, os, signal, sys
from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.events.event import Events
from bridge.outbox.mailer import open_mailer
from bridge.outbox.options import MailOptions
from bridge.outbox.worker import OutboxWorker
from bridge.testing.mailer_suite import LETTER

async def send(delivery):
    mailer = open_mailer(MailOptions(url="file:" + sys.argv[2]), SystemClock())
    await mailer.send("ada@example.net", LETTER, message_id=delivery.message_id)
    os.kill(os.getpid(), signal.SIGKILL)

clock = SystemClock()
asyncio.run(OutboxWorker(Database(sys.argv[1], clock), {"reset": send}, clock, Events(clock), MailOptions()).work())
"""


async def test_a_worker_of_one_purpose_leaves_the_others_and_they_leave_it(office: Office) -> None:
    await office.outbox.put(None, "reset", None, {})
    await office.outbox.put(None, "farewell", None, {})
    events = Events(office.hands, office.ear)
    senders = {"reset": office.sender, "farewell": office.sender}
    apart = OutboxWorker(office.db, senders, office.hands, events, MailOptions(), only=("farewell",))
    rest = OutboxWorker(office.db, senders, office.hands, events, MailOptions(), but=("farewell",))
    await apart.count()
    await rest.count()
    assert (apart.waiting, rest.waiting) == (1, 1)
    assert (await apart.work(), await apart.work()) == (1, 0)
    assert [given.purpose for given in office.sender.given] == ["farewell"]
    await rest.work()
    assert [given.purpose for given in office.sender.given] == ["farewell", "reset"]


async def test_its_pauses_and_what_it_tells_at_the_end_are_its_own(office: Office) -> None:
    office.sender.then = lambda: Unavailable("no")
    await office.outbox.put(None, "farewell", UserId(7), {"client": "shop"})
    worker = OutboxWorker(
        office.db,
        {"farewell": office.sender},
        office.hands,
        Events(office.hands, office.ear),
        MailOptions(),
        pauses=(5, 30),
        given_up="logout.failed",
    )
    for pause in (5, 30):
        assert await worker.work() == 1
        office.hands.move(pause - 1)
        assert await worker.work() == 0
        office.hands.move(1)
    assert await worker.work() == 1
    assert (await office.row())["state"] == "dead"
    (event,) = office.ear.heard
    assert (event.kind, event.client, event.user, event.reason) == ("logout.failed", "shop", 7, "gave-up")


async def test_a_job_of_one_name_is_left_once(office: Office) -> None:
    async def leave(name: str) -> bool:
        async with office.db.begin() as tx:
            return await office.outbox.put_once(tx, "reset", None, {}, once=name)

    assert [await leave("a"), await leave("a"), await leave("b")] == [True, False, True]
    results: list[bool] = []

    async def race() -> None:
        results.append(await leave("c"))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(race)
    assert sorted(results) == [False] * 19 + [True]


async def test_what_is_hurried_is_sent_now_and_not_waited_for_longer_than_said(office: Office) -> None:
    async with office.db.begin() as tx:
        for name in ("a", "b"):
            await office.outbox.put_once(tx, "reset", None, {}, once=name, delay=60)
    await office.worker.hurry(["a"], PATIENCE)
    assert [row["state"] for row in await office.rows()] == ["sent", "waiting"]
    office.sender.held = anyio.Event()
    with anyio.fail_after(PATIENCE):
        await office.worker.hurry(["a", "b"], 0.05)
    assert len(office.sender.given) == 2
    assert [row["state"] for row in await office.rows()] == ["sent", "waiting"]
    office.sender.held.set()
    await office.worker.settled()
    assert [row["state"] for row in await office.rows()] == ["sent", "sent"]
    await office.worker.hurry(["a", "b"], PATIENCE)
    assert len(office.sender.given) == 2


async def test_what_failed_in_a_hurry_waits_for_its_next_try_as_ever(office: Office) -> None:
    office.sender.then = lambda: Unavailable("no")
    async with office.db.begin() as tx:
        await office.outbox.put_once(tx, "reset", None, {}, once="a")
    for _ in range(2):
        await office.worker.hurry(["a"], PATIENCE)
    assert len(office.sender.given) == 1
    office.hands.move(PAUSES[0])
    assert await office.worker.work() == 1
