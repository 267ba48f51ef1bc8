"""Opening and closing: once, whole or not at all, and nothing that was begun is lost — engine §11; DESIGN §5."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

from bridge.app import Bridge, work
from bridge.app.production import DEMO_IN_PRODUCTION, DEMO_USER
from bridge.database.database import Database
from bridge.database.tables import audit, outbox, users, versions
from bridge.errors import ConfigError, Unavailable
from bridge.legacy.actions import Action, Caller, success
from bridge.legacy.actions import Answer as LegacyAnswer
from bridge.legacy.params import Params
from bridge.middleware.visitor import UnknownUser
from bridge.secret import Secret
from bridge.types import Visit
from tests.app.conftest import Make
from tests.app.scene import HTML, Answer, ask, get, request
from tests.databases import opened
from tests.patience import PATIENCE, LetRun
from tests.running import ADA, DEV, LI, PASSWORD

DAY = 86_400
TOKEN = "A" * 11 + "b" * 29
WITH_COOKIE = {"cookie": f"__Host-login_auth_tk={TOKEN}"}


class Counted:
    """Calls of an async function, which may be told to fail or to wait."""

    def __init__(self, really: Callable[..., Awaitable[Any]]) -> None:
        self.really = really
        self.calls = 0
        self.error: Exception | None = None
        self.wait = 0.0

    async def __call__(self, *arguments: Any, **more: Any) -> Any:
        self.calls += 1
        await asyncio.sleep(self.wait)
        if self.error is not None:
            raise self.error
        return await self.really(*arguments, **more)


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Counted:
    made = Counted(getattr(owner, name))
    monkeypatch.setattr(owner, name, made)
    return made


async def test_a_start_that_finds_all_in_order_asks_sql_little_and_writes_once(make: Make) -> None:
    first = make()
    async with first.running():
        pass
    bridge, said = make(), list[str]()

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement.split(maxsplit=1)[0])

    event.listen(bridge.rooms.database.engine.sync_engine, "before_cursor_execute", hear)
    await bridge.open()
    assert (said.count("BEGIN"), len(said) <= 16) == (1, True), said
    await bridge.close()


async def test_of_many_first_requests_one_opens(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = make()
    opening = counted(monkeypatch, bridge.rooms.database, "open")
    opening.wait = 0.05
    answers = await asyncio.gather(*(get(bridge, "/oauth/jwks") for _ in range(50)))
    assert {answer.status for answer in answers} == {200} and opening.calls == 1
    await bridge.close()


async def test_a_request_to_an_open_bridge_takes_no_lock(make: Make) -> None:
    bridge = make()
    host = bridge.middleware(bridge)
    async with bridge.running(), bridge._opening:
        async with asyncio.timeout(PATIENCE):
            assert (await get(bridge, "/oauth/jwks")).status == 200
            assert (await get(host, "/login", headers={"accept": HTML})).status == 200
            assert (await bridge.who(request("/", headers=WITH_COOKIE))).alive is None


STEPS: list[tuple[str, str]] = [
    ("database", "open"),
    ("raw_store", "open"),
    ("raw_store", "read"),
    ("keyring", "ensure"),
    ("reconciler", "tick"),
    ("versions", "poll"),
]


@pytest.mark.parametrize("error", [Unavailable("gone"), ConfigError("wrong"), RuntimeError("boom")], ids=str)
@pytest.mark.parametrize(("room", "step"), STEPS)
async def test_what_was_opened_is_released_when_the_rest_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, room: str, step: str, error: Exception
) -> None:
    bridge = make()
    failing = counted(monkeypatch, getattr(bridge.rooms, room), step)
    failing.error = error
    tidied = [counted(monkeypatch, each, "close") for each in (bridge.rooms.database, bridge.rooms.raw_store)]
    tasks = asyncio.all_tasks()
    with pytest.raises(type(error), match=str(error)):
        await bridge.open()
    reached = STEPS.index((room, step))
    assert [each.calls for each in tidied] == [1, 1 if reached else 0]
    assert asyncio.all_tasks() == tasks
    failing.error = None
    async with bridge.running():
        assert (await get(bridge, "/readyz")).status == 200


@pytest.mark.parametrize("error", [Unavailable("gone"), ConfigError("wrong"), Unavailable()], ids=str)
async def test_what_cannot_be_opened_is_503_and_soon_tried_again(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Security S18: never a 500, nobody is taken for somebody, and pages that ask for nobody are served."""
    now = [500.0]
    bridge = make(monotonic=lambda: now[0])
    opening = counted(monkeypatch, bridge.rooms.database, "open")
    opening.error = error
    for headers, kind in (({}, "application/json"), ({"accept": HTML}, "text/html; charset=utf-8")):
        answer = await get(bridge, "/login", headers=headers)
        assert (answer.status, answer.header("content-type")) == (503, kind)
        assert int(answer.header("retry-after") or 0) > 0
    assert (await get(bridge, "/healthz")).status == 200
    assert (await get(bridge, "/readyz")).status == 503
    assert (await bridge.who(request("/"))).alive is None
    assert isinstance((await bridge.who(request("/", headers=WITH_COOKIE))).user, UnknownUser)
    with pytest.raises(Unavailable):
        await bridge.local_api("WhmcsDetails")
    assert opening.calls == 1  # within the same second
    assert [record.levelno for record in caplog.records if "cannot be opened:" in record.message] == [logging.CRITICAL]
    opening.error = None
    now[0] += 1.1
    assert (await get(bridge, "/login", headers={"accept": HTML})).status == 200
    await bridge.close()


