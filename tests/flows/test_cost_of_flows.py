"""What a whole sign-in of an app and a rotation cost: functions entered, and trips to the store — store §2, §7.

As in `test_cost.py`: a limit lies a few per cent above what was counted on 2026-11-28 by CPython 3.11.  Whoever makes a
flow dearer than that has to say so here, and in docs/benchmarks.md.
"""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Final

import pytest

from bridge.asgi import ASGIApp, Receive, Scope, Send
from tests.flows.raw import Party
from tests.running import Site

pytestmark = pytest.mark.usefixtures("caches_stay")

FLOW, ROTATION = 526, 205
TRIPS: Final = {
    "/oauth/authorize": ["read 3", "commit 7"],
    "/oauth/token": ["read 3", "commit 7"],
    "/oauth/userinfo": ["read 3"],
}
"""By step, with the keys that are read and the changes that are made (store §2)."""


@dataclass
class Watched:
    """Everything that the bridge's own door enters."""

    app: ASGIApp
    entered: Counter[str] = field(default_factory=Counter[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            await self.app(scope, receive, send)
        finally:
            sys.setprofile(before)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            self.entered[f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}"] += 1


async def flow(party: Party) -> dict[str, Any]:
    """Authorize with a session, token, userinfo."""
    tokens = await party.signed_in()
    assert (await party.userinfo(tokens["access_token"])).status == 200
    return tokens


async def rotation(party: Party, tokens: dict[str, Any]) -> dict[str, Any]:
    """The newest refresh token for the next, with its access and ID token."""
    new = await party.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert new.keys() == tokens.keys()
    return new


async def _entered(party: Party, step: Callable[[Party], Awaitable[Any]]) -> Counter[str]:
    """The least of several times: now and then something else has its turn in the loop."""
    times: list[Counter[str]] = []
    for _ in range(5):
        watched = Watched(party.app)
        await step(replace(party, app=watched))
        times.append(watched.entered)
    return min(times, key=Counter.total)


async def test_a_flow_costs_no_more_than_it_did(site: Site) -> None:
    party = await Party.at(site, id_token_signed_response_alg="ES256")
    await flow(party)
    entered = await _entered(party, flow)
    assert entered.total() <= FLOW, entered.most_common()


async def test_a_rotation_costs_no_more_than_it_did(site: Site) -> None:
    party = await Party.at(site, id_token_signed_response_alg="ES256")
    last = await rotation(party, await flow(party))

    async def once_more(party: Party) -> None:
        nonlocal last
        last = await rotation(party, last)

    entered = await _entered(party, once_more)
    assert entered.total() <= ROTATION, entered.most_common()


async def test_each_step_takes_the_trips_to_the_store_that_are_planned(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    party = await Party.at(site)
    await flow(party)
    store, trips, path = site.bridge.rooms.raw_store, dict[str, list[str]](), ""
    for verb in ("read", "commit", "members"):
        real = getattr(store, verb)

        async def noted(*given: Any, verb: str = verb, real: Any = real) -> Any:
            trips.setdefault(path, []).append(f"{verb} {len(given)}")
            return await real(*given)

        monkeypatch.setattr(store, verb, noted)

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal path
        path = scope["path"]
        await party.app(scope, receive, send)

    watched = replace(party, app=told)
    tokens = await flow(watched)
    assert trips == TRIPS
    trips.clear()
    await rotation(watched, tokens)
    assert trips == {"/oauth/token": ["read 3", "commit 5"]}
