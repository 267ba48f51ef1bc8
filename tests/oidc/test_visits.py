"""A visit is begun at anybody's word: how many one address may begin, and how much each may hold — security §23."""

import json
from typing import Any

import httpx2
import pytest

from bridge.errors import ConfigError
from bridge.interactions.record import Interaction
from bridge.oidc.options import OidcOptions
from tests.oidc.world import CALLBACK, ISSUER, Browser, World, answer, authorize_path, page, shown

LIMIT = OidcOptions().visits_per_minute


async def _from(world: World, address: str, path: str) -> httpx2.Response:
    """One request of somebody with no cookies at that address."""
    transport = httpx2.ASGITransport(world, client=(address, 1))
    async with httpx2.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
        return await http.get(path)


async def _visit(world: World, **request: str) -> tuple[Interaction, int]:
    """What is remembered of a request, and how many bytes that takes."""
    browser = Browser(world)
    interaction = page(await browser.authorize(**request), "/login")
    visit = await world.interactions.load(interaction, browser.jar[world.cookies.name("pre")])
    assert visit is not None
    return visit.record, len(visit.seen)


@pytest.mark.parametrize("path", [authorize_path(), "/oauth/logout?state=s"])
async def test_one_address_begins_so_many_visits_in_a_minute(world: World, path: str) -> None:
    for _ in range(LIMIT):
        assert (await _from(world, "192.0.2.1", path)).status_code == 303
    refused = await _from(world, "192.0.2.1", path)
    assert refused.status_code == 429 and "location" not in refused.headers
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await _from(world, "192.0.2.2", path)).status_code == 303
    world.clock.move(120)
    assert (await _from(world, "192.0.2.1", path)).status_code == 303


async def test_signing_in_and_signing_out_are_counted_together(world: World) -> None:
    for path in [authorize_path(), "/oauth/logout?state=s"] * (LIMIT // 2):
        assert (await _from(world, "192.0.2.1", path)).status_code == 303
    assert (await _from(world, "192.0.2.1", authorize_path())).status_code == 429


async def test_a_network_of_ipv6_is_one_address(world: World) -> None:
    for number in range(LIMIT):
        assert (await _from(world, f"2001:db8::{number:x}", authorize_path())).status_code == 303
    assert (await _from(world, "2001:db8::ffff:1", authorize_path())).status_code == 429
    assert (await _from(world, "2001:db8:0:1::1", authorize_path())).status_code == 303


async def test_what_begins_no_visit_is_not_counted(world: World) -> None:
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    for _ in range(LIMIT + 1):
        assert answer(await Browser(world).authorize(prompt="none"))["error"] == "login_required"
    assert "code" in answer(await browser.authorize())
    assert page(await browser.authorize(prompt="login"), "/login")


@pytest.mark.parametrize(
    "request_",
    [
        {"state": "x" * 2_049},
        {"state": "é" * 1_025},
        {"nonce": "x" * 513},
        {"state": "\x00" * 1_024, "nonce": "n"},
        {"claims": json.dumps({"userinfo": {"x" * 6_000: None}})},
        {"scope": "openid " + "x " * 3_000},
    ],
)
async def test_a_request_that_is_too_long_is_refused(world: World, request_: dict[str, Any]) -> None:
    browser = Browser(world)
    assert answer(await browser.authorize(**request_))["error"] == "invalid_request"
    assert not browser.jar


async def test_a_long_request_is_as_good_as_any(world: World) -> None:
    visit, _ = await _visit(world, state="s" * 2_048, nonce="n" * 512)
    assert (visit.parameters["state"], visit.parameters["nonce"]) == ("s" * 2_048, "n" * 512)


async def test_no_visit_is_larger_than_what_it_may_hold(world: World) -> None:
    """Every parameter as long as it may be."""
    hints = {"login_hint": "é" * 320, "ui_locales": "z" * 200}
    _, size = await _visit(world, state="s" * 2_048, nonce="n" * 512, claims=json.dumps({"x" * 3_000: 1}), **hints)
    assert 6_000 < size < 8_000


async def test_a_hint_is_remembered_once(world: World) -> None:
    visit, _ = await _visit(world, login_hint="bob@example.com", ui_locales="zh")
    assert (visit.login_hint, visit.ui_locales) == ("bob@example.com", "zh")
    assert not {"login_hint", "ui_locales"} & set(visit.parameters)
    assert visit.parameters["redirect_uri"] == CALLBACK


async def test_a_hint_that_is_too_long_is_none(world: World) -> None:
    visit, _ = await _visit(world, login_hint="b" * 321, ui_locales="z" * 201)
    assert (visit.login_hint, visit.ui_locales) == ("", "")


async def test_signing_out_remembers_no_more(world: World) -> None:
    assert "state" in shown(await Browser(world).get("/oauth/logout?state=" + "x" * 2_049))
    browser = Browser(world)
    interaction = page(await browser.get("/oauth/logout?ui_locales=" + "z" * 201), "/logout")
    visit = await world.interactions.load(interaction, browser.jar[world.cookies.name("pre")])
    assert visit is not None and visit.record.ui_locales == ""


def test_a_limit_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"oidc\.visits_per_minute"):
        OidcOptions(visits_per_minute=0)
