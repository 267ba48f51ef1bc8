"""Two clients that others wrote, against a running bridge: npm openid-client and Authlib's Starlette client."""

import contextlib
import json
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.applications import Starlette

from tests.flows.visitor import Visitor
from tests.oidc.conftest import sqlite_template
from tests.oidc.relying import arrive, relying_party, visiting
from tests.running import ADA, CALLBACK, CLIENT_SECRET, CLIENTS, PASSWORD, Given, Site, furnished, on_a_port
from tests.servers import SmtpSink, missing, need

__all__ = ["sqlite_template"]

SCRIPTS = Path(__file__).parents[1] / "clients"


class NodeClient:
    """The relying party in its own process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, name: str, **rest: Any) -> dict[str, Any]:
        """The answer, or an AssertionError with what went wrong."""
        answer = self.tell(name, **rest)
        assert "ok" in answer, answer
        return answer["ok"] or {}

    def tell(self, name: str, **rest: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"name": name, **rest}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
async def served(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A bridge of the dev profile on a free port, which offers all that it has."""
    database = await furnished(sqlite_template, tmp_path_factory.mktemp("served"))
    offered: Given = {("oidc", name): True for name in ("implicit", "hybrid", "request_objects")}
    with (
        SmtpSink.listening() as sink,
        on_a_port(database, sink, more={**offered, ("oidc", "registration"): "token"}) as site,
    ):
        yield site


@pytest.fixture
def node() -> Iterator[NodeClient]:
    """On openid-client."""
    with _running("openid.mjs") as client:
        yield client


@pytest.fixture
def low() -> Iterator[NodeClient]:
    """On oauth4webapi."""
    with _running("oauth4webapi.mjs") as client:
        yield client


