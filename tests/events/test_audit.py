"""The audit table — security §30, sessions-and-accounts A12."""

import asyncio
import json
from functools import partial
from typing import Any

import anyio
import pytest
from sqlalchemy import insert, select, text

from bridge.database.database import Database
from bridge.database.tables import audit, versions
from bridge.errors import ConfigError, Unavailable
from bridge.events.audit import MOST_ROWS, AuditLog
from bridge.events.event import Event, EventKind, Events
from bridge.events.export import PAGE, export
from bridge.events.options import EventsOptions
from bridge.testing.hands import Hands
from bridge.types import ClientId, UserId, Visit
from tests.databases import opened
from tests.events.planted import OPAQUE, PASSWORD
from tests.events.test_log import with_secrets
from tests.patience import LetRun, until

DAY = 86_400
NOW = 1_800_000_000.5


@pytest.fixture
def hands() -> Hands:
    return Hands(NOW)


@pytest.fixture
def log(db: Database, hands: Hands) -> AuditLog:
    return AuditLog(db, hands, EventsOptions())


async def test_an_event_is_a_row_with_all_it_knew(db: Database, log: AuditLog, hands: Hands) -> None:
    Events(hands, log).tell(
        "session.created",
        Visit(door="legacy", caller="portal"),
        user=UserId(7),
        client=ClientId("app"),
        sid="0123456789abcdef",
        session="s" * 22,
        amr=("pwd", "otp"),
        reason="fresh",
        via="portal",
    )
    await log.flush()
    (row,) = await _rows(db)
    assert {name: value for name, value in row.items() if name != "id"} == {
        "at": NOW,
        "kind": "session.created",
        "user_id": 7,
        "actor": "portal",
        "client_id": "app",
        "door": "legacy",
        "ip": None,
        "sid": "01234567",
        "session_id": "s" * 22,
        "amr": "pwd otp",
        "reason": "fresh",
        "details": '{"via": "portal"}',
    }


async def test_rows_are_written_within_a_second_without_being_asked_for(db: Database, log: AuditLog) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(log.run)
        log.hear(Event(kind="login.ok"))
        assert log.waiting == 1
        with LetRun() as ran:
            await until(partial(_rows, db))
        assert len(await _rows(db)) == 1 and ran.seconds < 1
        group.cancel_scope.cancel()


async def test_closing_writes_what_waits_however_much_it_is(db: Database, log: AuditLog) -> None:
    for number in range(MOST_ROWS + 7):
        log.hear(Event(kind="login.ok", reason=str(number)))
    await log.close()
    assert [row["reason"] for row in await _rows(db)] == [str(number) for number in range(MOST_ROWS + 7)]


async def test_no_row_is_written_twice_by_two_flushes_at_once(db: Database, log: AuditLog) -> None:
    for _ in range(50):
        log.hear(Event(kind="login.ok"))
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(log.flush)
    assert len(await _rows(db)) == 50


