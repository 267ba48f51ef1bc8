"""What a well-known library does and we must not — engine §4, by number."""

from html.parser import HTMLParser

import anyio
import pytest
from joserfc.jwk import RSAKey

from bridge.clock import SystemClock
from bridge.oidc import pkce
from bridge.pages.options import PagesOptions
from bridge.pages.render import Pages
from bridge.pages.trouble import Troubles
from bridge.sessions.cookie import Cookies
from bridge.sessions.options import SessionOptions
from tests.oidc.world import CALLBACK, CHALLENGE, ISSUER, VERIFIER, World, answer, form_fields

AWKWARD = ["a b", '{"a":"b"}', "é", "a+b", "100%", '"><script>', "&amp;", "'", "日本"]


class _Inputs(HTMLParser):
    """Reads a form as a browser does."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.action = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        assert not [name for name in known if name.startswith("on")], "a handler that CSP would block"
        if tag == "form":
            self.action = known["action"]
        if tag == "input" and "name" in known:
            self.found[known["name"]] = known["value"]


@pytest.mark.parametrize("value", AWKWARD)
async def test_b1_a_form_carries_each_value_unchanged_under_a_strict_policy(value: str) -> None:
    """§12 no. 84."""
    troubles = Troubles(
        pages=Pages(PagesOptions()),
        cookies=Cookies(SessionOptions(), plain=False),
        clock=SystemClock(),
        https=True,
    )
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    fields = [("code", "c"), ("state", value), ("iss", ISSUER)]
    reply = troubles.form_post(scope, target=CALLBACK, app_name="Shop", fields=fields)
    read = _Inputs()
    read.feed(reply.body.decode())
    assert read.action == CALLBACK and read.found == dict(fields)
    policy = dict(reply.headers)[b"content-security-policy"].decode()
    assert "form-action 'self' https:" in policy and "unsafe-inline" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("state", AWKWARD)
async def test_b1_success_and_error_travel_by_form_too(world: World, state: str) -> None:
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    good = await browser.authorize(response_mode="form_post", state=state)
    assert good.status_code == 200 and "location" not in good.headers
    fields = form_fields(good.text)
    assert set(fields) == {"code", "state", "iss"} and fields["state"] == state
    bad = form_fields((await browser.authorize(response_mode="form_post", state=state, prompt="bogus")).text)
    assert (bad["error"], bad["state"], bad["iss"]) == ("invalid_request", state, ISSUER)


async def test_b4_prompt_none_without_consent_is_consent_required(world: World) -> None:
    browser = await world.sign_in()
    assert answer(await browser.authorize(prompt="none"))["error"] == "consent_required"
    await world.allow("shop", "openid")
    assert answer(await browser.authorize(prompt="none", scope="openid email"))["error"] == "consent_required"
    assert "code" in answer(await browser.authorize(prompt="none"))


async def test_b5_eight_at_once_one_succeeds(any_world: World) -> None:
    await any_world.allow("shop", "openid")
    code = await (await any_world.sign_in()).code()
    statuses: list[int] = []

    async def one() -> None:
        statuses.append((await any_world.redeem(code)).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(one)
    assert sorted(statuses) == [200] + [400] * 7


async def test_b7_a_key_is_imported_once_not_for_every_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    imports: list[object] = []
    real = RSAKey.import_key

    def counted(*args: object, **kwargs: object) -> object:
        imports.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(RSAKey, "import_key", counted)
    tokens = await world.signed_up("shop", "openid")
    for _ in range(3):
        tokens = (await world.refresh(tokens["refresh_token"])).json()
    assert "id_token" in tokens and not imports


def test_b8_the_verifier_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def seen(a: str, b: str) -> bool:
        compared.append((a, b))
        return a == b

    monkeypatch.setattr("bridge.oidc.pkce.hmac.compare_digest", seen)
    assert pkce.objection(CHALLENGE, VERIFIER) is None
    assert pkce.objection(CHALLENGE, "w" * 43) is not None
    assert len(compared) == 2 and compared[0] == (CHALLENGE, CHALLENGE)
