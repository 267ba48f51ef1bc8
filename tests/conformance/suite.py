"""A running conformance suite, by its HTTP API."""

import asyncio
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

LONG_POLL: Final = 30.0
"""Seconds that the suite holds a question about a module's state at most."""


class SuiteError(Exception):
    """The suite does not answer, or not as it should."""


class Late(Exception):
    """A module is not where it was awaited within its time."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a plan, with the variant that the plan itself fixes for it."""

    name: str
    variant: Mapping[str, str]

    def __str__(self) -> str:
        return self.name + "".join(f"[{key}={value}]" for key, value in sorted(self.variant.items()))


@dataclass(frozen=True, slots=True)
class Created:
    """A plan that waits to be run."""

    id: str
    modules: tuple[Module, ...]


class Suite:
    """What a person would click in the suite's own pages.  Raises SuiteError."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http

    async def version(self) -> str:
        """Its own."""
        return str((await self._ask("GET", "api/server")).get("version", "unknown"))

    async def create(self, plan: str, variant: Mapping[str, str], configuration: Mapping[str, Any]) -> Created:
        """A new plan."""
        query = {"planName": plan, "variant": json.dumps(variant)}
        made = await self._ask("POST", "api/plan", query, configuration, expected=201)
        modules = (Module(each["testModule"], each.get("variant") or {}) for each in made["modules"])
        return Created(made["id"], tuple(modules))

    async def begin(self, plan: Created, module: Module) -> str:
        """A new run of the module; its id."""
        query = {"test": module.name, "plan": plan.id, "variant": json.dumps(module.variant)}
        return str((await self._ask("POST", "api/runner", query, expected=201))["id"])

    async def start(self, run: str) -> None:
        """Go on with a run that waits for us."""
        await self._ask("POST", f"api/runner/{run}")

    async def cancel(self, run: str) -> None:
        """End it as it is."""
        await self._ask("DELETE", f"api/runner/{run}")

    async def wait(self, run: str, states: Collection[str], *, seconds: float) -> str:
        """The first of these states that the run is in.  Raises Late."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            held = min(left, LONG_POLL)
            query = {"states": ",".join(states), "timeoutMs": str(max(1, int(held * 1000)))}
            told = await self._ask("GET", f"api/runner/{run}/wait-state", query, timeout=held + 30)
            if told.get("state") in states:
                return str(told["state"])
            if not told.get("timeout"):
                await asyncio.sleep(0.1)  # an answer that says nothing must not become a storm of questions
        raise Late

    async def outcome(self, run: str) -> str:
        """PASSED, WARNING, REVIEW, SKIPPED or FAILED; UNKNOWN of a run that was broken off."""
        return str((await self._ask("GET", f"api/info/{run}")).get("result") or "UNKNOWN")

    async def complaints(self, run: str) -> list[str]:
        """What failed in the run or gave a warning, each as `FAILURE condition: message`."""
        entries = await self._ask("GET", f"api/log/{run}")
        return [
            f"{entry['result']} {entry.get('src', '')}: {entry.get('msg', '')}"
            for entry in entries
            if entry.get("result") in ("FAILURE", "WARNING", "INTERRUPTED")
        ]

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        expected: int = 200,
        timeout: float = 60,
    ) -> Any:
        try:
            reply = await self._http.request(
                method,
                path,
                params=query,
                content=json.dumps(body) if body is not None else None,
                headers={"content-type": "application/json"},
                timeout=timeout,
            )
        except httpx2.HTTPError as error:
            raise SuiteError(f"{method} {path}: {str(error) or type(error).__name__}") from None
        if reply.status_code != expected:
            raise SuiteError(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
        try:
            return reply.json()
        except ValueError:
            raise SuiteError(f"{method} {path}: no JSON but {reply.text[:300]}") from None
