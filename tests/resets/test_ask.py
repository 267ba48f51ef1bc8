"""Asking for a link: the form learns nothing, the account and the network are not flooded — R1, R8."""

import asyncio
import ipaddress
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from bridge.errors import Unavailable
from bridge.events.event import Event, Events
from bridge.resets import ask
from bridge.resets.ask import PURPOSE, Queued, ResetRequests, UnknownUser
from bridge.resets.options import ResetOptions
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.stores.guard import MemoryGuard
from bridge.testing.hands import Hands
from bridge.tokens import Names
from bridge.types import SlotTag, Stamp, Subject, UserId, Visit
from bridge.users.backend import Capability
from bridge.users.user import User

ADA = User(
    id=UserId(7),
    sub=Subject("7"),
    tag=SlotTag("a" * 11),
    email="Ada@Example.com",
    email_key="ada@example.com",
    stamp=Stamp("n1"),
)


@dataclass
class Directory:
    """Ada and users with numbers; counts who looks them up."""

    name: str = "bridge"
    capabilities: Capability = Capability.SEND_RESET
    looked: int = 0

    async def by_id(self, user: UserId) -> User | None:
        self.looked += 1
        return ADA if user == ADA.id else None

    async def by_email(self, email: str) -> User | None:
        self.looked += 1
        if email.startswith("user"):
            return msgspec.structs.replace(ADA, id=UserId(100), email=email, email_key=email)
        return ADA if email.casefold() == ADA.email_key else None


@dataclass
class Queue:
    """The outbox, which may be out of order or slow."""

    jobs: list[tuple[UserId | None, Mapping[str, str]]] = field(default_factory=list[Any])
    down: bool = False
    gate: asyncio.Event | None = None

    async def put(self, tx: None, purpose: str, user: UserId | None, payload: Mapping[str, str]) -> None:
        assert purpose == PURPOSE
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise Unavailable("the database is away")
        self.jobs.append((user, payload))


@dataclass
class Desk:
    """What a test looks at."""

    requests: ResetRequests
    queue: Queue
    users: Directory
    clock: Hands
    events: list[Event]

    def hear(self, event: Event) -> None:
        self.events.append(event)

    async def asked(self, email: str, ip: str | None = "203.0.113.5", language: str = "en") -> int:
        """By the public form; how many jobs there are once all is done."""
        self.requests.ask(email, msgspec.structs.replace(visit(ip), language=language))
        await self.requests.close()
        return len(self.queue.jobs)

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events if event.kind == "reset.refused"]


@pytest.fixture
def desk() -> Desk:
    clock, queue, users, heard = Hands(), Queue(), Directory(), list[Event]()
    events = Events(clock)
    requests = ResetRequests(
        users=users,
        outbox=queue,
        guard=MemoryGuard(clock),
        names=Names("https://login.example"),
        ring=Ring([MasterKey("k1", Secret(b"m" * 32))]),
        events=events,
        options=ResetOptions(per_account=3, per_address=20, per_network=50, in_all=30),
    )
    made = Desk(requests, queue, users, clock, heard)
    events.listen(made)
    return made


def visit(ip: str | None) -> Visit:
    return Visit("pages", ipaddress.ip_address(ip) if ip else None)


async def test_r1_the_form_is_answered_before_anything_is_looked_at(desk: Desk) -> None:
    desk.queue.gate = asyncio.Event()
    for email in (ADA.email, "nobody@example.com"):
        assert desk.requests.ask(email, visit("203.0.113.5"))  # returns, although the outbox hangs
    assert desk.users.looked == 0 and desk.queue.jobs == []
    desk.queue.gate.set()
    await desk.requests.close()
    assert desk.users.looked == 2
    assert [user for user, _ in desk.queue.jobs] == [ADA.id]


async def test_what_is_no_address_is_not_looked_at(desk: Desk) -> None:
    assert not desk.requests.ask("no address at all", visit("203.0.113.5"))
    await desk.requests.close()
    assert desk.users.looked == 0 and desk.queue.jobs == [] and desk.reasons() == []


async def test_a_job_names_the_account_and_who_asked(desk: Desk) -> None:
    await desk.asked(" ADA@example.COM", language="zh_Hans")
    payload = {"email_key": "ada@example.com", "language": "zh_Hans", "ip": "203.0.113.5"}
    assert desk.queue.jobs == [(ADA.id, payload)]


