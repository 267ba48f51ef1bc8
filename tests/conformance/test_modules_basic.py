"""The modules of the basic and form post plans, each with the steps that the suite takes — openid-provider §3."""

from collections.abc import Callable

import pytest

from bridge.testing.hands import Hands
from tests.conformance.configuration import EMAIL
from tests.conformance.party import CALLBACK, SUITE, Party
from tests.flows.oauth import CHALLENGE, VERIFIER

Of = Callable[..., Party]

EVERY_STEP = ["Sign in", "Consent", "Back at the client"]


async def test_server_and_the_three_ways_to_ask_userinfo(party: Of) -> None:
    client = party("oidcc-server")
    person = await client.sign_in()
    assert client.walker.done == EVERY_STEP and client.walker.way == "query"
    token = person["tokens"]["access_token"]
    told = [
        await client.userinfo(token),
        await client.userinfo(token, "POST"),
        await client.userinfo(token, in_body=True),
    ]
    assert [each["sub"] for each in told] == [person["sub"]] * 3


async def test_server_client_secret_post(party: Of) -> None:
    client = party("oidcc-server-client-secret-post", 2)
    code = (await client.authorize())["code"]
    assert (await client.checked((await client.redeem(code)).json()["id_token"]))["sub"]


async def test_ensure_post_request_succeeds(party: Of) -> None:
    assert "code" in await party("oidcc-ensure-post-request-succeeds", posts=True).authorize()


async def test_response_type_missing_goes_back_with_an_error(party: Of) -> None:
    answer = await party("oidcc-response-type-missing").authorize(response_type=None)
    assert answer["error"] in ("unsupported_response_type", "invalid_request") and "code" not in answer


async def test_idtoken_signature_is_rs256_where_nothing_was_asked_for(party: Of) -> None:
    assert (await party("oidcc-idtoken-signature").sign_in())["sub"]  # `checked` takes RS256 alone


async def test_ensure_request_without_nonce_succeeds_for_the_code_flow(party: Of) -> None:
    assert "nonce" not in await party().sign_in(nonce=None)


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        ("profile", {"name", "given_name", "family_name", "updated_at"}),
        ("email", {"email", "email_verified"}),
        ("address", {"address"}),
        ("phone", {"phone_number", "phone_number_verified"}),
        (
            "profile email address phone",
            {"name", "given_name", "family_name", "updated_at", "email", "email_verified"}
            | {"address", "phone_number", "phone_number_verified"},
        ),
    ],
)
async def test_each_scope_is_accepted_and_its_claims_have_the_right_types(
    party: Of, scope: str, members: set[str]
) -> None:
    client = party("oidcc-scope-all")
    person = await client.sign_in(f"openid {scope}")
    told = await client.userinfo(person["tokens"]["access_token"])
    assert set(told) - {"locale"} == {"sub", *members}
    types = {"updated_at": int, "email_verified": bool, "address": dict, "phone_number_verified": bool}
    assert all(isinstance(value, types.get(name, str)) for name, value in told.items())
    assert not members & set(person), "claims of a scope are told at userinfo"


async def test_the_order_of_scopes_and_of_parameters_is_irrelevant(party: Of) -> None:
    client = party("oidcc-alternate-happy-flow")
    first = await client.authorize("email profile openid")
    assert "code" in first
    asked = f"nonce=n&scope=email+profile+openid&state=s&redirect_uri={CALLBACK}&response_type=code"
    await client.walker.go(f"{client.site.url}/oauth/authorize?{asked}&client_id=conformance-first")
    assert "code" in client.walker.answer


@pytest.mark.parametrize(
    "harmless",
    [
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"login_hint": EMAIL},
        {"login_hint": "buffy@login.example.com"},
        {"acr_values": "1 2"},
        {"extra": "foobar"},
    ],
    ids="-".join,
)
async def test_what_is_a_wish_or_unknown_changes_nothing(party: Of, harmless: dict[str, str]) -> None:
    client = party()
    assert (await client.sign_in(**harmless))["sub"]
    assert "Sign in" in client.walker.done, "the usual page"


async def test_prompt_login_asks_again_and_says_so(party: Of, clock: Hands) -> None:
    client = party("oidcc-prompt-login")
    before = await client.sign_in()
    clock.move(2)
    after = await client.sign_in(prompt="login")
    assert "Sign in" in client.walker.done and "Confirm that it is you" in client.walker.pictures[0]
    assert after["auth_time"] > before["auth_time"] and after["sub"] == before["sub"]


