"""`/healthz`, `/readyz`, `/metrics`: who is told what — DESIGN §7; sessions-and-accounts §8.3."""

import asyncio
import json

import pytest

from bridge.app import health
from bridge.errors import Unavailable
from bridge.events import audit
from tests.app.conftest import Make
from tests.app.scene import HTML, ask, get, request
from tests.running import ADA, PASSWORD


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding is old at once."""
    monkeypatch.setattr(health, "FRESH", 0.0)


PROXY = {("server", "trusted_proxies"): ["10.0.0.0/8"]}
LOCAL, FAR, NEAR = "127.0.0.1", "203.0.113.7", "10.0.0.1"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_they_are_read_and_nothing_else(make: Make, path: str) -> None:
    bridge = make()
    async with bridge.running():
        whole, head = [await ask(bridge, request(path, method, client=LOCAL)) for method in ("GET", "HEAD")]
        assert whole.status == head.status == 200
        assert head.body == b"" and whole.body
        assert whole.header("cache-control") == "no-store"
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            answer = await ask(bridge, request(path, method, client=LOCAL))
            assert (answer.status, answer.header("allow")) == (405, "GET, HEAD")


async def test_a_process_that_can_serve_nobody_lives(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = make()
    async with bridge.running():

        async def gone(*_: object) -> None:
            raise Unavailable("gone")

        monkeypatch.setattr(bridge.rooms.raw_store, "read", gone)
        monkeypatch.setattr(bridge.rooms.database, "ping", gone)
        assert json.loads((await get(bridge, "/healthz")).body) == {"status": "ok"}


@pytest.mark.parametrize("missing", ["store", "database", "keys", "work"])
async def test_readyz_names_what_is_missing_and_no_more(
    make: Make, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    bridge = make()

    async def gone(*_: object) -> None:
        raise Unavailable("redis://user:hunter2@10.1.2.3:6379 does not answer")

    def none() -> list[object]:
        return []

    async with bridge.running():
        with monkeypatch.context() as patch:
            match missing:
                case "store":
                    patch.setattr(bridge.rooms.raw_store, "read", gone)
                case "keys":
                    patch.setattr(bridge.rooms.keyring, "published", none)
                case name:
                    patch.setitem(bridge._health._checks, name, gone)
            answer = await get(bridge, "/readyz")
        assert answer.status == 503
        said = json.loads(answer.body)
        assert said["status"] == "unavailable"
        assert {name for name, state in said.items() if state == "unavailable"} == {"status", missing}
        assert b"hunter2" not in answer.body and b"10.1.2.3" not in answer.body
        assert (await get(bridge, "/readyz")).status == 200


async def test_asking_often_costs_the_database_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, looks, now = make(), [0], [500.0]
    monkeypatch.setattr(health, "FRESH", 1.0)
    monkeypatch.setattr(bridge._health, "_monotonic", lambda: now[0])
    async with bridge.running():

        async def look() -> None:
            looks[0] += 1
            await asyncio.sleep(0.05)

        monkeypatch.setitem(bridge._health._checks, "database", look)
        answers = await asyncio.gather(*(get(bridge, "/readyz") for _ in range(50)))
        for _ in range(9):
            now[0] += 0.1
            answers.append(await get(bridge, "/readyz"))
        assert {answer.status for answer in answers} == {200} and looks[0] == 1
        now[0] += 0.2
        await get(bridge, "/readyz")
        assert looks[0] == 2


async def test_who_hangs_up_while_it_looks_disturbs_nobody(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bridge, looking, end = make(), asyncio.Event(), asyncio.Event()
    async with bridge.running():

        async def look() -> None:
            looking.set()
            await end.wait()

        monkeypatch.setitem(bridge._health._checks, "database", look)
        first = asyncio.create_task(get(bridge, "/readyz"))
        await looking.wait()
        second = asyncio.create_task(get(bridge, "/readyz"))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.sleep(0.01)
        assert first.cancelled() and not second.done()
        end.set()
        assert (await second).status == 200


@pytest.mark.parametrize(
    ("allowed", "client", "headers", "shown"),
    [
        ([], LOCAL, {}, True),
        ([], "::1", {}, True),
        ([], "::ffff:127.0.0.1", {}, True),
        ([], FAR, {}, False),
        ([], NEAR, {}, False),
        ([], LOCAL, {"x-forwarded-for": FAR}, False),  # a proxy on this machine that nobody told us of
        ([], LOCAL, {"x-forwarded-for": LOCAL}, False),
        ([], LOCAL, {"forwarded": f"for={FAR}"}, False),
        ([], LOCAL, {"x-real-ip": FAR}, False),
        ([], NEAR, {"x-forwarded-for": LOCAL}, True),  # trusted: it is believed
        ([], NEAR, {"x-forwarded-for": f"{LOCAL}, {FAR}"}, False),
        ([], NEAR, {"x-forwarded-for": FAR}, False),
        ([], FAR, {"x-forwarded-for": LOCAL}, False),
        (["198.51.100.0/24"], "198.51.100.9", {}, True),
        (["198.51.100.0/24"], NEAR, {"x-forwarded-for": "198.51.100.9"}, True),
        (["198.51.100.0/24"], FAR, {"x-forwarded-for": "198.51.100.9"}, False),
        (["198.51.100.0/24"], LOCAL, {}, False),
        (["10.0.0.0/8"], NEAR, {}, True),
        (["10.0.0.0/8"], NEAR, {"x-forwarded-for": FAR}, False),
    ],
)
async def test_figures_are_for_allowed_addresses(
    make: Make, allowed: list[str], client: str, headers: dict[str, str], shown: bool
) -> None:
    bridge = make({**PROXY, ("server", "metrics_allowed"): allowed})
    async with bridge.running():
        for accept in ("*/*", HTML):
            answer = await get(bridge, "/metrics", client=client, headers={**headers, "accept": accept})
            assert answer.status == (200 if shown else 404)
            if not shown:  # the very answer of a path that is nobody's
                nowhere = await get(bridge, "/nowhere", client=client, headers={**headers, "accept": accept})
                assert (answer.body, answer.messages[0]) == (nowhere.body, nowhere.messages[0])


async def test_who_has_no_address_reads_no_figures(make: Make) -> None:
    bridge = make()
    async with bridge.running():
        for client in (None, ("", 0)):
            scope = request("/metrics")
            scope["client"] = client
            assert (await ask(bridge, scope)).status == 404


async def test_figures_say_what_happened_and_what_waits(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCH_SECONDS", 3_600.0)  # what waits for the audit waits until it is asked for
    bridge = make({("mail", "url"): "file:/nowhere/that/can/be/written"})
    async with bridge.running():
        await bridge.local_api("ValidateLogin", {"email": ADA, "password2": PASSWORD})
        await bridge.local_api("ValidateLogin", {"email": ADA, "password2": "wrong"})
        text = (await get(bridge, "/metrics", client=LOCAL)).body.decode()
        lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert lines['bridge_events_total{kind="login.ok",reason=""}'] == "1.0"
        assert [name for name in lines if name.startswith('bridge_events_total{kind="login.fail"')]
        assert lines["bridge_login_seconds_count"] == "2.0"
        assert float(lines["bridge_audit_waiting"]) >= 2
        for gauge in ("outbox_waiting", "outbox_dead", "audit_lost", "store_lost"):
            assert lines[f"bridge_{gauge}"] == "0.0"
        await bridge.rooms.outbox.put(None, "nobody-sends-this", None, {})
        await bridge._work._outbox.count()
        text = (await get(bridge, "/metrics", client=LOCAL)).body.decode()
        assert "bridge_outbox_waiting 1.0" in text
