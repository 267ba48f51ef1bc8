"""Letters to users — sessions-and-accounts §6.3, A9; security §10."""

from dataclasses import dataclass, field

import pytest

from bridge.asgi import parse_ip
from bridge.brand import Brand
from bridge.events.event import Event, Events
from bridge.outbox import notices
from bridge.outbox.letter import Letters, Rendered
from bridge.outbox.notices import Notices, payload
from bridge.outbox.outbox import Delivery
from bridge.outbox.post import Addressee, Post
from bridge.testing.hands import Hands
from bridge.types import UserId, Visit

ADA = UserId(7)
VISIT = Visit("pages", ip=parse_ip("192.0.2.7"), user_agent="Mozilla/5.0 (Windows NT 10.0) Firefox/130.0")
PURPOSES = [
    notices.PASSWORD_CHANGED,
    notices.SECOND_FACTOR_CHANGED,
    notices.RECOVERY_CODE_USED,
    notices.NEW_DEVICE,
    notices.MANY_FAILURES,
]


@dataclass(frozen=True)
class Person:
    id: UserId = ADA
    email: str = "stored@example.net"
    language: str = "en"


@dataclass
class Bag:
    """A mailer that keeps, and an ear that hears."""

    sent: list[tuple[str, Rendered, str | None]] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)

    async def send(self, to: str, letter: Rendered, *, message_id: str | None = None) -> None:
        self.sent.append((to, letter, message_id))

    def hear(self, event: Event) -> None:
        self.heard.append(event)


@pytest.fixture
def bag() -> Bag:
    return Bag()


def the_notices(bag: Bag, *people: Person) -> Notices:
    """For these people."""

    async def by_id(user: UserId) -> Addressee | None:
        return next((person for person in people if person.id == user), None)

    post = Post(mailer=bag, letters=Letters(Brand()), events=Events(Hands(), bag))
    return Notices(
        users=by_id, post=post, reset_page="https://l.example/reset", account_page="https://l.example/account"
    )


def delivery(purpose: str, user: UserId | None = ADA) -> Delivery:
    facts = payload(VISIT, 1_800_000_000, failures=12, change="totp-added")
    return Delivery(id=3, purpose=purpose, user=user, payload=facts, attempt=1, message_id="m1")


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_each_notice_goes_to_the_stored_address_and_says_when_and_where(bag: Bag, purpose: str) -> None:
    await the_notices(bag, Person()).senders[purpose](delivery(purpose))
    ((to, letter, message_id),) = bag.sent
    assert (to, message_id) == ("stored@example.net", "m1")
    for fact in ("Firefox · Windows", "192.0.2.7", "08:00"):
        assert fact in letter.text
    assert [(event.kind, event.user) for event in bag.heard] == [("mail.sent", 7)]


async def test_no_two_notices_are_the_same(bag: Bag) -> None:
    for purpose in PURPOSES:
        await the_notices(bag, Person()).senders[purpose](delivery(purpose))
    assert len({letter.text for _, letter, _ in bag.sent}) == len(PURPOSES)
    assert "12" in bag.sent[-1][1].text


async def test_a_letter_is_in_the_language_of_the_users_record(bag: Bag) -> None:
    await the_notices(bag, Person(language="zh-Hans")).senders["password-changed"](delivery("password-changed"))
    assert "密码" in bag.sent[0][1].subject


@pytest.mark.parametrize("user", [None, UserId(8)])
async def test_whoever_is_not_there_any_more_gets_no_letter(bag: Bag, user: UserId | None) -> None:
    await the_notices(bag, Person()).senders["new-device"](delivery("new-device", user))
    assert (bag.sent, bag.heard) == ([], [])


def test_a_visit_of_which_little_is_known_says_little() -> None:
    assert payload(Visit("command"), 1_800_000_000.9) == {"at": "1800000000"}
