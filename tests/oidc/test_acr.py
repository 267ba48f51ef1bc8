"""How well somebody showed who he is, in whole flows — Core §2, §3.1.2.1, §5.5.1.1; RFC 8176; RFC 9470."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from bridge.clients.clients import Registered
from bridge.oidc.acr import ACRS
from tests.oidc.world import CLIENTS, VERIFIER, World, answer, basic, carried, page

OTP = ("pwd", "otp", "mfa")


def essential(*values: str) -> str:
    return json.dumps({"id_token": {"acr": {"essential": True, "values": values}}})


async def test_the_id_token_says_an_acr_that_was_asked_for_and_keeps_it(world: World) -> None:
    """The suite's ensure-request-with-acr-values module; Core §12.2 after a refresh."""
    await world.allow("shop", "openid")
    browser = await world.sign_in(amr=OTP)
    for asked, said in (
        ("phr mfa", "mfa"),
        ("pwd mfa", "pwd"),
        ("1 2", "mfa"),
        (" pwd  phr ", "pwd"),
        ("pwd\xa0phr", "mfa"),
        (None, None),
    ):
        tokens = (await world.redeem(await browser.code(acr_values=asked))).json()
        for _ in range(2):
            claims = await _id_token(world, tokens["id_token"])
            assert (claims.get("acr"), claims["amr"]) == (said, list(OTP))
            tokens = (await world.refresh(tokens["refresh_token"])).json()


async def test_what_is_advertised_is_what_is_said(world: World) -> None:
    """§12 no. 88; the suite asks for what discovery lists."""
    advertised = world.provider.metadata["acr_values_supported"]
    assert tuple(advertised) == ACRS
    await world.allow("shop", "openid")
    browser = await world.sign_in(amr=("pwd", "pop", "mfa"))
    for value in advertised:
        tokens = (await world.redeem(await browser.code(acr_values=value))).json()
        assert (await _id_token(world, tokens["id_token"]))["acr"] == value


async def test_a_step_up_asks_once_and_the_answer_is_as_good_as_what_was_shown(world: World) -> None:
    """§12 no. 80: he signs in again; with a second factor it is met, without one it is not."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    assert answer(await browser.authorize(claims=essential("mfa"), prompt="none"))["error"] == "login_required"
    reply = await browser.login(await browser.authorize(claims=essential("mfa")), amr=OTP)
    tokens = (await world.redeem(answer(reply)["code"])).json()
    assert (await _id_token(world, tokens["id_token"]))["acr"] == "mfa"
    weaker = await world.sign_in()
    refused = answer(await weaker.login(await weaker.authorize(claims=essential("mfa"))))
    assert refused["error"] == "unmet_authentication_requirements"


async def test_values_that_are_never_met_are_refused_and_not_asked_for_ever(world: World) -> None:
    await world.allow("shop", "openid")
    browser = await world.sign_in(amr=OTP)
    asked = await browser.authorize(claims=essential("urn:mace:incommon:iap:silver"))
    assert page(asked, "/login")
    assert answer(await browser.login(asked, amr=OTP))["error"] == "unmet_authentication_requirements"


async def test_what_was_asked_outlives_the_pages(world: World) -> None:
    """acr_values is part of what a visit remembers."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    reply = await browser.login(await browser.authorize(acr_values="mfa", prompt="login"), amr=OTP)
    tokens = (await world.redeem(answer(reply)["code"])).json()
    assert (await _id_token(world, tokens["id_token"]))["acr"] == "mfa"


async def test_reg_2_the_values_of_its_registration_are_asked_for_where_the_request_asks_for_none(world: World) -> None:
    """Registration §2: `default_acr_values`, in order and voluntary; `acr_values` and `claims` override them."""
    whole = {**CLIENTS["shop"], "client_name": "Levels", "default_acr_values": ["phr", "mfa"]}
    who = basic("levels", _secret(await world.clients.create(whole, client_id="levels")))
    await world.allow("levels", "openid")
    by_name = {"claims": json.dumps({"id_token": {"acr": {"values": ["pwd"]}}})}
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (OTP, {}, "mfa"),
        (("pwd", "pop", "mfa"), {}, "phr"),
        (("pwd",), {}, "pwd"),
        (OTP, {"acr_values": "pwd"}, "pwd"),
        (OTP, {"acr_values": ""}, "mfa"),
        (OTP, by_name, "pwd"),
    ]
    for amr, asked, said in cases:
        browser = await world.sign_in(amr=amr)
        code = await browser.code("levels", redirect_uri=whole["redirect_uris"][0], **asked)
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
        form["redirect_uri"] = whole["redirect_uris"][0]
        tokens = (await world.http.post("/oauth/token", data=form, headers=who)).json()
        assert (await _id_token(world, tokens["id_token"]))["acr"] == said, (amr, asked)


@pytest.mark.parametrize("response_type", ["id_token", "code id_token"])
async def test_the_browsers_id_token_says_it_too(open_world: World, response_type: str) -> None:
    world = open_world
    await world.allow("front", "openid")
    browser = await world.sign_in(amr=OTP)
    back = carried(await browser.authorize("front", response_type=response_type, acr_values="mfa"))
    assert (await _id_token(world, back["id_token"]))["acr"] == "mfa"


def _secret(made: Registered) -> str:
    assert made.secret is not None
    return made.secret.reveal()


async def _id_token(world: World, token: str) -> Mapping[str, Any]:
    keys = KeySet.import_key_set((await world.http.get("/oauth/jwks")).json())
    return jwt.decode(token, keys, algorithms=["RS256"]).claims