async def test_made_up_addresses_fill_neither_the_outbox_nor_the_limit_of_all(desk: Desk) -> None:
    for number in range(60):
        assert await desk.asked(f"nobody{number}@example.com", f"198.51.{number}.1") == 0
    assert desk.reasons() == ["no-account"] * 60
    assert await desk.asked(ADA.email) == 1


async def test_made_up_addresses_count_for_whoever_sends_them(desk: Desk) -> None:
    for number in range(20):
        await desk.asked(f"nobody{number}@example.com")
    assert await desk.asked(ADA.email) == 0 and desk.reasons()[-1] == "limit"


async def test_r8_an_account_gets_three_links_an_hour(desk: Desk) -> None:
    counted = [await desk.asked(ADA.email, f"198.51.100.{number}") for number in range(5)]
    assert counted == [1, 2, 3, 3, 3] and desk.reasons() == ["limit", "limit"]
    desk.clock.move(2 * 3_600)
    assert await desk.asked(ADA.email) == 4


async def test_r8_other_spellings_of_an_address_are_the_same_account(desk: Desk) -> None:
    for spelling in ("ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com\t", "ａda@example.com"):
        await desk.asked(spelling)
    assert len(desk.queue.jobs) == 3


async def test_r8_one_address_asks_twenty_times_an_hour(desk: Desk) -> None:
    for number in range(25):
        await desk.asked(f"user{number}@example.com")
    assert len(desk.queue.jobs) == 20
    assert await desk.asked("user99@example.com", "203.0.113.6") == 21


async def test_r8_whoever_has_a_64_of_ipv6_has_one_address(desk: Desk) -> None:
    for number in range(25):
        await desk.asked(f"user{number}@example.com", f"2001:db8:1:2::{number:x}")
    assert len(desk.queue.jobs) == 20
    assert await desk.asked("user99@example.com", "2001:db8:1:3::1") == 21


@pytest.mark.parametrize(("near", "far"), [("2001:db8:1:{:x}::1", "2001:db8:2::1"), ("198.51.100.{}", "198.51.101.1")])
async def test_r8_one_network_asks_fifty_times_an_hour(desk: Desk, near: str, far: str) -> None:
    for number in range(60):
        await desk.asked(f"nobody{number}@example.com", near.format(number))
    assert desk.reasons() == ["no-account"] * 50 + ["limit"] * 10
    assert await desk.asked(ADA.email, near.format(99)) == 0
    assert await desk.asked("user1@example.com", far) == 1


async def test_r8_all_together_ask_so_often_and_no_more(desk: Desk) -> None:
    for number in range(35):
        await desk.asked(f"user{number}@example.com", f"198.51.100.{number}")
    assert len(desk.queue.jobs) == 30
    assert await desk.asked("user99@example.com", None) == 30, "who comes from nowhere counts too"


async def test_a_flood_does_not_fill_the_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "MOST_AT_ONCE", 5)
    desk.queue.gate = asyncio.Event()
    for number in range(9):
        desk.requests.ask(f"user{number}@example.com", visit(None))
    desk.queue.gate.set()
    await desk.requests.close()
    assert len(desk.queue.jobs) == 5 and desk.reasons() == ["busy"] * 4


async def test_a_request_that_could_not_be_kept_is_told_to_the_operator(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.queue.down = True
    with caplog.at_level(logging.ERROR):
        assert await desk.asked(ADA.email) == 0
    assert "lost" in caplog.text and "ada" not in caplog.text.casefold()


async def test_r9_an_api_caller_is_told_who_is_unknown(desk: Desk) -> None:
    caller = Visit("legacy", caller="portal")
    assert await desk.requests.ask_for(ADA.id, caller) == Queued()
    assert await desk.requests.ask_for("ada@example.com", caller) == Queued()
    assert await desk.requests.ask_for(UserId(8), caller) == UnknownUser()
    assert await desk.requests.ask_for("eve@example.com", caller) == UnknownUser()
    assert [user for user, _ in desk.queue.jobs] == [ADA.id, ADA.id]


async def test_r9_an_api_caller_counts_for_the_account_and_not_for_an_address(desk: Desk) -> None:
    caller = Visit("legacy", ipaddress.ip_address("203.0.113.5"), caller="portal")
    for _ in range(5):
        assert await desk.requests.ask_for(ADA.id, caller) == Queued(), "the limit does not show"
    assert len(desk.queue.jobs) == 3
    assert await desk.asked(ADA.email) == 3, "the account's limit is one for all doors"
