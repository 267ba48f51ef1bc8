"""Relying parties of WHMCS's, repointed: the six kinds, each with the requests it really sends — whmcs-api §6.4.

By Authlib's client, set up to send exactly those, against a running bridge on each kind of store.
"""

import base64
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest

from bridge.types import Subject
from tests.flows.visitor import Visitor
from tests.oidc.conftest import sqlite_template
from tests.oidc.relying import arrive, relying_party, visiting
from tests.running import CALLBACK, Given, Site, furnished, on_a_port
from tests.servers import SmtpSink

__all__ = ["sqlite_template"]

GRACE = "grace@example.com"
SUB = Subject("7b1f5a52-6d0e-4f6b-9a36-1f0c6f2f7a11")
"""As WHMCS told it to its relying parties."""
ID: Final = "ACME-HOSTING.SQxO+rZO/TQC8YTkLQuQ0w=="
SECRET: Final = "k3/+Zp=:%2B9q" + "Lw7/+A" * 12 + "=="
PATHS: Final = {
    "authorize_url": "/oauth/authorize.php",
    "access_token_url": "/oauth/token.php",
    "userinfo_endpoint": "/oauth/userinfo.php",
    "jwks_uri": "/oauth/certs.php",
}


@dataclass(frozen=True)
class Kind:
    """What it sends."""

    discovers: bool
    method: Literal["client_secret_basic", "client_secret_post"]
    token: Literal["header", "uri"]
    """Where its access token stands at userinfo."""
    pkce: bool = False
    suffix: str = ""
    """What its userinfo address ends in."""


KINDS: Final[dict[str, Kind]] = {
    "A": Kind(discovers=True, method="client_secret_post", token="uri"),
    "B": Kind(discovers=True, method="client_secret_post", token="uri"),
    "C": Kind(discovers=False, method="client_secret_post", token="header", suffix="?access_token="),
    "D": Kind(discovers=True, method="client_secret_basic", token="header"),
    "E": Kind(discovers=False, method="client_secret_post", token="header", pkce=True),
    "F": Kind(discovers=False, method="client_secret_post", token="header", pkce=True),
}


def client_id(kind: str) -> str:
    return f"{kind}{ID}"


@dataclass
class Sent:
    """Every request of a relying party's own."""

    requests: list[httpx2.Request] = field(default_factory=list)

    async def hear(self, request: httpx2.Request) -> None:
        self.requests.append(request)

    def to(self, path: str) -> httpx2.Request:
        """The one to that path."""
        (found,) = [request for request in self.requests if request.url.path == path]
        return found


@pytest.fixture(scope="module", params=["sqlite", "redis"])
async def served(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A bridge on a free port, which has WHMCS's clients and one of its users."""
    database = await furnished(sqlite_template, tmp_path_factory.mktemp("served"))
    store: Given = {("store", "url"): request.getfixturevalue("redis_url")} if request.param == "redis" else {}
    with SmtpSink.listening() as sink, on_a_port(database, sink, more=store) as site:
        documents = [
            {
                "client_id": client_id(kind),
                "client_secret": SECRET,
                "client_name": f"Kind {kind}",
                "redirect_uris": [CALLBACK],
            }
            for kind in KINDS
        ]
        await site.ask(site.bridge.rooms.clients.import_(documents))
        await site.person(GRACE, first_name="Grace", last_name="Hopper", sub=SUB, email_verified=True)
        yield site


@pytest.fixture
async def browser(served: Site) -> AsyncIterator[Visitor]:
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False) as http:
        yield Visitor(http, served.url)


def registered(served: Site, name: str, sent: Sent, secret: str = SECRET) -> dict[str, Any]:
    """What Authlib is told of the provider."""
    kind = KINDS[name]
    options: dict[str, Any] = {
        "client_id": client_id(name),
        "client_secret": secret,
        "client_kwargs": {
            "scope": "openid profile email",
            "token_endpoint_auth_method": kind.method,
            "token_placement": kind.token,
            "event_hooks": {"request": [sent.hear]},
            "trust_env": False,
            **({"code_challenge_method": "S256"} if kind.pkce else {}),
        },
    }
    if kind.discovers:
        return options | {"server_metadata_url": f"{served.url}/oauth/openid-configuration.php"}
    typed = {name: served.url + path for name, path in PATHS.items()}
    return options | typed | {"issuer": served.url, "userinfo_endpoint": typed["userinfo_endpoint"] + kind.suffix}


async def whole_way(served: Site, browser: Visitor, name: str, sent: Sent) -> dict[str, Any]:
    """What the relying party knows in the end."""
    async with visiting(relying_party(CALLBACK, **registered(served, name, sent))) as app:
        away = (await app.get("/login")).headers["location"]
        assert urlsplit(away).path == PATHS["authorize_url"] and ("code_challenge" in away) is KINDS[name].pkce
        reply = await app.get(await arrive(browser, away, GRACE))
        assert reply.status_code == 200, reply.text
        known: dict[str, Any] = reply.json()
        return known


