"""A satellite on a shared Redis, with the ACL it is given and nothing more — DESIGN §7, security §11; S13."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import redis.asyncio as redis_client
import uvicorn

from bridge.api import Redeem, Touch, endpoints, redeem, touch
from bridge.asgi import ASGIApp, Proxies, Receive, Reply, Scope, Send, json_reply
from bridge.clients.credential import Credential
from bridge.clock import SystemClock
from bridge.errors import ConfigError
from bridge.middleware import BridgeMiddleware, Satellite
from bridge.sessions.birth import Born
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import parse_record_keys, show_record_keys
from bridge.sessions.sessions import Sessions
from bridge.sessions.ticket import ARRIVAL, TicketWish
from bridge.stores.acl import satellite_rules
from bridge.stores.store import Put, Store
from bridge.stores.url import open_store
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken, digest, new_id
from bridge.types import UserId
from tests.api.test_touch import Credentials
from tests.middleware.scene import Ann, Answer, ask, cookie, says_who
from tests.patience import PATIENCE, until
from tests.servers import LOOPBACK, free_port
from tests.sessions.world import ANN, VISIT, World
from tests.stores.servers import patient

ROOT = Path(__file__).parents[2]
SHOP = "https://shop.example"
FORM = (b"content-type", b"application/x-www-form-urlencoded")
BOUND = 2.0  # seconds within which everybody sees a revocation


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here is about a bridge that is late."""
    monkeypatch.setattr("bridge.middleware.satellite.ANSWER_SECONDS", PATIENCE)


@pytest.fixture
async def redis_store(redis_url: str) -> AsyncIterator[Store]:
    """The store as the bridge has it."""
    opened = patient(open_store(redis_url, clock=SystemClock()))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def world(redis_store: Store) -> World:
    """An instance whose clock is the real one, as its satellites have it."""
    world = World(redis_store, options=SessionOptions(ticket_origins=(SHOP,)))
    world.clock.move(time.time() - world.clock.now())
    return world


@pytest.fixture
async def reader_url(redis_url: str, world: World) -> AsyncIterator[str]:
    """The same Redis for a user with a satellite's rights."""
    password = secrets.token_hex(8)
    name = f"satellite-{secrets.token_hex(4)}"
    admin = redis_client.from_url(redis_url)
    rules = satellite_rules(world.names.prefix).split()
    await admin.execute_command("ACL", "SETUSER", name, "on", f">{password}", *rules)  # type: ignore[no-untyped-call]
    parts = urlsplit(redis_url)
    yield f"redis://{name}:{password}@{parts.hostname}:{parts.port}{parts.path}"
    await admin.execute_command("ACL", "DELUSER", name)  # type: ignore[no-untyped-call]
    await admin.aclose()


