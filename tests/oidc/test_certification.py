"""What the official suite's modules look at in whole flows, for every response type — spec openid-provider §3, §6.

module (oidcc-…)                                   test
server, idtoken-signature                          test_every_flow_tells_of_one_person_who_signed_in_now
prompt-login                                       test_prompt_login_asks_again_and_the_second_sign_in_is_later
prompt-none-logged-in, prompt-none-not-logged-in   test_prompt_none_is_the_same_sign_in_or_an_error
max-age-1                                          test_max_age_1_asks_again_after_a_second
max-age-10000                                      test_max_age_10000_asks_nobody_and_says_when_it_was
id-token-hint                                      test_a_hint_without_a_page_is_the_same_person
alternate-happy-flow                               test_the_order_of_parameters_and_scopes_means_nothing
display-*, ui-locales, claims-locales, login-hint,
ensure-request-with-unknown-parameter-succeeds     test_what_is_only_a_wish_changes_nothing
ensure-request-with-acr-values-succeeds            test_acr.py
ensure-request-without-nonce-*, response-type-missing,
ensure-registered-redirect-uri, codereuse          test_front_channel.py, test_authorization_requests.py, test_token.py
scope-*, claims-essential                          test_claims.py, test_userinfo.py
request objects                                    test_authorization_requests.py
"""

from typing import Any
from urllib.parse import parse_qsl

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.oidc.world import ISSUER, Browser, World, answer, authorize_path, carried, page

FLOWS = ("code", "id_token", "id_token token", "code id_token", "code token", "code id_token token")


async def _came(world: World, response_type: str, reply: Any) -> dict[str, Any]:
    """The claims of the ID token that this answer gives, in front or behind."""
    back = answer(reply) if response_type == "code" else carried(reply)
    assert (back["state"], back["iss"]) == ("st", ISSUER), back
    token = back.get("id_token") or (await world.redeem(back["code"], "front")).json()["id_token"]
    keys = KeySet.import_key_set((await world.http.get("/oauth/jwks")).json())
    return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)


def _refused(response_type: str, reply: Any) -> str:
    return (answer(reply) if response_type == "code" else carried(reply))["error"]


@pytest.fixture
async def browser(open_world: World) -> Browser:
    await open_world.allow("front", "openid", "email")
    return await open_world.sign_in()


async def test_every_flow_tells_of_one_person_who_signed_in_now(open_world: World, browser: Browser) -> None:
    """§6.2; §12 no. 70, 73, 74."""
    for flow in FLOWS:
        claims = await _came(open_world, flow, await browser.authorize("front", response_type=flow))
        now = open_world.clock.now()
        assert (claims["iss"], claims["sub"], claims["aud"]) == (ISSUER, open_world.bob.sub, "front")
        assert claims["nonce"] == "no" and "azp" not in claims
        assert all(type(claims[name]) is int for name in ("iat", "exp", "auth_time"))
        assert abs(claims["iat"] - now) < 2 and claims["auth_time"] <= now < claims["exp"]


async def test_prompt_login_asks_again_and_the_second_sign_in_is_later(open_world: World, browser: Browser) -> None:
    """§6.5; §12 no. 78, 79."""
    for flow in FLOWS:
        first = await _came(open_world, flow, await browser.authorize("front", response_type=flow))
        open_world.clock.move(5)
        asked = await browser.authorize("front", response_type=flow, prompt="login")
        second = await _came(open_world, flow, await browser.login(asked))
        assert second["auth_time"] >= first["auth_time"] + 5 and second["sub"] == first["sub"]


async def test_prompt_none_is_the_same_sign_in_or_an_error(open_world: World, browser: Browser) -> None:
    """§6.5: no page, ever."""
    for flow in FLOWS:
        first = await _came(open_world, flow, await browser.authorize("front", response_type=flow))
        open_world.clock.move(2)
        again = await browser.authorize("front", response_type=flow, prompt="none")
        second = await _came(open_world, flow, again)
        assert {name: second[name] for name in ("sub", "auth_time", "sid")} == {
            name: first[name] for name in ("sub", "auth_time", "sid")
        }
        nobody = await Browser(open_world).authorize("front", response_type=flow, prompt="none")
        assert _refused(flow, nobody) == "login_required"


