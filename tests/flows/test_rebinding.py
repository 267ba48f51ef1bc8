"""Names that lead elsewhere when they are asked again, at every door behind which an address of somebody's is called —
security §16.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx2
import pytest

from bridge.outbox import worker
from bridge.outbox.farewells import BACKCHANNEL_LOGOUT
from bridge.testing.hands import Hands
from tests.flows.raw import BACK, ask
from tests.oidc.signing import ASSERTION, claims_of, key, sign
from tests.running import ADA, PUBLIC_URL, Furnished, Given, Site, in_process

PUBLIC = "93.184.215.14"
FORBIDDEN = [
    *("127.0.0.1", "169.254.169.254", "0.0.0.0", "10.1.2.3", "100.64.0.1", "::1", "::", "::ffff:127.0.0.1"),
    *("64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%eth0", "fd00:ec2::254"),
]


class Names:
    """What this machine's resolver says: for each host one answer after another.  And where somebody connects to."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.connected: list[tuple[str, int, str | None]] = []

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        answers = self.answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answer]

    async def open_connection(self, host: str, port: int, *, server_hostname: str | None, **_: Any) -> NoReturn:
        self.connected.append((host, port, server_hostname))
        raise OSError("nobody is called in a test")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    monkeypatch.setattr(asyncio, "open_connection", names.open_connection)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.02)
    return names


@pytest.fixture
async def site(database: Furnished) -> AsyncIterator[Site]:
    more: Given = {
        ("oidc", "request_objects"): True,
        ("oidc", "request_uris"): True,
        ("oidc", "registrations_per_hour"): 999,
    }
    async with in_process(database, more=more, clock=Hands(time.time())) as site:  # it stands: nothing is tried again
        yield site


async def _sector(site: Site, host: str) -> None:
    token = await site.bridge.rooms.registrations.invite(host)
    assert token is not None and token.token is not None
    document = {"redirect_uris": [BACK], "sector_identifier_uri": f"https://{host}/sector"}
    headers = {"authorization": f"Bearer {token.token.reveal()}"}
    reply = await _json(site, "/oauth/register", document, headers)
    assert reply == 400


async def _json(site: Site, path: str, document: Any, headers: dict[str, str]) -> int:
    transport = httpx2.ASGITransport(site.bridge)
    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        return (await http.post(path, json=document, headers=headers)).status_code


async def _key_set(site: Site, host: str) -> None:
    about = {"client_name": "Signs", "redirect_uris": [BACK], "grant_types": ["client_credentials"]}
    method = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": f"https://{host}/keys"}
    await site.client(host, {**about, **method, "response_types": []})
    signed = sign(claims_of(host, site.bridge.rooms.clock.now(), aud=PUBLIC_URL), key("ES256"), "ES256")
    form = {"client_assertion_type": ASSERTION, "client_assertion": signed, "grant_type": "client_credentials"}
    assert (await ask(site.bridge, "POST", "/oauth/token", {}, **form)).status == 401


async def _request_object(site: Site, host: str) -> None:
    uri = f"https://{host}/object"
    await site.client(host, {"client_name": "Refers", "redirect_uris": [BACK], "request_uris": [uri]})
    asked = {"client_id": host, "redirect_uri": BACK, "response_type": "code", "request_uri": uri}
    reply = await ask(site.bridge, "GET", f"/oauth/authorize?{urlencode(asked)}", {})
    assert b"error=invalid_request_uri" in reply.headers[b"location"]


async def _sign_out(site: Site, host: str) -> None:
    told = {"client_name": "Told", "redirect_uris": [BACK], "backchannel_logout_uri": f"https://{host}/bye"}
    await site.client(host, told)
    rooms, ada = site.bridge.rooms, await site.user(ADA)
    await rooms.outbox.put(None, BACKCHANNEL_LOGOUT, ada.id, {"client": host, "sid": "S"})
    while not [job for job in await rooms.outbox.left() if job.client == host and job.error]:  # noqa: ASYNC110  no bell
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("call", [_sector, _key_set, _request_object, _sign_out])
async def test_the_address_that_was_looked_at_is_the_one_that_is_called(
    site: Site, names: Names, call: Callable[[Site, str], Any]
) -> None:
    for number, address in enumerate(FORBIDDEN):
        later, mixed, only = (f"{word}-{number}.example" for word in ("later", "mixed", "only"))
        names.answers = {later: [[PUBLIC], [address]], mixed: [[PUBLIC, address]], only: [[address]]}
        for host in (later, mixed, only):
            await call(site, host)
    assert set(names.connected) == {(PUBLIC, 443, f"later-{number}.example") for number in range(len(FORBIDDEN))}
    assert len(names.connected) == len(FORBIDDEN) and len(names.asked) == 3 * len(FORBIDDEN)