class Bridge:
    """The bridge's API over real HTTP, as far as satellites call it."""

    def __init__(self, world: World) -> None:
        self.people: dict[UserId, Ann] = {ANN: Ann()}
        self.credentials = Credentials()
        self.credentials.portal = Credential(
            name="portal", identifier="id-of-portal", actions=frozenset({touch.ACTION, redeem.ACTION})
        )
        self.calls = 0
        self._touch = Touch(
            sessions=world.sessions,
            people=self._person,
            credentials=self.credentials,
            proxies=Proxies(),
            events=world.events,
        )
        self._redeem = Redeem(
            tickets=world.tickets, credentials=self.credentials, proxies=Proxies(), events=world.events
        )

    async def _person(self, user: UserId, /) -> Ann | None:
        self.calls += 1
        return self.people.get(user)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with served(self) as url:
            yield url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = endpoints(touch=self._touch, redeem=self._redeem)[scope["path"]]
        await endpoint(scope, receive, send)


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The app on a loopback port, in this very loop."""
    config = uvicorn.Config(app, LOOPBACK, free_port(), log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield f"http://{LOOPBACK}:{config.port}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def satellite(world: World, url: str, bridge: str | None = None) -> AsyncIterator[Satellite]:
    """A satellite of that world."""
    made = Satellite(
        url,
        issuer=world.issuer,
        record_keys=show_record_keys(world.keys),
        bridge_url=bridge,
        credential=("id-of-portal", "s3cret") if bridge else None,
        clock=world.clock,
    )
    patient(made._store)
    try:
        yield made
    finally:
        await made.close()


async def names(app: Satellite, born: Born) -> str:
    """Who the satellite says is there."""
    answer = await ask(BridgeMiddleware(says_who, app), headers=[cookie(born.child or born.token)])
    assert answer.status == 200
    return str(answer.json["name"] or answer.json["scopes"])


async def test_a_satellite_without_the_api_knows_that_somebody_is_there(world: World, reader_url: str) -> None:
    born = await world.login()
    async with satellite(world, reader_url) as app:
        assert await names(app, born) == "['authenticated']"
        await world.sessions.end(ANN, born.token.tag, born.record.id, "you")
        assert await names(app, born) == "[]"


async def test_a_session_that_is_used_there_alone_idles_out(world: World, reader_url: str) -> None:
    born = await world.login()
    async with satellite(world, reader_url) as app:
        world.clock.move(world.options.idle - 10)
        assert await names(app, born) == "['authenticated']"
        world.clock.move(20)
        assert await names(app, born) == "[]"


async def test_a_satellite_touches_through_the_api_and_learns_who_it_is(world: World, reader_url: str) -> None:
    born, bridge = await world.login(), Bridge(world)
    async with bridge.serving() as url, satellite(world, reader_url, url) as app:
        assert await names(app, born) == "Ann Example"
        world.clock.move(300)
        assert await names(app, born) == "Ann Example"
    assert (await world.alive(born.child, "middleware")).record.last == born.record.last + 300


async def test_the_bridge_is_asked_again_only_when_users_changed(world: World, reader_url: str) -> None:
    """A profile is believed while the version of the users, which changes with each of them, is what it was."""
    born, bridge = await world.login(), Bridge(world)
    version = world.names.version("users")
    await world.store.commit(Put(version, b"1", 60))
    since_start = Hands(0)
    async with bridge.serving() as url, satellite(world, reader_url, url) as app:
        app._versions._monotonic = since_start.now
        for _ in range(5):
            assert await names(app, born) == "Ann Example"
            since_start.move(BOUND)  # it asks for the version again, and that is what it was
        assert bridge.calls == 1
        assert await names(app, born) == "Ann Example"
        bridge.people[ANN] = Ann(name="Ann Newname", groups=())
        await world.store.commit(Put(version, b"2", 60))
        since_start.move(BOUND)
        assert await names(app, born) == "Ann Newname"
        assert bridge.calls == 2


async def test_a_bridge_that_does_not_answer_leaves_the_user_unknown(world: World, reader_url: str) -> None:
    born = await world.login()
    async with satellite(world, reader_url, f"http://{LOOPBACK}:{free_port()}") as app:
        answer = await ask(BridgeMiddleware(says_who, app), headers=[cookie(born.child)])
        assert (answer.status, answer.values(b"retry-after")) == (503, [b"2"])


async def test_a_refused_credential_and_a_redirect_are_no_answer(
    world: World, reader_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    born, bridge = await world.login(), Bridge(world)
    asked: list[str] = []

    async def elsewhere(scope: object, receive: object, send: object) -> None:
        asked.append("elsewhere")

    async def redirects(scope: Scope, receive: Receive, send: Send) -> None:
        await Reply(302, headers=[(b"location", target.encode() + b"/")])(scope, receive, send)

    async with served(elsewhere) as target, served(redirects) as url, satellite(world, reader_url, url) as app:
        assert (await ask(BridgeMiddleware(says_who, app), headers=[cookie(born.child)])).status == 503
    assert asked == []
    bridge.credentials.portal = Credential(name="portal", identifier="another")
    async with bridge.serving() as url, satellite(world, reader_url, url) as app:
        assert (await ask(BridgeMiddleware(says_who, app), headers=[cookie(born.child)])).status == 503
    assert "refuses the satellite's credential" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_session_that_the_bridge_says_is_over_is_nobody(world: World, reader_url: str) -> None:
    born, bridge = await world.login(), Bridge(world)
    bridge.people.clear()
    async with bridge.serving() as url, satellite(world, reader_url, url) as app:
        assert await names(app, born) == "[]"


async def bring(world: World, app: Satellite) -> Answer:
    """A browser brings a ticket to the satellite's own host."""
    held = new_id()
    wish = TicketWish(origin=SHOP, binding=digest(held), next="/orders")
    ticket = await world.tickets.issue(await world.alive((await world.login()).token), wish, VISIT)
    assert isinstance(ticket, LoginToken)
    jar = (b"cookie", f"__Host-lb_begun={held}".encode())
    body = b"ticket=" + ticket.text.reveal_bytes()
    shop = BridgeMiddleware(says_who, app, origin=SHOP)
    return await ask(shop, path=ARRIVAL, method="POST", headers=[FORM, jar], body=body)