async def test_the_local_api_opens_it_too(make: Make) -> None:
    bridge = make()
    said = await bridge.local_api("ValidateLogin", {"email": ADA, "password2": PASSWORD})
    assert said["result"] == "success"
    await bridge.close()


async def test_the_bridge_answers_the_actions_that_it_owns_and_the_operators_own(make: Make) -> None:
    async def run(params: Params, caller: Caller) -> LegacyAnswer:
        return success(own=True)

    own = [Action(name=name, run=run, parameters=frozenset()) for name in ("WhmcsDetails", "MyAction")]
    bridge = make({("legacy", "actions"): ["validatelogin"]}, actions=own)
    unknown = {"result": "error", "message": "The requested API Action could not be found"}
    async with bridge.running():
        for name, expected in (("ResetPassword", unknown), ("WhmcsDetails", {"result": "success", "own": True})):
            assert await bridge.local_api(name) == expected
        assert await bridge.local_api("MyAction") == {"result": "success", "own": True}
        assert (await bridge.local_api("ValidateLogin"))["message"] == "Email or Password Invalid"


async def test_an_action_that_there_is_not_stops_the_start(make: Make) -> None:
    with pytest.raises(ConfigError, match=r"legacy\.actions: there is no action validatelogn"):
        make({("legacy", "actions"): ["ValidateLogn"]})


async def test_a_closed_bridge_answers_503_until_it_is_opened_again(make: Make) -> None:
    bridge = make()
    async with bridge.running():
        assert (await get(bridge, "/oauth/jwks")).status == 200
    assert (await get(bridge, "/oauth/jwks")).status == 503
    assert isinstance((await bridge.who(request("/", headers=WITH_COOKIE))).user, UnknownUser)
    async with bridge.running():
        assert (await get(bridge, "/oauth/jwks")).status == 200
    await bridge.close()
    await bridge.close()


class Slow:
    """A POST whose body comes late."""

    def __init__(self, bridge: Bridge) -> None:
        self.answer = Answer()
        self._come = asyncio.Event()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        self._task = asyncio.create_task(
            bridge(request("/oauth/token", "POST", headers=headers), self._receive, self._send)
        )

    async def end(self) -> Answer:
        self._come.set()
        await self._task
        return self.answer

    async def _receive(self) -> Any:
        await self._come.wait()
        body = b"grant_type=authorization_code&client_id=spa&code=lbc_x&code_verifier=x&redirect_uri=x"
        return {"type": "http.request", "body": body}

    async def _send(self, message: Any) -> None:
        self.answer.messages.append(message)


