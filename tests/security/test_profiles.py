"""The dev profile answers this machine alone; production knows neither http nor plain cookies — security §27."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from bridge.config import Config
from bridge.errors import ConfigError
from tests.flows.mailbox import Mailbox
from tests.running import DEV, PRODUCTION, SECRETS, TOM, Furnished, Site, code, in_process
from tests.security.holdings import Visiting, gather

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture
async def dev(database: Furnished) -> AsyncIterator[Site]:
    async with in_process(database, given=DEV) as site:
        yield site


def paths(site: Site) -> list[str]:
    front = site.bridge._front
    return [*front.exact, *(f"{prefix}x" for prefix in front.prefixes), "/", "/nowhere"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "login.example.com"},
        {"host": "127.0.0.1.nip.io"},
        {"host": "192.168.1.5:8000"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "localhost"},
        {"x-forwarded-proto": "https"},
        {"forwarded": "for=127.0.0.1"},
        {"x-real-ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
    ],
    ids=str,
)
async def test_every_path_of_the_dev_profile_is_421_for_others(dev: Site, headers: dict[str, str]) -> None:
    transport = httpx2.ASGITransport(dev.bridge)
    async with httpx2.AsyncClient(transport=transport, base_url=LOCAL, trust_env=False) as http:
        assert len(paths(dev)) > 20
        for path in paths(dev):
            for method in ("GET", "POST", "OPTIONS"):
                reply = await http.request(method, path, headers=headers)
                assert reply.status_code == 421, (method, path)
                assert "set-cookie" not in reply.headers
        for path in paths(dev):
            assert (await http.get(path)).status_code != 421


async def test_before_an_app_only_the_bridges_paths_are_guarded(dev: Site) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]

    transport = httpx2.ASGITransport(dev.bridge.middleware(app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://10.0.0.9", trust_env=False) as http:
        assert (await http.get("/hello")).status_code == 204
        assert (await http.get("/login")).status_code == 421


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({("server", "base_url"): "http://login.example.com"}, "server.base_url: must be https in production"),
        ({("server", "base_url"): ""}, "server.base_url: is needed in production"),
        ({("secrets", "master"): None}, "secrets.master: is needed in production"),
        ({("secrets", "slot"): None}, "secrets.slot: is needed in production"),
    ],
)
def test_production_refuses_what_only_development_may(more: dict[tuple[str, ...], object], complaint: str) -> None:
    given: dict[tuple[str, ...], object] = {**SECRETS, **PRODUCTION, **more}
    with pytest.raises(ConfigError, match=complaint):
        Config.load(None, {}, {path: value for path, value in given.items() if value is not None})
    assert Config.load(None, {}, {**SECRETS, **PRODUCTION}).dev is False


async def test_every_cookie_of_production_is_kept_to_its_host(
    database: Furnished, mailbox: Mailbox, visit: Visiting
) -> None:
    """S16, over a whole journey: sign-in, second step, an app, a reset."""
    async with in_process(database, more={("mail", "url"): f"file:{mailbox.folder}"}) as site:
        held = await gather(site, visit, mailbox)
        await held.tom.press("second-factor-submit", code=code())
        assert TOM in (await held.tom.open("/account")).text
        await held.browser.open(f"/reset/t/{held['reset']}")
        await held.browser.open("/logout")
        await held.browser.press("logout-confirm")
        lines = {**held.browser.set, **held.tom.set}
    purposes = {"op", "pre", "pending", "known", "dev", "reset"}
    assert set(lines) == {f"__Host-lb_{purpose}" for purpose in purposes} | {"__Host-login_auth_tk"}
    for line in lines.values():
        value, *attributes = [part.strip().lower() for part in line.split(";")]
        assert {"path=/", "httponly", "samesite=lax", "secure"} <= set(attributes), line
        assert not [each for each in attributes if each.startswith("domain=")] and len(value) < 4_096


async def test_plain_cookie_names_open_nothing_in_production(
    database: Furnished, mailbox: Mailbox, visit: Visiting
) -> None:
    """No fallback from `__Host-` to another name (§13): a subdomain could have set it."""
    async with in_process(database, more={("mail", "url"): f"file:{mailbox.folder}"}) as site:
        held = await gather(site, visit, mailbox)
        for name, path in (("lb_op", "/account"), ("__Secure-lb_op", "/account"), ("__host-lb_op", "/account")):
            stranger = visit(site)
            stranger.jar = {name: held["op"]}
            await stranger.open(path)
            assert stranger.at.startswith("/login"), name
