"""Relying parties on loopback that are told of sign-outs, and check what they are told with joserfc."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.patience import until
from tests.running import PUBLIC_URL, Site

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Party:
    """One, with its own way to answer."""

    client: str
    port: int = 0
    status: int = 200
    hangs: bool = False
    keys: KeySet | None = None
    told: list[dict[str, Any]] = field(default_factory=list)
    """The claims of each logout token that was genuine."""
    headers: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each of them came, as log records tell it."""
    calls: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/logout"

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/logout", self._heard, methods=["POST"])])

    async def _heard(self, request: Request) -> Response:
        """BCL §2.6, step by step."""
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(60)
        if self.status != 200:
            return Response(status_code=self.status)
        async with request.form() as form:
            text = str(form["logout_token"])
            assert list(form) == ["logout_token"]
        assert self.keys is not None
        registry = JWSRegistry(algorithms=["RS256", "ES256"])
        token = jwt.decode(text, self.keys, registry=registry)
        rules = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": PUBLIC_URL},
            aud={"essential": True, "value": self.client},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
            events={"essential": True},
        )
        rules.validate(token.claims)
        assert token.claims["events"] == {EVENT: {}}
        assert "nonce" not in token.claims
        assert {"sub", "sid"} & token.claims.keys()
        self.told.append(token.claims)
        self.times.append(time.time())
        self.headers.append(dict(token.header))
        return Response(status_code=200)

    async def hear_of(self, sid: str) -> dict[str, Any]:
        """The token about that session."""
        await until(lambda: self.of(sid))
        return self.of(sid)[0]

    def of(self, sid: str) -> list[dict[str, Any]]:
        """The tokens about that session that came until now."""
        return [claims for claims in self.told if claims["sid"] == sid]

    async def trust(self, site: Site) -> None:
        """Fetch the provider's keys."""
        transport = httpx2.ASGITransport(site.bridge)
        async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
            self.keys = KeySet.import_key_set((await http.get("/oauth/jwks")).json())


@contextlib.asynccontextmanager
async def listening(*parties: Party) -> AsyncIterator[None]:
    """Each on a port of its own, in this loop."""
    servers, tasks = list[uvicorn.Server](), list[asyncio.Task[None]]()
    for party in parties:
        config = uvicorn.Config(
            party.app, host="127.0.0.1", port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        servers.append(server)
        tasks.append(asyncio.create_task(server.serve()))
        while not server.started:  # noqa: ASYNC110  it rings no bell
            await asyncio.sleep(0.01)
        party.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield
    finally:
        for server in servers:
            server.force_exit = server.should_exit = True
        await asyncio.wait(tasks)