@pytest.mark.parametrize("name", KINDS)
async def test_each_kind_knows_the_same_person_as_before(served: Site, browser: Visitor, name: str) -> None:
    known = await whole_way(served, browser, name, Sent())
    assert known["id_token"]["sub"] == known["userinfo"]["sub"] == SUB
    assert known["id_token"]["aud"] == client_id(name) and known["id_token"]["iss"] == served.url
    assert "email" not in known["id_token"]
    person = {"email": GRACE, "email_verified": True, "name": "Grace Hopper"}
    assert known["userinfo"].items() >= person.items()
    assert known["userinfo"]["email_verified"] is True


@pytest.mark.parametrize("name", KINDS)
async def test_each_kind_sends_what_it_is_known_to_send(served: Site, browser: Visitor, name: str) -> None:
    """The test of the tests: these are the requests of the table."""
    kind, sent = KINDS[name], Sent()
    known = await whole_way(served, browser, name, sent)
    token, paths = known["token"]["access_token"], [request.url.path for request in sent.requests]
    assert ("/oauth/openid-configuration.php" in paths) is kind.discovers
    assert set(paths) <= {"/oauth/openid-configuration.php", *PATHS.values()}
    asked = sent.to("/oauth/token.php")
    form = parse_qs(asked.content.decode(), strict_parsing=True)
    assert form["grant_type"] == ["authorization_code"] and form["redirect_uri"] == [CALLBACK]
    assert ("code_verifier" in form) is kind.pkce
    by_basic = kind.method == "client_secret_basic"
    assert form.get("client_secret") == (None if by_basic else [SECRET])
    assert asked.headers.get("authorization", "").startswith("Basic ") is by_basic
    told = sent.to("/oauth/userinfo.php")
    by_query = kind.token == "uri"
    assert told.method == "GET"
    assert told.url.query.decode() == (f"access_token={token}" if by_query else kind.suffix.removeprefix("?"))
    assert told.headers.get("authorization") == (None if by_query else f"Bearer {token}")


@pytest.mark.parametrize("name", ["A", "D"])
async def test_a_wrong_secret_opens_nothing(served: Site, browser: Visitor, name: str) -> None:
    """§6.3: 401, which a strict relying party takes as well as 400."""
    wrong = SECRET.replace("+", " ", 1)
    async with visiting(relying_party(CALLBACK, **registered(served, name, Sent(), wrong))) as app:
        away = (await app.get("/login")).headers["location"]
        reply = await app.get(await arrive(browser, away, GRACE))
        assert (reply.status_code, reply.json()) == (400, {"error": "invalid_client"})


async def test_the_desktop_app_gets_all_that_it_insists_on(served: Site, browser: Visitor) -> None:
    """Kind E: nonce, iat, kid, size of the key, types of the token response."""
    known = await whole_way(served, browser, "E", Sent())
    token, claims = known["token"], known["id_token"]
    assert type(token["expires_in"]) is int and 0 < token["expires_in"] <= 30 * 86_400
    assert token["token_type"].lower() == "bearer"
    assert claims["nonce"] and abs(claims["iat"] - time.time()) < 600
    async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
        keys = (await http.get("/oauth/certs.php")).json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys)
    moduli = [base64.urlsafe_b64decode(key["n"] + "==") for key in keys if key["kty"] == "RSA"]
    assert moduli and all(int.from_bytes(modulus, "big").bit_length() >= 2_048 for modulus in moduli)


async def test_what_has_ended_is_answered_401(served: Site, browser: Visitor) -> None:
    """Kind E: 401 or 403 is how it knows that it must ask again."""
    token = (await whole_way(served, browser, "E", Sent()))["token"]["access_token"]
    async with httpx2.AsyncClient(base_url=served.url, trust_env=False) as http:
        by_header = {"authorization": f"Bearer {token}"}
        assert (await http.get("/oauth/userinfo.php", headers=by_header)).status_code == 200
        revoke = {"token": token, "client_id": client_id("E"), "client_secret": SECRET}
        assert (await http.post("/oauth/revoke", data=revoke)).status_code == 200
        assert (await http.get("/oauth/userinfo.php", headers=by_header)).status_code == 401
        assert (await http.get(f"/oauth/userinfo.php?access_token={token}")).status_code == 401


async def test_one_changed_letter_of_the_address_leads_nowhere(served: Site, browser: Visitor) -> None:
    """The slash at the end counts, as it does there (§6.3)."""
    for changed in (f"{CALLBACK}/", CALLBACK[:-1], f"{CALLBACK}?x=1", CALLBACK.replace("https", "http")):
        query = f"client_id={quote(client_id('A'), safe='')}&redirect_uri={quote(changed, safe='')}"
        await browser.open(f"/oauth/authorize.php?{query}&response_type=code&scope=openid&state=s")
        assert browser.reply.status_code == 400 and "location" not in browser.reply.headers