async def test_requests_under_way_are_finished_before_anything_is_closed(make: Make) -> None:
    bridge = make({("store", "url"): "memory://"})
    await bridge.open()
    slow = [Slow(bridge) for _ in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(bridge.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    assert (await get(bridge, "/oauth/jwks")).status == 503  # who comes now
    for each in slow:
        answer = await each.end()
        assert answer.whole and answer.status == 400 and json.loads(answer.body)["error"] == "invalid_grant"
    await asyncio.wait_for(closing, PATIENCE)


async def test_it_waits_no_longer_than_it_was_told(make: Make) -> None:
    bridge = make({("server", "graceful_timeout"): 0})
    await bridge.open()
    slow = Slow(bridge)
    await asyncio.sleep(0)
    with LetRun() as ran:
        await bridge.close()
    assert ran.seconds < 5
    answer = await slow.end()
    assert answer.whole and answer.status in (400, 503)


async def rows(database: Path, table: Any) -> list[Any]:
    async with opened(f"sqlite:///{database}") as db, db.read() as tx:
        return list((await tx.execute(select(table))).all())


async def test_closing_finishes_touches_resets_and_audit(make: Make, database: Path) -> None:
    store = f"sqlite:///{database.with_name('store.db')}"
    bridge = make({("store", "url"): store})
    async with bridge.running():
        said = await bridge.local_api("ValidateLogin", {"email": ADA, "password2": PASSWORD})
        headers = {"cookie": f"__Host-login_auth_tk={said['passwordhash']}"}
        visitor = await bridge.who(request("/", headers=headers))
        assert visitor.alive is not None and visitor.alive.record.last < visitor.alive.record.iat  # never used yet
        bridge.used(visitor.alive)
        bridge.rooms.resets.ask(ADA, Visit("pages"))
    jobs = [(row.purpose, row.state) for row in await rows(database, outbox)]
    assert jobs in ([("reset", "waiting")], [("reset", "sent")])
    kinds = [row.kind for row in await rows(database, audit)]
    assert {"login.ok", "session.created", "reset.requested"} <= set(kinds)
    async with bridge.running():
        visitor = await bridge.who(request("/", headers=headers))
        assert visitor.alive is not None and visitor.alive.record.last >= visitor.alive.record.iat


async def test_a_letter_that_is_being_sent_is_sent_once(
    make: Make, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = make({("mail", "url"): f"file:{tmp_path / 'mail'}"})
    mailer, under_way = bridge._work._post._mailer, asyncio.Event()
    really = mailer.send

    async def slowly(*arguments: Any, **more: Any) -> Any:
        under_way.set()
        await asyncio.sleep(0.3)
        return await really(*arguments, **more)

    monkeypatch.setattr(mailer, "send", slowly)
    async with bridge.running():
        bridge.rooms.resets.ask(ADA, Visit("pages"))
        await asyncio.wait_for(under_way.wait(), PATIENCE)
    assert [row.state for row in await rows(database, outbox)] == ["sent"]
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1


async def test_a_database_that_hangs_does_not_keep_the_process_alive(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "DRAIN_SECONDS", 0.1)
    bridge = make()
    await bridge.open()
    hangs, ends = asyncio.Event(), asyncio.Event()

    async def hanging(*_: object) -> bool:
        hangs.set()
        await ends.wait()
        return True

    monkeypatch.setattr(bridge.rooms.audit, "_insert", hanging)
    bridge.rooms.events.tell("login.fail")
    await asyncio.wait_for(hangs.wait(), PATIENCE)
    await asyncio.wait_for(bridge.close(), PATIENCE)
    ends.set()


async def test_tables_of_another_version_are_refused(make: Make, database: Path) -> None:
    async with opened(f"sqlite:///{database}") as db, db.begin() as tx:
        await tx.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(ConfigError, match="login-bridge migrate"):
        await make().open()


async def test_no_task_is_left_behind(make: Make) -> None:
    before, bridge = asyncio.all_tasks(), make()
    for _ in range(2):
        async with bridge.running():
            await get(bridge, "/readyz")
        assert asyncio.all_tasks() == before


async def test_the_dev_profile_answers_421_before_it_opens_anything(make: Make) -> None:
    bridge = make({**DEV, ("server", "base_url"): "http://127.0.0.1:8000"})
    for path in ("/login", "/nowhere", "/healthz", "/metrics"):
        assert (await get(bridge, path, headers={"host": "login.example.com"})).status == 421
    assert not bridge._open


async def count(database: Database, table: Any) -> int:
    async with database.read() as tx:
        return (await tx.execute(select(func.count()).select_from(table))).scalar_one()


async def test_in_production_nothing_opens_where_the_demos_user_could_sign_in(
    make: Make, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Security §27: mounted, nobody ran the commands that look at it before."""
    async with opened(f"sqlite:///{database}") as db:
        beside = make().rooms
        people = beside.users
        people._db = db
        demo = await people.create(email=DEMO_USER, password=Secret(PASSWORD))
        with pytest.raises(ConfigError, match=f"^{DEMO_IN_PRODUCTION}$"):
            await make().open()
        mounted = make()
        assert (await get(mounted, "/login", headers={"accept": HTML})).status == 503
        assert DEMO_IN_PRODUCTION in caplog.text and not mounted._open
        await mounted.close()
        here = {**DEV, ("server", "base_url"): "http://127.0.0.1:8000"}
        async with make(here).running():
            pass
        await people.disable(demo.id)
        async with make().running():
            pass
        await beside.database.close()  # it was asked for the versions of what had changed


@pytest.mark.parametrize(
    ("given", "days"),
    [
        ({("sessions", "longest"): 5 * DAY, ("grants", "refresh_absolute"): 2 * DAY}, 6),
        ({("sessions", "longest"): 2 * DAY, ("grants", "refresh_absolute"): 7 * DAY}, 8),
        ({("sessions", "longest"): DAY // 2, ("grants", "refresh_absolute"): 60, ("grants", "access"): DAY}, 2),
    ],
    ids=["session", "refresh token", "access token"],
)
async def test_a_start_looks_at_those_whom_an_ending_still_concerns(
    make: Make, database: Path, given: dict[tuple[str, str], int], days: int
) -> None:
    """Security §3: of older stamps nothing lives that they could have ended; a day is for clocks that differ."""
    idle = {("grants", "refresh_idle"): min(given["grants", "refresh_absolute"], DAY)}
    async with opened(f"sqlite:///{database}") as db, db.begin() as tx:
        await tx.execute(delete(versions))  # where this database was made, 30 days were allowed
    bridge = make({**given, **idle})
    rooms = bridge.rooms
    async with bridge.running():
        ada, li = [await rooms.users.by_email(email) for email in (ADA, LI)]
        assert ada is not None and li is not None
        for user, ago in ((ada, days * DAY - 60), (li, days * DAY + 3_600)):
            async with rooms.database.begin() as tx:
                changed = int(rooms.clock.now()) - ago
                await tx.execute(update(users).where(users.c.id == user.id).values(stamp_changed_at=changed))
        looked_at = {one.user for one in (await rooms.endings.recent(None)).users}
        assert ada.id in looked_at and li.id not in looked_at


async def test_a_listener_that_fails_fails_alone(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def hear(self, event: Any) -> None:
            raise RuntimeError("the operator's own bug")

    bridge = make(listeners=[Broken()])
    async with bridge.running():
        said = await bridge.local_api("ValidateLogin", {"email": ADA, "password2": PASSWORD})
        assert said["result"] == "success"
        await bridge.rooms.audit.flush()
        assert await count(bridge.rooms.database, audit) > 0
    assert "a listener failed to hear" in caplog.text


async def test_a_websocket_to_the_bridge_is_refused(make: Make) -> None:
    answer = await ask(make(), request("/login", type="websocket", subprotocols=[]))
    assert [message["type"] for message in answer.messages] == ["websocket.close"]
