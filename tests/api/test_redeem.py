"""`POST /api/v1/sessions/redeem` — DESIGN §6, docs/decisions/0125."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.api.redeem import ACTION, PATH
from bridge.errors import Unavailable
from bridge.sessions.options import SessionOptions
from bridge.sessions.ticket import TicketWish
from bridge.tokens import LoginToken, digest
from tests.api.test_touch import PORTAL, Api, basic
from tests.sessions.world import VISIT

SHOP = "https://shop.example"
HELD = "what-the-browser-holds"


class RedeemApi(Api):
    """One whose world has a shop elsewhere, and whose portal may redeem."""

    def __init__(self) -> None:
        super().__init__(SessionOptions(ticket_origins=(SHOP,)))
        self.credentials.portal = replace(PORTAL, actions=frozenset({ACTION}))
        self.app = self.endpoints[PATH]

    async def ticket(self) -> str:
        wish = TicketWish(origin=SHOP, binding=digest(HELD), next="/orders")
        alive = await self.world.alive((await self.world.login()).token)
        token = await self.world.tickets.issue(alive, wish, VISIT)
        assert isinstance(token, LoginToken)
        return token.text.reveal()

    async def redeem(self, ticket: str, **more: str) -> Any:
        return (await self.post({"ticket": ticket, "origin": SHOP, "binding": HELD, **more}, basic())).json


@pytest.fixture
def api() -> RedeemApi:
    return RedeemApi()


async def test_a_ticket_is_exchanged_for_a_session_once(api: RedeemApi) -> None:
    ticket = await api.ticket()
    told = await api.redeem(ticket)
    assert set(told) == {"result", "token", "next"} and (told["result"], told["next"]) == ("redeemed", "/orders")
    token = LoginToken.parse(told["token"])
    assert (await api.world.alive(token, "middleware")).record.via == "portal"
    assert await api.redeem(ticket) == {"result": "refused", "reason": "used"}
    assert api.world.heard.events[-2].actor == "portal"


async def test_a_refusal_says_why(api: RedeemApi) -> None:
    ticket = await api.ticket()
    assert await api.redeem("no ticket") == {"result": "refused", "reason": "unknown"}
    assert await api.redeem(ticket, binding="another") == {"result": "refused", "reason": "other-browser"}
    assert await api.redeem(ticket, origin="https://blog.example") == {"result": "refused", "reason": "other-app"}
    assert (await api.redeem(ticket))["result"] == "redeemed"


async def test_it_takes_a_credential_that_may_redeem(api: RedeemApi) -> None:
    ticket = await api.ticket()
    body = {"ticket": ticket, "origin": SHOP, "binding": HELD}
    assert (await api.post(body)).status == 401
    assert (await api.post(body, basic(secret="wrong"))).status == 401
    assert (await api.post(body, basic(), client="198.51.100.1")).status == 403
    api.credentials.portal = PORTAL  # which may touch
    assert (await api.post(body, basic())).status == 403
    api.credentials.portal = replace(PORTAL, actions=frozenset({"*"}))
    assert (await api.post(body, basic())).json["result"] == "redeemed"


async def test_a_credential_that_may_redeem_may_not_touch(api: RedeemApi) -> None:
    api.app = api.endpoints["/api/v1/sessions/touch"]
    assert (await api.post({"token": "x"}, basic())).status == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"ticket": "x"}', b'{"ticket": 1, "origin": "x", "binding": "y"}', {"ticket": "x", "more": 1}],
)
async def test_what_is_no_call_is_a_clear_error(api: RedeemApi, body: Any) -> None:
    answer = await api.post(body, basic())
    assert answer.status == 400 and isinstance(answer.json["error"], str)


async def test_the_answer_is_not_to_be_stored(api: RedeemApi) -> None:
    answer = await api.post({"ticket": await api.ticket(), "origin": SHOP, "binding": HELD}, basic())
    assert answer.values(b"cache-control") == [b"no-store"]


async def test_a_silent_store_is_503_and_uses_nothing_up(api: RedeemApi) -> None:
    ticket, really = await api.ticket(), api.world.store.read

    async def silent(*_: str) -> Any:
        raise Unavailable("no answer")

    api.world.store.read = silent  # type: ignore[method-assign]
    answer = await api.post({"ticket": ticket, "origin": SHOP, "binding": HELD}, basic())
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"2"])
    api.world.store.read = really  # type: ignore[method-assign]
    assert (await api.redeem(ticket))["result"] == "redeemed"
