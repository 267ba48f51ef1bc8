"""A suite that is none: its HTTP API, with a plan whose modules go as the test says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bridge.testing.hands import Hands


@dataclass(kw_only=True)
class Script:
    """How one module goes."""

    name: str = "oidcc-server"
    states: Sequence[str] = ("WAITING", "FINISHED")
    """One after the other; it stays in the last."""
    result: str = "PASSED"
    log: Sequence[dict[str, str]] = ()


@dataclass
class FakeSuite:
    """`asked`: every request, as `METHOD path`; `bodies`: what came with the plans."""

    scripts: Sequence[Script]
    broken: str = ""
    """A path that is answered 500, or without JSON."""
    asked: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    bodies: list[Any] = field(default_factory=list)
    variants: list[str] = field(default_factory=list)
    clock: Hands = field(default_factory=Hands)
    """Whoever asks to wait is answered at once, and this has moved as far as he was ready to wait."""
    _at: dict[int, int] = field(default_factory=dict)

    def app(self) -> Starlette:
        routes = [
            Route("/api/server", self._server),
            Route("/api/plan", self._plan, methods=["POST"]),
            Route("/api/runner", self._begin, methods=["POST"]),
            Route("/api/runner/{run:int}", self._go_on, methods=["POST", "DELETE"]),
            Route("/api/runner/{run:int}/wait-state", self._wait),
            Route("/api/info/{run:int}", self._info),
            Route("/api/log/{run:int}", self._log),
        ]
        return Starlette(routes=routes)

    def _heard(self, request: Request) -> Response | None:
        self.asked.append(f"{request.method} {request.url.path}")
        self.tokens.add(request.headers.get("authorization"))
        if self.broken == request.url.path:
            return PlainTextResponse("out of memory", 500)
        return PlainTextResponse("<html>", 200) if self.broken == f"text {request.url.path}" else None

    async def _server(self, request: Request) -> Response:
        return self._heard(request) or JSONResponse({"version": "0.0.0"})

    async def _plan(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        self.variants.append(request.query_params["variant"])
        modules = [{"testModule": each.name, "variant": {"response_type": "code"}} for each in self.scripts]
        return self._heard(request) or JSONResponse({"id": "plan", "modules": modules}, 201)

    async def _begin(self, request: Request) -> Response:
        assert request.query_params["plan"] == "plan" and json.loads(request.query_params["variant"])
        run = len(self._at)
        assert self.scripts[run].name == request.query_params["test"]
        self._at[run] = 0
        return self._heard(request) or JSONResponse({"id": str(run)}, 201)

    async def _wait(self, request: Request) -> Response:
        run, wanted = int(request.path_params["run"]), request.query_params["states"].split(",")
        states, at = self.scripts[run].states, self._at[run]
        now = states[min(at, len(states) - 1)]
        if now != "CONFIGURED":  # that one waits to be started
            self._at[run] += 1
        if now not in wanted:
            self.clock.move(int(request.query_params["timeoutMs"]) / 1_000)
        return self._heard(request) or JSONResponse({"state": now} if now in wanted else {"timeout": True})

    async def _go_on(self, request: Request) -> Response:
        self._at[int(request.path_params["run"])] += 1
        return self._heard(request) or JSONResponse({})

    async def _info(self, request: Request) -> Response:
        return self._heard(request) or JSONResponse({"result": self.scripts[int(request.path_params["run"])].result})

    async def _log(self, request: Request) -> Response:
        return self._heard(request) or JSONResponse(list(self.scripts[int(request.path_params["run"])].log))
