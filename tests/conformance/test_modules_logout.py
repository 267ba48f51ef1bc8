"""The modules of the RP-initiated logout plan, each with the steps that the suite takes — openid-provider §4."""

import base64
import json
from collections.abc import Callable

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.conformance.party import GOODBYE, Party

Of = Callable[..., Party]

PREFIX = "oidcc-rp-initiated-logout"


async def test_the_metadata_names_where_a_session_ends(party: Of) -> None:
    client = party()
    document = (await client.http.get("/.well-known/openid-configuration")).json()
    assert document["end_session_endpoint"] == f"{client.site.url}/oauth/logout"


@pytest.mark.parametrize("state", ["a state & more?~", None], ids=["", "no-state"])
async def test_it_leads_back_with_the_state_and_ends_the_session(party: Of, state: str | None) -> None:
    client = party()
    hint = (await client.sign_in())["tokens"]["id_token"]
    walker = await client.log_out(id_token_hint=hint, post_logout_redirect_uri=GOODBYE, state=state)
    assert walker.done[-1] == "Back at the client" and walker.where.partition("?")[0] == GOODBYE
    assert walker.answer == ({} if state is None else {"state": state})
    assert await client.is_signed_out()


def unsigned(hint: str) -> str:
    """The same claims under `alg: none`."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    return f"{header}.{hint.split('.')[1]}."


def forged(hint: str) -> str:
    """The same claims, signed by somebody else."""
    claims = json.loads(base64.urlsafe_b64decode(hint.split(".")[1] + "=="))
    return jwt.encode({"alg": "RS256"}, claims, RSAKey.generate_key(2048))


@pytest.mark.parametrize(
    ("module", "uri", "hinted"),
    [
        ("bad-post-logout-redirect-uri", GOODBYE + "/other", str),
        ("query-added-to-post-logout-redirect-uri", GOODBYE + "?foo=bar", str),
        ("modified-id-token-hint", GOODBYE, unsigned),
        ("bad-id-token-hint", GOODBYE, forged),
        ("no-id-token-hint", GOODBYE, None),
    ],
    ids=lambda value: value if isinstance(value, str) and value.islower() and "/" not in value else "",
)
async def test_what_is_wrong_leads_nowhere_and_is_named_on_a_page(
    party: Of, module: str, uri: str, hinted: Callable[[str], str] | None
) -> None:
    client = party(f"{PREFIX}-{module}")
    hint = (await client.sign_in())["tokens"]["id_token"]
    walker = await client.log_out(
        id_token_hint=hinted(hint) if hinted else None, post_logout_redirect_uri=uri, state="s"
    )
    assert walker.done == ["Say what is wrong"] and walker.where.startswith(client.site.url)


@pytest.mark.parametrize("module", ["no-params", "no-post-logout-redirect-uri", "only-state"])
async def test_without_an_address_the_person_is_told_that_he_is_signed_out(party: Of, module: str) -> None:
    client = party(f"{PREFIX}-{module}")
    hint = (await client.sign_in())["tokens"]["id_token"]
    asked = {"no-params": {}, "no-post-logout-redirect-uri": {"id_token_hint": hint, "state": "s"}}
    walker = await client.log_out(**asked.get(module, {"state": "s"}))
    assert walker.done[-1] == "Say so" and "signed out" in walker.pictures[0]
    assert await client.is_signed_out()