async def test_a_satellite_redeems_a_ticket_through_the_api(world: World, reader_url: str) -> None:
    async with Bridge(world).serving() as url, satellite(world, reader_url, url) as app:
        answer = await bring(world, app)
        assert (answer.status, answer.values(b"location")) == (303, [b"/orders"])
        token = LoginToken.parse(answer.values(b"set-cookie")[0].partition(b"=")[2][:40].decode())
        known = await ask(BridgeMiddleware(says_who, app, origin=SHOP), headers=[cookie(token)])
        assert known.json["name"] == "Ann Example"


async def test_a_refused_ticket_leads_to_the_issuer(world: World, reader_url: str) -> None:
    async with Bridge(world).serving() as url, satellite(world, reader_url, url) as app:
        jar = (b"cookie", b"__Host-lb_begun=" + b"x" * 22)
        shop = BridgeMiddleware(says_who, app, origin=SHOP)
        answer = await ask(shop, path=ARRIVAL, method="POST", headers=[FORM, jar], body=b"ticket=" + b"x" * 40)
        assert answer.values(b"location") == [f"{world.issuer}/login/ticket?refused=unknown".encode()]
        assert answer.values(b"set-cookie") == []


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        "redeemed",
        {"result": "redeemed"},
        {"result": "redeemed", "token": "short", "next": "/"},
        {"result": "redeemed", "token": None, "next": "/"},
        {"result": "refused"},
    ],
)
async def test_an_answer_that_is_none_signs_nobody_in(world: World, reader_url: str, said: object) -> None:
    async def nonsense(scope: Scope, receive: Receive, send: Send) -> None:
        await json_reply(said)(scope, receive, send)

    async with served(nonsense) as url, satellite(world, reader_url, url) as app:
        answer = await bring(world, app)
        assert (answer.status, answer.values(b"set-cookie")) == (503, [])


async def test_a_reason_of_a_later_version_is_a_refusal_too(world: World, reader_url: str) -> None:
    async def later(scope: Scope, receive: Receive, send: Send) -> None:
        await json_reply({"result": "refused", "reason": "of a later version"})(scope, receive, send)

    async with served(later) as url, satellite(world, reader_url, url) as app:
        assert (await bring(world, app)).values(b"location")[0].endswith(b"?refused=unknown")


