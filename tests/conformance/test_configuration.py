"""What the suite is told of us is true: pages, clients and settings."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.config import Config
from bridge.types import ClientId
from tests.config.test_config import MASTER, SLOT
from tests.conformance.__main__ import PROVIDER
from tests.conformance.configuration import CHANNELS, CLIENTS, clients, configuration
from tests.conformance.party import SUITE, Party
from tests.conformance.plans import PLANS
from tests.house.project import ROOT
from tests.running import Given, Site

Of = Callable[..., Party]


def commands(told: Any) -> Iterator[list[Any]]:
    """All commands of the browser, wherever they stand."""
    if isinstance(told, dict):
        yield from told.get("commands", [])
        for value in told.values():
            yield from commands(value)
    elif isinstance(told, list):
        for value in told:
            yield from commands(value)


def test_every_button_and_field_that_its_browser_uses_stands_in_a_template() -> None:
    templates = "".join(file.read_text("utf-8") for file in (ROOT / "bridge/pages/templates").glob("*.html"))
    used = {(verb, target) for verb, _, target, *_ in commands(configuration(PROVIDER, dynamic=False))}
    assert {target for verb, target in used if verb == "click"} == {"login-submit", "consent-allow", "logout-confirm"}
    for verb, target in used:
        if verb == "click":
            assert f'id="{target}"' in templates
        elif verb == "text":
            assert f'field("{target}"' in templates


async def test_whoever_turns_back_at_sign_in_or_consent_tells_the_client(party: Of) -> None:
    for button, first in (("login-cancel", []), ("consent-deny", ["login-submit"])):
        client = party()
        browser = client.walker.browser
        path = f"/oauth/authorize?client_id={CLIENTS[0]}&redirect_uri={SUITE}/test/a/login-bridge/callback"
        await browser.open(f"{path}&response_type=code&scope=openid+email&nonce=n&state=s&prompt=consent")
        for each in first:
            await browser.press(each, email="ada@example.com", password="plums ripen behind the old mill")
        await browser.press(button)
        assert client.walker.answer["error"] == "access_denied" and client.walker.answer["state"] == "s"


async def test_the_login_page_shows_the_clients_documents(site: Site, party: Of) -> None:
    addresses = {name: f"https://{name}.example" for name in ("policy_uri", "tos_uri")}
    callback = f"{SUITE}/test/a/login-bridge/callback"
    await site.client("conformance-documents", {"redirect_uris": [callback], **addresses}, require_pkce=False)
    for module, text in (("policy", "Privacy policy"), ("tos", "Terms of service")):
        client = party(f"oidcc-registration-{module}-uri")
        await client.authorize(client_id="conformance-documents")
        assert text in client.walker.pictures[0]
        assert addresses[f"{module}_uri"] in [each.get("href") for each in client.walker.browser.page.all("a")]


async def test_pages_on_the_way_need_no_script(party: Of) -> None:
    client = party()
    browser = client.walker.browser
    for path in ("/login", "/logout"):
        await browser.open(path)
        # The one script there may be asks for a passkey, beside the form.
        assert all("passkey" in (each.get("src") or "") for each in browser.page.all("script"))
    await client.authorize(response_mode="form_post")
    assert client.walker.way == "form_post", "and a form that is sent by script has a button too"


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_plans_imported_client_is_told_of_a_sign_out_as_the_plan_asks_and_in_no_other_way(name: str) -> None:
    imported = {each["client_id"]: each for each in clients(SUITE)}
    told = configuration(PROVIDER, dynamic=False, channel=PLANS[name].channel)
    for place in ("client", "client2", "client_secret_post"):
        assert imported[told[place]["client_id"]]["client_secret"] == told[place]["client_secret"]
    client = imported[told["client"]["client_id"]]
    heard = [channel for channel in CHANNELS if f"{channel}_logout_uri" in client]
    assert heard == [channel for channel in CHANNELS if name == f"{channel}-logout"]


async def test_the_suites_clients_may_do_what_the_plans_ask_of_them(site: Site) -> None:
    for client_id in CLIENTS:
        client = await site.bridge.rooms.clients.get(ClientId(client_id))
        assert client is not None and not client.require_pkce and not client.first_party
        assert "refresh_token" in client.grant_types


def test_the_bridge_that_is_judged_has_settings_of_its_own() -> None:
    secrets: Given = {("secrets", "master"): MASTER, ("secrets", "slot"): SLOT}
    config = Config.load(ROOT / "config" / "conformance.toml", {}, secrets)
    assert (config.preset, config.profile, config.base_url) == ("provider", "production", PROVIDER)
    assert urlsplit(config.base_url).port == config.server.port
    assert config.server.tls_cert and config.server.tls_key