async def test_max_age_1_asks_again_after_a_second(open_world: World, browser: Browser) -> None:
    """§6.5; §12 no. 78: `auth_time` is there, and later."""
    for flow in FLOWS:
        first = await _came(open_world, flow, await browser.authorize("front", response_type=flow))
        open_world.clock.move(2)
        asked = await browser.authorize("front", response_type=flow, max_age="1")
        second = await _came(open_world, flow, await browser.login(asked))
        assert second["auth_time"] >= first["auth_time"] + 2
        nothing = await browser.authorize("front", response_type=flow, max_age="0", prompt="none")
        assert _refused(flow, nothing) == "login_required"
        assert page(await browser.authorize("front", response_type=flow, max_age="0"), "/login")


async def test_max_age_10000_asks_nobody_and_says_when_it_was(open_world: World, browser: Browser) -> None:
    """§6.5; §12 no. 78."""
    for flow in FLOWS:
        first, second = [
            await _came(open_world, flow, await browser.authorize("front", response_type=flow, max_age=age))
            for age in ("15000", "10000")
        ]
        assert first["auth_time"] == second["auth_time"] and first["sub"] == second["sub"]


async def test_reg_2_an_age_of_the_registration_holds_where_the_request_says_none(open_world: World) -> None:
    """Registration §2: `default_max_age`; `max_age` overrides it.  `require_auth_time` needs nothing."""
    world, back = open_world, "https://aged.example/cb"
    document = {"client_name": "Aged", "redirect_uris": [back], "default_max_age": 60, "require_auth_time": True}
    await world.clients.create(document, client_id="aged", first_party=True)
    browser = await world.sign_in()
    assert "code" in answer(await browser.authorize("aged", redirect_uri=back))
    world.clock.move(61)
    assert page(await browser.authorize("aged", redirect_uri=back), "/login")
    assert answer(await browser.authorize("aged", redirect_uri=back, prompt="none"))["error"] == "login_required"
    assert "code" in answer(await browser.authorize("aged", redirect_uri=back, max_age="62"))
    assert "code" in answer(await browser.login(await browser.authorize("aged", redirect_uri=back)))


async def test_a_hint_without_a_page_is_the_same_person(open_world: World, browser: Browser) -> None:
    """§12 no. 77: by any flow's ID token, in any flow; also after its time."""
    hints = [
        str(carried(await browser.authorize("front", response_type=flow))["id_token"])
        for flow in FLOWS
        if "id_token" in flow.split()
    ]
    open_world.clock.move(30 * 3_600)
    browser = await open_world.sign_in()
    for flow in FLOWS:
        for hint in hints[:2]:
            reply = await browser.authorize("front", response_type=flow, prompt="none", id_token_hint=hint)
            assert (await _came(open_world, flow, reply))["sub"] == open_world.bob.sub


async def test_the_order_of_parameters_and_scopes_means_nothing(open_world: World, browser: Browser) -> None:
    for flow in FLOWS:
        path, _, query = authorize_path("front", response_type=flow, scope="email openid").partition("?")
        turned = "&".join(reversed(query.split("&")))
        assert (await _came(open_world, flow, await browser.get(f"{path}?{turned}")))["sub"] == open_world.bob.sub


WISHES: list[dict[str, str]] = [
    {"display": "page"},
    {"display": "popup"},
    {"display": "touch"},
    {"display": "no such"},
    {"ui_locales": "se"},
    {"claims_locales": "se"},
    {"login_hint": "buffy@login.example"},
    {"extra": "foobar"},
]


@pytest.mark.parametrize("flow", ["code", "id_token token"])
async def test_what_is_only_a_wish_changes_nothing(open_world: World, browser: Browser, flow: str) -> None:
    """§12 no. 9, 81."""
    for wish in WISHES:
        reply = await browser.authorize("front", response_type=flow, prompt="none", **wish)
        assert (await _came(open_world, flow, reply))["sub"] == open_world.bob.sub, wish


async def test_nothing_but_openid_gives_an_id_token(open_world: World, browser: Browser) -> None:
    """§12 no. 85: plain OAuth works, and is told nothing of a person."""
    tokens = (await open_world.redeem(await browser.code("front", scope="email"), "front")).json()
    assert "id_token" not in tokens and tokens["scope"] == "email"
    back = carried(await browser.authorize("front", response_type="code token", scope="email"))
    assert "id_token" not in back and (await open_world.userinfo(back["access_token"])).status_code == 403


async def test_a_post_is_as_good_as_a_get(open_world: World, browser: Browser) -> None:
    """§12 no. 83: the authorization endpoint takes both, in every flow."""
    for flow in FLOWS:
        query = authorize_path("front", response_type=flow).partition("?")[2]
        reply = await browser.post("/oauth/authorize", dict(parse_qsl(query)))
        assert (await _came(open_world, flow, reply))["sub"] == open_world.bob.sub