async def test_a_credential_that_may_not_redeem_signs_nobody_in(
    world: World, reader_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = Bridge(world)
    bridge.credentials.portal = Credential(name="portal", identifier="id-of-portal", actions=frozenset({touch.ACTION}))
    async with bridge.serving() as url, satellite(world, reader_url, url) as app:
        assert (await bring(world, app)).status == 503
    assert "refuses the satellite's credential" in caplog.text and "s3cret" not in caplog.text


async def test_what_comes_without_its_cookie_is_told_in_the_apps_log(
    world: World, reader_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with satellite(world, reader_url, f"http://{LOOPBACK}:{free_port()}") as app:
        shop = BridgeMiddleware(says_who, app, origin=SHOP)
        answer = await ask(shop, path=ARRIVAL, method="POST", headers=[FORM], body=b"ticket=" + b"x" * 40)
        assert answer.values(b"location")[0].endswith(b"?refused=other-browser")
    assert "ticket.refused: other-browser" in caplog.text


async def test_an_app_with_an_origin_needs_the_api(world: World, reader_url: str) -> None:
    async with satellite(world, reader_url) as app:
        with pytest.raises(ConfigError, match="bridge_url and credential"):
            BridgeMiddleware(says_who, app, origin=SHOP)


async def test_11_a_satellite_can_write_nothing(world: World, reader_url: str) -> None:
    born = await world.login()
    reader = redis_client.from_url(reader_url)
    assert await reader.mget(world.names.session(born.token), world.names.stamp(born.token.tag)) != [None, None]
    for command in (
        ("SET", born.key, "x"),
        ("DEL", born.key),
        ("EXPIRE", born.key, "1"),
        ("EVAL", "return 1", "0"),
        ("KEYS", "*"),
        ("GET", f"{world.names.prefix}a:{{x}}:y"),
        ("GET", f"{world.names.prefix}q:{{x}}:y"),
        ("CONFIG", "GET", "*"),
        ("FLUSHALL",),
    ):
        with pytest.raises(redis_client.RedisError, match=r"(?i)perm"):
            await reader.execute_command(*command)  # type: ignore[no-untyped-call]
    await reader.aclose()


async def test_11_whoever_can_only_write_to_redis_signs_in_as_nobody(world: World, redis_url: str) -> None:
    """A record moved to another key, given to another user, or made up without the key."""
    mine, hers = await world.login(), await world.login(UserId(2))
    forged = mine.alive(world.codec).seen.replace(b'"uid":1', b'"uid":2')
    async with satellite(world, redis_url) as app:
        for value in (hers.alive(world.codec).seen, forged, b"1.k1." + b"0" * 64 + b"." + forged.split(b".", 3)[3]):
            await world.store.commit(Put(world.names.session(mine.child or mine.token), value, 60))
            assert await names(app, mine) == "[]"


async def test_s18_a_redis_that_does_not_answer_is_503(world: World) -> None:
    born = await world.login()
    async with satellite(world, f"redis://{LOOPBACK}:{free_port()}") as app:
        assert (await ask(BridgeMiddleware(says_who, app), headers=[cookie(born.child)])).status == 503
        assert (await ask(BridgeMiddleware(says_who, app))).status == 200


async def test_s13_another_process_sees_a_revocation_at_once(world: World, reader_url: str) -> None:
    """The bridge here, a satellite there, one Redis between them."""
    bridge = Bridge(world)
    async with bridge.serving() as url:
        with another_process(world, reader_url, url) as app:
            async with httpx2.AsyncClient(base_url=app, timeout=PATIENCE) as browser:
                await until(lambda: _answers(browser))
                for how in ("end", "end all", "end others"):
                    born = await world.login()
                    jar = {"cookie": cookie(born.child)[1].decode()}
                    assert await _name(browser, jar) == "Ann Example"
                    await _revoke(world.sessions, born, how, world)
                    assert await _name(browser, jar) == ""


async def _revoke(sessions: Sessions, born: Born, how: str, world: World) -> None:
    match how:
        case "end":
            await sessions.end(ANN, born.token.tag, born.record.id, "you")
        case "end all":
            await sessions.end_all(ANN, born.token.tag, "password")
        case _:
            await sessions.end_others(await world.alive((await world.login()).token))


async def _name(browser: httpx2.AsyncClient, jar: dict[str, str]) -> str:
    """Who is there, by the first answer that says so: with 503 it says that Redis or the bridge was late, as each may
    be once or twice."""
    for _ in range(3):
        if (reply := await browser.get("/", headers=jar)).status_code != 503:
            return str(reply.json()["name"])
    raise AssertionError("it could not tell")


async def _answers(browser: httpx2.AsyncClient) -> bool:
    try:
        await browser.get("/")
    except httpx2.TransportError:
        return False
    return True


@contextmanager
def another_process(world: World, url: str, bridge: str) -> Iterator[str]:
    """`examples/satellite.py` under uvicorn."""
    port = free_port()
    given = {
        "REDIS_URL": url,
        "ISSUER": world.issuer,
        "RECORD_KEYS": show_record_keys(world.keys),
        "BRIDGE_URL": bridge,
        "CREDENTIAL": json.dumps(["id-of-portal", "s3cret"]),
    }
    command = [sys.executable, "-m", "uvicorn", "examples.satellite:app", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **given}) as process:
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            process.terminate()


@pytest.mark.parametrize("text", ["", "k1", "k1:short", f"k 1:{'A' * 43}", f"k1:{'A' * 43}\nk1:{'B' * 42}A", "k1:é"])
def test_record_keys_are_read_strictly(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_record_keys(text)


def test_record_keys_are_read_as_they_are_shown() -> None:
    keys = {"new": bytes(range(32)), "old": bytes(32)}
    assert parse_record_keys(show_record_keys(keys)) == keys
    assert list(parse_record_keys(show_record_keys(keys))) == ["new", "old"]


@pytest.mark.parametrize(
    "given",
    [
        {"bridge_url": "https://login.example"},
        {"credential": ("a", "b")},
        {"bridge_url": "ftp://x", "credential": ("a", "b")},
    ],
)
def test_a_satellite_that_is_half_configured_does_not_start(given: dict[str, object]) -> None:
    keys = show_record_keys({"k1": bytes(32)})
    with pytest.raises(ConfigError):
        Satellite("redis://localhost", issuer="https://login.example", record_keys=keys, **given)  # type: ignore[arg-type]


async def test_a_satellite_is_closed_by_its_apps_lifespan(world: World, redis_url: str) -> None:
    made = Satellite(redis_url, issuer=world.issuer, record_keys=show_record_keys(world.keys), clock=world.clock)
    born = await world.login()
    async with made.lifespan():
        assert await names(made, born) == "['authenticated']"
