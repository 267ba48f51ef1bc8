"""Who may show itself how: registered method × what was shown, as a table of values — RFC 6749 §2.3; Core §9."""

from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import pytest

from bridge.clients.client import AuthMethod, Client
from bridge.clock import SystemClock
from bridge.oidc.client_auth import Authenticator, ClientRefused
from bridge.oidc.errors import OAuthError
from bridge.secret import Secret
from bridge.types import ClientId
from tests.oidc.signing import ASSERTION, key, sign
from tests.oidc.world import basic

RIGHT, WRONG = "a secret", "another one"
SIGNED = sign({"sub": "app"}, key("ES256"), "ES256")
"""What its client is said to have signed: whether it did is not the matter here."""
Shown = tuple[dict[str, str], dict[str, str]]
WAYS: dict[str, Shown] = {
    "header": (basic("app", RIGHT), {}),
    "header-wrong": (basic("app", WRONG), {}),
    "header-empty": (basic("app", ""), {}),
    "form": ({}, {"client_id": "app", "client_secret": RIGHT}),
    "form-wrong": ({}, {"client_id": "app", "client_secret": WRONG}),
    "name": ({}, {"client_id": "app"}),
    "header-and-name": (basic("app", RIGHT), {"client_id": "app"}),
    "signed": ({}, {"client_assertion_type": ASSERTION, "client_assertion": SIGNED}),
    "signed-and-name": ({}, {"client_assertion_type": ASSERTION, "client_assertion": SIGNED, "client_id": "app"}),
    "nothing": ({}, {}),
}
TAKEN: dict[AuthMethod, set[str]] = {
    "client_secret_basic": {"header", "header-and-name"},
    "client_secret_post": {"form"},
    "client_secret_jwt": {"signed", "signed-and-name"},
    "private_key_jwt": {"signed", "signed-and-name"},
    "none": {"name"},
}
TWO_AT_ONCE: dict[str, Shown] = {
    "header and form": (basic("app", RIGHT), {"client_id": "app", "client_secret": RIGHT}),
    "header and assertion": (basic("app", RIGHT), WAYS["signed"][1]),
    "form and assertion": ({}, {**WAYS["form"][1], **WAYS["signed"][1]}),
}


@dataclass
class Registered:
    """One client, whose secret is `RIGHT`, and who signed what it shows."""

    client: Client

    async def get(self, client_id: str) -> Client | None:
        return self.client if client_id == self.client.client_id else None

    def still(self, client: Client) -> bool:
        return client is self.client

    async def check_secret(self, client: Client, secret: Secret) -> bool:
        return secret.matches(RIGHT)

    async def objection(self, *_: object) -> str | None:
        return None

    async def shows(self, shown: Shown) -> str | None:
        """How it is known then; None: it is refused."""
        headers, form = shown
        authenticate = Authenticator(
            issuer="https://op.test", clients=self, assertions=cast("Any", self), clock=SystemClock()
        )
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "POST", "path": "/oauth/token", "root_path": "", "headers": given}
        try:
            found = await authenticate(scope, form)
        except ClientRefused as error:
            refused = error
        else:
            assert found.client is self.client
            return found.method
        assert refused.status == 401 and bool(refused.headers) is bool(headers), "a challenge for who tried the header"
        return None


def one(method: AuthMethod, **more: Any) -> Registered:
    return Registered(Client(client_id=ClientId("app"), auth_method=method, **more))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", get_args(AuthMethod))
async def test_a_client_is_known_by_its_registered_method_alone(method: AuthMethod, way: str) -> None:
    """§12 no. 44, 45."""
    assert await one(method).shows(WAYS[way]) == (method if way in TAKEN[method] else None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", get_args(AuthMethod))
async def test_a_disabled_client_is_known_by_none(method: AuthMethod, way: str) -> None:
    assert await one(method, disabled=True).shows(WAYS[way]) is None


@pytest.mark.parametrize("way", WAYS)
async def test_an_import_that_named_no_method_uses_its_secret_either_way(way: str) -> None:
    """Whmcs-api §6.3."""
    known = {"header", "header-and-name", "form"}
    assert (await one("client_secret_basic", source="import").shows(WAYS[way]) is not None) is (way in known)


@pytest.mark.parametrize("shown", TWO_AT_ONCE.values(), ids=TWO_AT_ONCE)
@pytest.mark.parametrize("method", get_args(AuthMethod))
async def test_two_ways_at_once_are_no_way(method: AuthMethod, shown: Shown) -> None:
    """§12 no. 43."""
    with pytest.raises(OAuthError) as refused:
        await one(method).shows(shown)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("way", WAYS)
async def test_another_name_is_another_client(way: str) -> None:
    """Whoever else's secret this is, and whoever signed it."""
    for method in get_args(AuthMethod):
        other = one(method)
        other.client = replace(other.client, client_id=ClientId("other"))
        assert await other.shows(WAYS[way]) is None
