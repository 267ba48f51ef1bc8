"""What the commonest requests cost, and the page that people wait for, in Python functions entered, which nothing
else on the machine changes.

A limit lies a few per cent above what was counted on 2026-11-28 (CPython 3.11, which enters comprehensions too; later
ones enter less).  Whoever makes a request dearer than that has to say so here, and in docs/benchmarks.md.
"""

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from bridge.asgi import Receive, Scope, Send
from tests.flows.raw import Heard, Party
from tests.running import Site

pytestmark = pytest.mark.usefixtures("caches_stay")

INTROSPECTION, USERINFO = 76, 72
SIGN_IN_PAGE, SIGN_IN_PAGE_ANEW = 157, 1_060


async def _entered(party: Party, door: str, given: str | tuple[str, str]) -> Counter[str]:
    """How often each function was entered by one request, once everything is in its cache.

    The least of several times: now and then something else has its turn in the loop.
    """
    times: list[Counter[str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            times[-1][f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_code.co_name}"] += 1

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        times.append(Counter())
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            await party.app(scope, receive, send)
        finally:
            sys.setprofile(before)

    for app in (party.app, party.app, *[watched] * 5):
        request: Callable[[Any], Awaitable[Heard]] = getattr(replace(party, app=app), door)
        assert (await request(given)).status == 200
    return min(times, key=Counter.total)


async def test_introspection_costs_no_more_than_it_did(site: Site) -> None:
    party = await Party.at(site)
    entered = await _entered(party, "introspect", await party.own_token())
    assert entered.total() <= INTROSPECTION, entered.most_common()


async def test_userinfo_costs_no_more_than_it_did(site: Site) -> None:
    party = await Party.at(site)
    entered = await _entered(party, "userinfo", (await party.signed_in())["access_token"])
    assert entered.total() <= USERINFO, entered.most_common()


async def test_the_sign_in_page_costs_no_more_than_it_did(site: Site) -> None:
    """What all who are sent by one application see alike was made for the one before."""
    party = await Party.at(site)
    await party.sign_in_page(await party.sent_to_sign_in())
    entered = await _entered(party, "sign_in_page", await party.sent_to_sign_in())
    assert entered.total() <= SIGN_IN_PAGE, entered.most_common()


async def test_a_page_that_is_made_anew_costs_no_more_than_it_did(site: Site) -> None:
    """The same with a hint, so that it is for one person alone."""
    party = await Party.at(site)
    entered = await _entered(party, "sign_in_page", await party.sent_to_sign_in(login_hint="ada@example.com"))
    assert entered.total() <= SIGN_IN_PAGE_ANEW, entered.most_common()


@pytest.mark.parametrize("door", ["introspect", "userinfo"])
async def test_each_asks_the_store_once_and_writes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    party = await Party.at(site)
    token = (await party.signed_in())["access_token"]
    request: Callable[[str], Awaitable[Heard]] = getattr(party, door)
    await request(token)
    store, asked = site.bridge.rooms.raw_store, []
    for verb in ("read", "commit", "members"):
        real = getattr(store, verb)

        async def counted(*given: Any, verb: str = verb, real: Any = real) -> Any:
            asked.append((verb, len(given)))
            return await real(*given)

        monkeypatch.setattr(store, verb, counted)
    assert (await request(token)).status == 200
    assert asked == [("read", 3)]
