"""How often one credential may look people up — security §23."""

import pytest

from bridge.clients.credential import Rights
from bridge.clients.credentials import Credentials
from bridge.clock import SystemClock
from bridge.errors import ConfigError, Unavailable
from bridge.legacy.look_ups import LOOK_UPS, LookUps
from bridge.legacy.options import LegacyOptions
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.stores.guard import MemoryGuard
from bridge.testing.hands import Hands
from bridge.tokens import Names
from tests.legacy.desk import ISSUER, RIGHTS, SECRET, desk

RESET = {"action": "resetPASSWORD", "email": "user@example.com"}
LOGIN = {"action": "ValidateLogin", "email": "user@example.com", "password2": "wrong"}


async def test_a_credential_that_asks_too_often_is_told_when_to_come_again(credentials: Credentials) -> None:
    door = desk(credentials, LegacyOptions(look_ups_per_minute=3))
    for _ in range(3):
        assert (await door.call(**RESET)).status_code == 200
    for form in ("json", "xml", ""):
        reply = await door.call(**RESET, responsetype=form)
        assert reply.status_code == 429 and 1 <= int(reply.headers["retry-after"]) <= 60
        assert "Too many requests" in reply.text
    assert len(door.resets.asked) == 3
    assert door.heard.events[-1].reason == "too many look-ups by this credential"


async def test_another_credential_and_another_action_go_on(credentials: Credentials) -> None:
    await credentials.create("other", RIGHTS, identifier="o" * 32, secret=Secret(SECRET))
    door = desk(credentials, LegacyOptions(look_ups_per_minute=1))
    assert (await door.call(**RESET)).status_code == 200
    assert (await door.call(**RESET)).status_code == 429
    assert (await door.call(**LOGIN)).status_code == 200
    assert (await door.call(**RESET, identifier="o" * 32)).status_code == 200


async def test_who_may_not_call_the_action_is_not_counted(credentials: Credentials) -> None:
    few = Rights.parse(actions=["WhmcsDetails"])
    await credentials.create("few", few, identifier="f" * 32, secret=Secret(SECRET))
    door = desk(credentials, LegacyOptions(look_ups_per_minute=1))
    for _ in range(3):
        assert (await door.call(**RESET, identifier="f" * 32)).status_code == 403


async def test_the_minute_passes() -> None:
    clock = Hands()
    ring, names = Ring.parse(Ring.new_line("m1")), Names(ISSUER)
    options = LegacyOptions(look_ups_per_minute=2)
    look_ups = LookUps(guard=MemoryGuard(clock), names=names, ring=ring, options=options)
    assert [await look_ups.admit("GetUsers", "portal") for _ in range(2)] == [0, 0]
    assert 0 < await look_ups.admit("getclientsdetails", "portal") <= 60
    clock.move(121)  # the one before weighs in while it lasts
    assert await look_ups.admit("GetUsers", "portal") == 0


async def test_counters_that_are_down_stop_nobody() -> None:
    class Down(MemoryGuard):
        async def admit(self, *_: object, **__: object) -> float:
            raise Unavailable("no store")

    ring, names = Ring.parse(Ring.new_line("m1")), Names(ISSUER)
    options = LegacyOptions(look_ups_per_minute=1)
    look_ups = LookUps(guard=Down(SystemClock()), names=names, ring=ring, options=options)
    assert [await look_ups.admit("GetUsers", "portal") for _ in range(3)] == [0, 0, 0]


def test_every_action_that_only_tells_of_people_is_counted() -> None:
    told = {"getusers", "getclients", "getclientsdetails", "getcontacts", "getuserpermissions", "resetpassword"}
    assert told <= LOOK_UPS and "validatelogin" not in LOOK_UPS


def test_no_look_ups_at_all_cannot_be_meant() -> None:
    with pytest.raises(ConfigError, match="look_ups_per_minute"):
        LegacyOptions(look_ups_per_minute=0)
