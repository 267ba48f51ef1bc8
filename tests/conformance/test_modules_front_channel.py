"""What the implicit and hybrid plans demand beyond the code flow, with the steps of the suite — openid-provider §3."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.party import CALLBACK, Party

Of = Callable[..., Party]

TYPES = ("id_token", "id_token token", "code id_token", "code token", "code id_token token")


def half_hash(value: str) -> str:
    """at_hash and c_hash of RS256."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).decode().rstrip("=")


async def told(client: Party, answer: dict[str, str]) -> list[dict[str, Any]]:
    """Everything that says who he is: both ID tokens and userinfo, as far as there are any."""
    found = []
    if "id_token" in answer:
        claims = await client.checked(answer["id_token"])
        assert claims["nonce"] == client.nonce
        for name, of in (("at_hash", "access_token"), ("c_hash", "code")):
            assert claims.get(name) == (half_hash(answer[of]) if of in answer else None)
        found.append(claims)
    if "access_token" in answer:
        assert answer["token_type"].lower() == "bearer" and int(answer["expires_in"]) > 0
        found.append(await client.userinfo(answer["access_token"]))
    if "code" in answer:
        tokens = (await client.redeem(answer["code"])).json()
        found += [await client.checked(tokens["id_token"]), await client.userinfo(tokens["access_token"])]
    return found


@pytest.mark.parametrize("mode", [None, "form_post"], ids=["default", "form_post"])
@pytest.mark.parametrize("response_type", TYPES)
async def test_server_brings_what_was_asked_for_of_one_person(party: Of, response_type: str, mode: str | None) -> None:
    client = party("oidcc-server")
    answer = await client.authorize(response_type=response_type, response_mode=mode)
    assert client.walker.way == (mode or "fragment") and client.walker.where.startswith(CALLBACK)
    assert answer["state"] == client.state
    wanted = {"token": "access_token"}
    assert {"code", "id_token", "access_token"} & set(answer) == {wanted.get(e, e) for e in response_type.split()}
    assert len({each["sub"] for each in await told(client, answer)}) == 1


@pytest.mark.parametrize("response_type", [each for each in TYPES if "id_token" in each])
async def test_ensure_request_without_nonce_fails_where_an_id_token_comes_back(party: Of, response_type: str) -> None:
    answer = await party("oidcc-ensure-request-without-nonce-fails").authorize(response_type=response_type, nonce=None)
    assert answer["error"] == "invalid_request" and not {"code", "id_token", "access_token"} & set(answer)


async def test_ensure_request_without_nonce_succeeds_for_code_token(party: Of) -> None:
    answer = await party().authorize(response_type="code token", nonce=None)
    assert {"code", "access_token"} <= set(answer)


async def test_an_id_token_that_comes_alone_tells_what_its_scopes_tell(party: Of) -> None:
    client = party("oidcc-scope-email")
    alone = await client.checked((await client.authorize("openid email", response_type="id_token"))["id_token"])
    beside = await client.checked((await client.authorize("openid email", response_type="id_token token"))["id_token"])
    assert alone["email"] and "email" not in beside


@pytest.mark.parametrize("response_type", ["code", "id_token token", "code id_token"])
async def test_claims_essential_succeeds_and_tells_the_name(party: Of, response_type: str) -> None:
    client = party("oidcc-claims-essential")
    asked = '{"userinfo":{"name":{"essential":true}}}'
    answer = await client.authorize(response_type=response_type, claims=asked)
    assert (await told(client, answer))[-1]["name"] == "Ada Lovelace"


async def test_acr_values_that_were_advertised_are_said_to_be_met(party: Of) -> None:
    client = party("oidcc-ensure-request-with-acr-values-succeeds")
    offered = (await client.http.get("/.well-known/openid-configuration")).json()["acr_values_supported"]
    person = await client.sign_in(acr_values=" ".join(offered))
    assert person["acr"] in offered


async def test_errors_come_back_the_same_way_too(party: Of) -> None:
    client = party("oidcc-prompt-none-not-logged-in")
    answer = await client.authorize(response_type="code id_token", prompt="none")
    assert (client.walker.way, answer["error"], answer["state"]) == ("fragment", "login_required", client.state)
