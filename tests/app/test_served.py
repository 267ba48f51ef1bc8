"""The app behind a real server: what it says on the wire when an answer cannot be finished — DESIGN §11."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import uvicorn

from bridge.app import Bridge
from bridge.asgi import Receive, Scope, Send
from tests.app.conftest import Make
from tests.servers import LOOPBACK


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """On a port of its own, until the block ends."""
    with contextlib.closing(socket.create_server((LOOPBACK, 0))) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None, proxy_headers=False, ws="none"))
        task = asyncio.create_task(server.serve([listener]))
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def with_endpoint(bridge: Bridge, endpoint: Any) -> Bridge:
    exact: Any = bridge._front.exact
    exact["/broken"] = endpoint
    return bridge


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_half_an_answer_ends_the_connection_and_a_whole_one_does_not(make: Make, sent: int) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        messages = [
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]},
            {"type": "http.response.body", "body": b"half of it", "more_body": True},
        ]
        for message in messages[:sent]:
            await send(message)
        raise RuntimeError("a bug")

    async with (
        served(with_endpoint(make(), broken)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        if sent:
            with pytest.raises(httpx2.TransportError):
                await http.get("/broken")
        else:
            reply = await http.get("/broken")
            assert reply.status_code == 500 and reply.json()["error"] == "server_error"
        assert (await http.get("/readyz")).status_code == 200


async def test_paths_are_taken_as_they_were_sent(make: Make) -> None:
    async with served(make()) as url, httpx2.AsyncClient(trust_env=False) as http:
        port = int(url.rpartition(":")[2])
        for path, status in (
            ("/oauth/jwks", 200),
            ("/oauth/%6awks", 404),
            ("//oauth/jwks", 404),
            ("/oauth/./jwks", 404),
            ("/x/../oauth/jwks", 404),
            ("/oauth/jwks?x=%6a", 200),
            ("/oauth/jwks/", 404),
        ):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: login.example.com\r\nConnection: close\r\n\r\n".encode())
            said = await reader.read()
            writer.close()
            assert int(said.split()[1]) == status, path
        assert (await http.get(f"{url}/oauth/jwks")).status_code == 200


async def test_a_request_under_way_is_answered_before_the_server_ends(make: Make) -> None:
    bridge, come = make(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        come.set()
        await asyncio.sleep(0.5)
        await bridge.rooms.database.ping()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with httpx2.AsyncClient(trust_env=False) as http:
        async with served(with_endpoint(bridge, slow)) as url:
            asked = asyncio.create_task(http.get(f"{url}/broken"))
            await come.wait()
        assert (await asked).text == "ok"
    assert not bridge._open