async def test_no_row_is_written_twice_when_the_writer_is_ended_before_it_hears_of_it(
    db: Database, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_rows, written = log._insert, anyio.Event()

    async def slowly(events: list[Event]) -> bool:
        done = await insert_rows(events)
        written.set()
        await anyio.sleep(0.05)
        return done

    monkeypatch.setattr(log, "_insert", slowly)
    log.hear(Event(kind="session.created", at=NOW))
    running = asyncio.create_task(log.run())
    await written.wait()
    running.cancel()
    await log.close()
    assert len(await _rows(db)) == 1


async def test_while_the_database_is_away_rows_wait_and_the_overflow_is_counted_in_a_row(sqlite_url: str) -> None:
    async with opened(sqlite_url, patience=0.2) as holder, opened(sqlite_url, patience=0.2) as db:
        log = AuditLog(db, Hands(NOW), EventsOptions(audit_queue=3))
        async with holder.begin():
            for _ in range(5):
                log.hear(Event(kind="login.ok"))
            with pytest.raises(Unavailable):
                await log.flush()
            assert (log.waiting, log.lost) == (3, 2)
        await log.flush()
        rows = await _rows(db)
        assert [row["kind"] for row in rows] == ["login.ok"] * 3 + ["audit.lost"]
        assert json.loads(rows[-1]["details"]) == {"rows": "2"}
        await log.flush()
        assert len(await _rows(db)) == 4


async def test_losing_rows_is_said_in_the_log_once(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(sqlite_url) as db:
        log = AuditLog(db, Hands(NOW), EventsOptions(audit_queue=1))
        for _ in range(4):
            log.hear(Event(kind="login.ok"))
        assert [record.message for record in caplog.records] == ["audit rows are being lost"]


async def test_closing_without_a_database_says_what_is_lost(sqlite_url: str) -> None:
    async with opened(sqlite_url, patience=0.2) as holder, opened(sqlite_url, patience=0.2) as db, holder.begin():
        log = AuditLog(db, Hands(NOW), EventsOptions())
        log.hear(Event(kind="login.ok"))
        await log.close()
        assert (log.waiting, log.lost) == (0, 1)


async def test_a_powerful_action_and_its_row_happen_together_or_not_at_all(
    db: Database, log: AuditLog, hands: Hands
) -> None:
    events = Events(hands, log)
    event = events.make("user.changed", user=UserId(7), reason="email")

    async def change(*, fails: bool) -> Event:
        async with db.begin() as tx:
            await tx.execute(insert(versions).values(name="x", version=1))
            kept = await log.write(tx, event)
            if fails:
                raise ZeroDivisionError
        return events.announce(kept)

    with pytest.raises(ZeroDivisionError):
        await change(fails=True)
    assert await _rows(db) == []
    await change(fails=False)
    await log.flush()
    assert [row["kind"] for row in await _rows(db)] == ["user.changed"]  # once: not again by the batch


async def test_an_action_whose_row_cannot_be_written_does_not_happen(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        log = AuditLog(db, Hands(NOW), EventsOptions())
        async with db.begin() as tx:
            await tx.execute(text("DROP TABLE audit"))

        async def change() -> None:
            async with db.begin() as tx:
                await tx.execute(insert(versions).values(name="x", version=1))
                await log.write(tx, Event(kind="user.changed"))

        with pytest.raises(Exception, match="no such table"):
            await change()
        async with db.read() as tx:
            assert (await tx.execute(select(versions))).all() == []


async def test_rows_that_are_refused_do_not_hold_up_later_ones(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        log = AuditLog(db, Hands(NOW), EventsOptions())
        async with db.begin() as tx:
            await tx.execute(text("ALTER TABLE audit RENAME TO elsewhere"))
        log.hear(Event(kind="login.ok"))
        await log.flush()
        assert (log.waiting, log.lost) == (0, 1)
        async with db.begin() as tx:
            await tx.execute(text("ALTER TABLE elsewhere RENAME TO audit"))
        log.hear(Event(kind="login.fail"))
        await log.flush()
        assert [row["kind"] for row in await _rows(db)] == ["login.fail", "audit.lost"]


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("credential.refused", 2),
        ("token.refused", 2),
        ("session.refused", 2),
        ("reset.refused", 2),
        ("login.fail", 20),
        ("login.blocked", 20),
        ("reset.requested", 20),
        ("upstream.down", 20),
    ],
)
async def test_what_anybody_can_cause_has_so_many_rows_a_minute_and_one_for_the_rest(
    sqlite_url: str, hands: Hands, kind: EventKind, own: int
) -> None:
    async with opened(sqlite_url) as db:
        log = AuditLog(db, hands, EventsOptions(audit_refusals=2))
        for minute in range(3):
            for _ in range(5):
                for _ in range(8):
                    log.hear(Event(kind=kind))
                await log.flush()
            assert len(await _rows(db)) <= (own + 1) * (minute + 1)
            hands.move(60)
        await log.close()
        rows = await _rows(db)
    told = [int(json.loads(row["details"])["rows"]) for row in rows if row["reason"] == "too-many"]
    assert {row["kind"] for row in rows} == {kind}
    assert (len(rows) - len(told), sum(told)) == (own * 3, (40 - own) * 3)
    assert log.lost == 0


async def test_one_kind_takes_no_rows_from_another_and_what_the_known_do_has_no_budget(
    sqlite_url: str, hands: Hands
) -> None:
    kinds: list[EventKind] = ["token.refused", "token.refused", "session.refused", "user.changed", "user.changed"]
    async with opened(sqlite_url) as db:
        log = AuditLog(db, hands, EventsOptions(audit_refusals=1))
        for kind in kinds:
            log.hear(Event(kind=kind))
        assert log.waiting == 4


async def test_no_planted_secret_reaches_the_table(db: Database, log: AuditLog) -> None:
    for event in with_secrets():
        log.hear(event)
    await log.flush()
    table = repr(await _rows(db)) + "\n".join([line async for line in export(db, since=0)])
    assert not [name for name, secret in OPAQUE.items() if secret in table]
    assert PASSWORD not in table
    assert json.dumps(PASSWORD)[1:-1] not in table


async def test_whatever_a_caller_writes_fits_and_is_one_line(db: Database, log: AuditLog) -> None:
    """NUL is refused by PostgreSQL, half a surrogate by every driver, and what is too long by all but SQLite."""
    wild = 'x\n{"kind":"login.ok"}\0\ud800\u2028' + "🐚" * 5_000
    log.hear(
        Event(kind="login.fail", actor=wild, client=ClientId(wild), reason=wild, details={wild: wild}, amr=(wild,))
    )
    await log.flush()
    assert log.lost == 0
    (line,) = [line async for line in export(db, since=0)]
    assert not set(line) & set("\n\0\u2028")
    assert json.loads(line)["reason"].startswith('x\\n{"kind"')


async def test_what_every_request_does_is_not_kept(log: AuditLog) -> None:
    log.hear(Event(kind="token.issued"))
    assert log.waiting == 0


async def test_rows_older_than_the_setting_are_forgotten(db: Database, hands: Hands) -> None:
    for days, left in ((0, 2), (10, 1)):
        log = AuditLog(db, hands, EventsOptions(audit_days=days))
        if not days:
            for age in (10 * DAY + 1, 10 * DAY):
                log.hear(Event(kind="login.ok", at=NOW - age))
            await log.flush()
        assert await log.forget() == 2 - left
        assert len(await _rows(db)) == left


async def test_an_export_tells_every_row_since_then_in_order_over_many_pages(db: Database, log: AuditLog) -> None:
    for number in range(PAGE + 3):
        log.hear(Event(kind="login.ok", at=NOW - 1 if number < 2 else NOW, reason=str(number)))
    await log.flush()
    lines = [json.loads(line) async for line in export(db, since=NOW)]
    assert [line["reason"] for line in lines] == [str(number) for number in range(2, PAGE + 3)]
    assert lines[0]["at"] == "2027-01-15T08:00:00.500Z"


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="audit_queue"):
        EventsOptions(audit_queue=0)
    with pytest.raises(ConfigError, match="audit_refusals"):
        EventsOptions(audit_refusals=0)
    with pytest.raises(ConfigError, match="log_refusals"):
        EventsOptions(log_refusals=0)


async def _rows(db: Database) -> list[dict[str, Any]]:
    async with db.read() as tx:
        return [dict(row) for row in (await tx.execute(select(audit).order_by(audit.c.id))).mappings()]