@contextlib.contextmanager
def _running(script: str) -> Iterator[NodeClient]:
    program = need("node", "apt install nodejs")
    if not (SCRIPTS / "node_modules" / "openid-client").exists():
        missing("tests/clients/node_modules", "npm ci in tests/clients")
    process = subprocess.Popen(
        [program, str(SCRIPTS / script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield NodeClient(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.fixture
async def browser(served: Site) -> AsyncIterator[Visitor]:
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False) as http:
        yield Visitor(http, served.url)


async def _discovered(node: NodeClient, served: Site, client: str, method: str) -> None:
    document = CLIENTS[client]
    secret = None if method == "none" else CLIENT_SECRET
    metadata = node.ask(
        "discover",
        issuer=served.url,
        id=client,
        secret=secret,
        method=method,
        redirect=document["redirect_uris"][0],
        metadata={},
    )
    assert metadata["issuer"] == served.url


@pytest.mark.parametrize(
    ("client", "method"), [("notes", "client_secret_basic"), ("notes", "client_secret_post"), ("spa", "none")]
)
async def test_openid_client_goes_the_whole_way(
    served: Site, node: NodeClient, browser: Visitor, client: str, method: str
) -> None:
    """It checks iss, state, nonce, PKCE, at_hash, signature and auth_time by itself."""
    await _discovered(node, served, client, method)
    parameters = {"scope": "openid email profile offline_access", "prompt": "consent", "max_age": "3600"}
    there = await arrive(browser, node.ask("begin", parameters=parameters)["url"])
    assert there.startswith(CLIENTS[client]["redirect_uris"][0])
    tokens = node.ask("finish", url=there)
    ada = await served.user(ADA)
    assert tokens["claims"]["sub"] == ada.sub and 3500 < tokens["left"] <= 3600
    person = node.ask("userinfo", token=tokens["access_token"], sub=ada.sub)
    assert (person["email"], person["name"], person["email_verified"]) == (ADA, "Ada Lovelace", True)
    again = node.ask("refresh", token=tokens["refresh_token"])
    assert again["claims"]["sub"] == ada.sub and again["access_token"] != tokens["access_token"]
    node.ask("revoke", token=again["refresh_token"])
    assert "failed" in node.tell("userinfo", token=again["access_token"], sub=ada.sub)
    assert node.tell("refresh", token=again["refresh_token"])["failed"]["error"] == "invalid_grant"


async def test_openid_client_is_told_what_went_wrong(served: Site, node: NodeClient, browser: Visitor) -> None:
    await _discovered(node, served, "notes", "client_secret_basic")
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid", "prompt": "none"})["url"])
    assert node.tell("finish", url=there)["failed"]["error"] == "login_required"
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid"})["url"])
    forged = there.replace("iss=", "iss=https%3A%2F%2Fevil.example&x=")
    assert "failed" in node.tell("finish", url=forged)


async def test_openid_client_signs_its_user_out(served: Site, node: NodeClient, browser: Visitor) -> None:
    """RP-Initiated Logout, end to end: back at the client with its state, and nobody is signed in any more."""
    await _discovered(node, served, "notes", "client_secret_basic")
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid"})["url"])
    tokens = node.ask("finish", url=there)
    bye = CLIENTS["notes"]["post_logout_redirect_uris"][0]
    wish = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": bye, "state": "so long"}
    await browser.open(node.ask("leave", parameters=wish)["url"])
    assert browser.sent_to == f"{bye}?state=so%20long"
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid", "prompt": "none"})["url"])
    assert node.tell("finish", url=there)["failed"]["error"] == "login_required"


NEW_APP = "https://app.example.net/cb"


async def _registered(served: Site, node: NodeClient, **more: Any) -> dict[str, Any]:
    """An app that registered itself by openid-client."""
    metadata = {
        "redirect_uris": [NEW_APP],
        "token_endpoint_auth_method": "client_secret_basic",
        **more.pop("metadata", {}),
    }
    made = await served.ask(served.bridge.rooms.registrations.invite(secrets.token_hex(4)))
    assert made is not None and made.token is not None
    return node.ask("register", issuer=served.url, metadata=metadata, token=made.token.reveal(), **more)


REGISTERED: dict[str, dict[str, Any]] = {
    "by a secret": {},
    "by a signed assertion": {"metadata": {"token_endpoint_auth_method": "private_key_jwt"}, "alg": "ES256"},
    "by an assertion under its secret": {"metadata": {"token_endpoint_auth_method": "client_secret_jwt"}},
    "by a signed request": {
        "metadata": {"token_endpoint_auth_method": "private_key_jwt"},
        "alg": "RS256",
        "signed": True,
    },
    "by EdDSA": {
        "metadata": {"token_endpoint_auth_method": "private_key_jwt", "id_token_signed_response_alg": "EdDSA"},
        "alg": "EdDSA",
    },
    "told in secret": {
        "metadata": {
            "id_token_encrypted_response_alg": "ECDH-ES",
            "id_token_encrypted_response_enc": "A256GCM",
            "userinfo_signed_response_alg": "ES256",
        },
        "encrypted": "ECDH-ES",
    },
    "in the hybrid flow": {
        "metadata": {"response_types": ["code id_token"], "grant_types": ["authorization_code", "implicit"]}
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("way", REGISTERED)
async def test_openid_client_registers_itself_and_goes_the_whole_way(
    served: Site, node: NodeClient, browser: Visitor, way: str
) -> None:
    """RFC 7591; it checks what it is given, signatures too (non-repudiation), and opens what was encrypted."""
    more = dict(REGISTERED[way])
    signed = more.pop("signed", False)
    await _registered(served, node, **more)
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid email"}, signed=signed)["url"])
    tokens = node.ask("finish", url=there)
    ada = await served.user(ADA)
    assert tokens["claims"]["sub"] == ada.sub
    assert node.ask("userinfo", token=tokens["access_token"], sub=ada.sub)["email"] == ADA
    assert "code" not in node.tell("finish", url=there)  # the code was used


@pytest.mark.slow
async def test_openid_client_takes_an_id_token_from_the_browser(
    served: Site, node: NodeClient, browser: Visitor
) -> None:
    """Core §3.2."""
    await _registered(served, node, metadata={"response_types": ["id_token"], "grant_types": ["implicit"]})
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid"})["url"])
    assert "#" in there and node.ask("implicit", url=there)["claims"]["sub"] == (await served.user(ADA)).sub


async def test_openid_client_asks_whether_a_token_is_good(served: Site, node: NodeClient, browser: Visitor) -> None:
    """RFC 7662."""
    await _discovered(node, served, "notes", "client_secret_basic")
    there = await arrive(browser, node.ask("begin", parameters={"scope": "openid"})["url"])
    token = node.ask("finish", url=there)["access_token"]
    said = node.ask("introspect", token=token)
    assert said["active"] and said["sub"] == (await served.user(ADA)).sub and said["client_id"] == "notes"
    node.ask("revoke", token=token)
    assert node.ask("introspect", token=token) == {"active": False}


async def test_oauth4webapi_goes_the_whole_way(served: Site, low: NodeClient, browser: Visitor) -> None:
    """The low-level one checks every step by itself, and leaves nothing to a library above it."""
    redirect = CLIENTS["notes"]["redirect_uris"][0]
    found = low.ask("discover", issuer=served.url, id="notes", secret=CLIENT_SECRET, redirect=redirect)
    assert low.ask("metadata", issuer=served.url) == found  # RFC 8414
    wish = {"scope": "openid email offline_access", "prompt": "consent"}
    there = await arrive(browser, low.ask("begin", parameters=wish)["url"])
    tokens, ada = low.ask("finish", url=there), await served.user(ADA)
    assert tokens["claims"]["sub"] == ada.sub
    assert low.ask("userinfo", token=tokens["access_token"], sub=ada.sub)["email"] == ADA
    again = low.ask("refresh", token=tokens["refresh_token"])
    assert low.ask("introspect", token=again["access_token"])["active"] is True
    low.ask("revoke", token=again["refresh_token"])
    assert low.ask("introspect", token=again["access_token"]) == {"active": False}
    assert low.tell("finish", url=there.replace("state=", "state=x"))["failed"]


def _relying_party(served: Site) -> Starlette:
    return relying_party(
        CALLBACK,
        client_id="notes",
        client_secret=CLIENT_SECRET,
        server_metadata_url=f"{served.url}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256"},
    )


async def test_authlibs_starlette_client_knows_who_is_there(served: Site, browser: Visitor) -> None:
    async with visiting(_relying_party(served)) as app:
        away = (await app.get("/login")).headers["location"]
        back = await arrive(browser, away)
        reply = await app.get(back)
        assert reply.status_code == 200, reply.text
        ada, known = await served.user(ADA), reply.json()
        assert known["id_token"]["sub"] == known["userinfo"]["sub"] == ada.sub
        assert known["userinfo"]["email"] == ADA


async def test_authlibs_starlette_client_hears_of_a_refusal(served: Site, browser: Visitor) -> None:
    """The person turns back at the consent page."""
    async with visiting(_relying_party(served)) as app:
        away = (await app.get("/login")).headers["location"]
        await browser.open(f"{away}&{urlencode({'prompt': 'consent'})}")
        await browser.press("login-submit", email=ADA, password=PASSWORD)
        await browser.press("consent-deny")
        reply = await app.get(browser.sent_to)
        assert (reply.status_code, reply.json()) == (400, {"error": "access_denied"})