async def test_max_age_1_asks_again_after_a_second(party: Of, clock: Hands) -> None:
    client = party("oidcc-max-age-1")
    before = await client.sign_in()
    clock.move(2)
    after = await client.sign_in(max_age="1")
    assert client.walker.pictures and after["auth_time"] == before["auth_time"] + 2


async def test_max_age_10000_asks_nothing_and_tells_when_it_was(party: Of, clock: Hands) -> None:
    client = party("oidcc-max-age-10000")
    before = await client.sign_in(max_age="15000")
    clock.move(2)
    after = await client.sign_in(max_age="10000")
    assert client.walker.done == ["Back at the client"]
    assert (after["auth_time"], after["sub"]) == (before["auth_time"], before["sub"])


async def test_prompt_none_returns_at_once_with_the_same_person_or_an_error(party: Of, clock: Hands) -> None:
    client = party("oidcc-prompt-none-logged-in")
    assert await client.is_signed_out(), "prompt-none-not-logged-in"
    before = await client.sign_in()
    clock.move(2)
    after = await client.sign_in(prompt="none")
    assert client.walker.done == ["Back at the client"]
    assert (after["auth_time"], after["sub"]) == (before["auth_time"], before["sub"])


async def test_id_token_hint_with_prompt_none_returns_at_once(party: Of) -> None:
    client = party("oidcc-id-token-hint")
    before = await client.sign_in()
    after = await client.sign_in(prompt="none", id_token_hint=before["tokens"]["id_token"])
    assert client.walker.done == ["Back at the client"] and after["sub"] == before["sub"]


async def test_ensure_request_with_valid_pkce_succeeds_for_a_confidential_client(party: Of) -> None:
    client = party("oidcc-ensure-request-with-valid-pkce-succeeds")
    for sent, status in ((VERIFIER, 200), (VERIFIER[::-1] + "w", 400)):
        code = (await client.authorize(code_challenge=CHALLENGE, code_challenge_method="S256"))["code"]
        assert (await client.redeem(code, code_verifier=sent)).status_code == status


@pytest.mark.parametrize("seconds", [0, 30], ids=["codereuse", "codereuse-30seconds"])
async def test_a_code_that_is_used_again_is_refused_and_its_tokens_are_dead(
    party: Of, clock: Hands, seconds: float
) -> None:
    client = party("oidcc-codereuse")
    code = (await client.authorize())["code"]
    token = (await client.redeem(code)).json()["access_token"]
    clock.move(seconds)
    again = await client.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    refused = await client.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert refused.status_code == 401


async def test_ensure_registered_redirect_uri_is_a_page_that_names_it(party: Of) -> None:
    client = party("oidcc-ensure-registered-redirect-uri")
    await client.authorize(redirect_uri=f"{SUITE}/test/a/login-bridge/callback/other")
    assert client.walker.where.startswith(client.site.url) and "redirect_uri" in client.walker.pictures[0]


async def test_refresh_token_works_and_is_its_own_clients(party: Of) -> None:
    client, other = party("oidcc-refresh-token"), party("oidcc-refresh-token", 1)
    person = await client.sign_in("openid offline_access", prompt="consent")
    refresh = person["tokens"]["refresh_token"]
    refused = await other.token(grant_type="refresh_token", refresh_token=refresh)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    renewed = (await client.token(grant_type="refresh_token", refresh_token=refresh)).json()
    claims = await client.checked(renewed["id_token"])
    assert (claims["sub"], claims["auth_time"]) == (person["sub"], person["auth_time"])
    assert (await client.userinfo(renewed["access_token"]))["sub"] == person["sub"]


@pytest.mark.parametrize("name", ["request", "request_uri"])
async def test_request_objects_are_processed_or_refused_and_never_ignored(party: Of, name: str) -> None:
    unsigned = "eyJhbGciOiJub25lIn0.e30."
    answer = await party().authorize(**{name: unsigned if name == "request" else f"{SUITE}/object"})
    assert answer["error"] in (f"{name}_not_supported", "invalid_request_object", "invalid_request_uri")
    assert "code" not in answer


async def test_form_post_brings_the_answer_as_a_form_and_nothing_in_the_address(party: Of) -> None:
    client = party("oidcc-server")
    person = await client.sign_in(response_mode="form_post")
    assert client.walker.way == "form_post" and client.walker.where == CALLBACK
    assert (await client.userinfo(person["tokens"]["access_token"]))["sub"] == person["sub"]


async def test_form_post_brings_errors_too(party: Of) -> None:
    client = party("oidcc-prompt-none-not-logged-in")
    answer = await client.authorize(response_mode="form_post", prompt="none")
    assert (client.walker.way, answer["error"]) == ("form_post", "login_required")
    assert set(answer) <= {"error", "error_description", "state", "iss"}
