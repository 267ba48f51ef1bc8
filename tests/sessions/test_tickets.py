"""A ticket makes one child session, for one host and one browser, while nothing ended — store §2, security §14, §26."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from bridge.errors import Unavailable
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.options import SessionOptions
from bridge.sessions.sealed import was_used
from bridge.sessions.stamp import stamp_value
from bridge.sessions.ticket import Redeemed, Refused, Ticket, TicketWish, is_binding_hash, known_refusal
from bridge.stores.store import Add, Change, Drop, Expect, Put, Store, Swap, Tag
from bridge.tokens import LoginToken, digest, new_id
from bridge.types import Visit
from tests.sessions.world import ANN, BOB, SLOTS, VISIT, World

SHOP, BLOG = "https://shop.example", "https://blog.example"
OPTIONS = SessionOptions(ticket_origins=(SHOP, BLOG))
API = Visit("api", caller="portal")
ROUNDS = 5


@pytest.fixture
def world(store: Store) -> World:
    """An instance whose shop and blog are elsewhere."""
    return World(store, options=OPTIONS)


class Browser:
    """One that began at the shop."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.binding = new_id()

    async def ticket(self, parent: Born, *, origin: str = SHOP) -> LoginToken:
        wish = TicketWish(origin=origin, binding=digest(self.binding), next="/orders?page=2")
        token = await self.world.tickets.issue(await self.world.alive(parent.token), wish, VISIT)
        assert isinstance(token, LoginToken)
        return token

    async def redeem(
        self, ticket: LoginToken | str, *, origin: str = SHOP, binding: str | None = None
    ) -> Redeemed | Refused:
        text = ticket if isinstance(ticket, str) else ticket.text.reveal()
        held = self.binding if binding is None else binding
        return await self.world.tickets.redeem(text, origin=origin, binding=held, via="portal", visit=API)

    async def why_not(self, ticket: LoginToken | str, **more: Any) -> str:
        outcome = await self.redeem(ticket, **more)
        return outcome.why if isinstance(outcome, Refused) else "redeemed"


async def arrived(world: World) -> tuple[Born, Redeemed]:
    """Somebody who came to the shop."""
    born, browser = await world.login(), Browser(world)
    outcome = await browser.redeem(await browser.ticket(born))
    assert isinstance(outcome, Redeemed)
    return born, outcome


async def test_a_ticket_is_good_for_one_child_session(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    outcome = await browser.redeem(ticket)
    assert isinstance(outcome, Redeemed)
    child = (await world.alive(outcome.token, "middleware")).record
    assert (child.kind, child.parent, child.via, child.uid) == ("app", parent.record.id, "portal", ANN)
    assert (child.auth_time, child.amr, child.abs) == (parent.record.auth_time, ("pwd",), parent.record.abs)
    assert outcome.next == "/orders?page=2"
    assert outcome.token.sid not in {parent.token.sid, parent.child and parent.child.sid, ticket.sid}
    assert await browser.why_not(ticket) == "used"
    assert await world.why(outcome.token, "middleware") == "alive", "a second try ends nothing"


async def test_1_it_opens_nothing_by_itself_and_no_session_is_a_ticket(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    for place in ("issuer", "middleware", "host"):
        assert await world.why(ticket, place) == "unknown"
    for token in (parent.token, parent.child, (await world.legacy()).token):
        assert token is not None
        assert await browser.why_not(token) == "unknown"


async def test_26_another_browser_gets_nothing_and_uses_nothing_up(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    for other in (new_id(), "", digest(browser.binding), browser.binding + "x", browser.binding.swapcase()):
        assert await browser.why_not(ticket, binding=other) == "other-browser"
    assert await browser.why_not(ticket) == "redeemed"


async def test_another_host_gets_nothing_and_uses_nothing_up(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    for other in (BLOG, SHOP + ":443", SHOP.upper(), "https://evil.example", "", "http://shop.example"):
        assert await browser.why_not(ticket, origin=other) == "other-app"
    assert await browser.why_not(ticket) == "redeemed"


async def test_an_app_that_is_no_longer_listed_gets_nothing(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    world.tickets = world.tickets_of(world.another_worker(SessionOptions(ticket_origins=(BLOG,))))
    assert not world.tickets.may_get(SHOP) and world.tickets.may_get(BLOG)
    assert await browser.why_not(ticket) == "other-app"


async def test_one_byte_changed_is_no_ticket(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    text = (await browser.ticket(parent)).text.reveal()
    for at in range(0, 40, 3):
        changed = text[:at] + ("a" if text[at] != "a" else "b") + text[at + 1 :]
        assert await browser.why_not(changed) == "unknown"
    for other in ("", text[:-1], text + "a", text + "\n", " " + text, "é" * 40):
        assert await browser.why_not(other) == "unknown"
    assert await browser.why_not(text) == "redeemed"


@pytest.mark.parametrize(("seconds", "told"), [(29, "redeemed"), (30, "too-old"), (31, "too-old"), (599, "too-old")])
async def test_it_is_over_after_thirty_seconds(world: World, seconds: int, told: str) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    world.clock.move(seconds)
    assert await browser.why_not(ticket) == told


async def test_rule_9_a_ticket_from_before_a_loss_is_refused(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    world.epoch += 1
    assert await browser.why_not(ticket) == "unknown"
    assert await browser.why_not(await browser.ticket(parent)) == "redeemed"


async def _end(world: World, parent: Born) -> None:
    await world.sessions.end(ANN, parent.token.tag, parent.record.id, "you")


async def _end_all(world: World, parent: Born) -> None:
    await world.sessions.end_all(ANN, parent.token.tag, "password")


async def _end_others(world: World, parent: Born) -> None:
    await world.sessions.end_others(await world.alive((await world.login()).token))


async def _rotate(world: World, parent: Born) -> None:
    alive = await world.alive(parent.token)
    assert isinstance(await world.sessions.rotate(alive, await world.standing(), VISIT, amr=["pwd"]), Born)


async def _idle(world: World, parent: Born) -> None:
    await _shorten(world, parent, idle=10)


async def _over(world: World, parent: Born) -> None:
    await _shorten(world, parent, abs=int(world.clock.now()) + 10)


async def _shorten(world: World, parent: Born, **times: int) -> None:
    """Its times are over before the ticket's are."""
    record = msgspec.structs.replace(parent.record, **times)
    await world.store.commit(Put(parent.key, world.codec.encode(parent.key, record), 600))
    world.clock.move(20)


async def _lose(world: World, parent: Born) -> None:
    await world.store.commit(Drop(parent.key))


async def _become_another(world: World, parent: Born) -> None:
    """Whoever can write, and has no key, moves another session to where this one was."""
    other = await world.login(BOB)
    (raw,) = await world.store.read(other.key)
    assert raw is not None
    await world.store.commit(Put(parent.key, raw, 600))


async def _be_another(world: World, parent: Born) -> None:
    """Sealed by ourselves, and not the session that the ticket was issued under."""
    record = msgspec.structs.replace(parent.record, id=new_id())
    await world.store.commit(Put(parent.key, world.codec.encode(parent.key, record), 600))


async def _be_no_issuers(world: World, parent: Born) -> None:
    record = msgspec.structs.replace(parent.record, kind="legacy")
    await world.store.commit(Put(parent.key, world.codec.encode(parent.key, record), 600))


@pytest.mark.parametrize(
    "happens",
    [_end, _end_all, _end_others, _rotate, _idle, _over, _lose, _become_another, _be_another, _be_no_issuers],
    ids=lambda each: each.__name__,
)
async def test_14_nothing_is_redeemed_once_its_session_ended(
    world: World, happens: Callable[[World, Born], Awaitable[None]]
) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    await happens(world, parent)
    assert await browser.why_not(ticket) == "signed-out"


async def test_14_a_ticket_of_the_kept_session_is_dead_too_when_the_others_ended(world: World) -> None:
    """It carries the stamp of before, although its session lives on under the new one."""
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    assert isinstance(await world.sessions.end_others(await world.alive(parent.token)), Alive)
    assert await browser.why_not(ticket) == "signed-out"
    assert await browser.why_not(await browser.ticket(parent)) == "redeemed"


async def test_the_changes_are_those_of_the_table(world: World) -> None:
    """Store §2: issue and redemption expect what could end them, in the commit that bears them."""
    committed: list[Change] = []
    parent, browser = await world.login(), Browser(world)
    seen = (await world.alive(parent.token)).seen
    stamp = stamp_value(ANN, parent.record.stamp)
    really, v = world.store.commit, world.names.stamp(parent.token.tag)

    async def commit(*changes: Change) -> bool:
        committed.extend(changes)
        return await really(*changes)

    world.store.commit = commit  # type: ignore[method-assign]
    ticket = await browser.ticket(parent)
    key = world.names.ticket(ticket)
    (raw,) = await world.store.read(key)
    assert raw is not None
    assert committed == [Add(key, raw, 630.0), Expect(parent.key, seen), Expect(v, stamp)]
    committed.clear()
    outcome = await browser.redeem(ticket)
    assert isinstance(outcome, Redeemed)
    child = await world.alive(outcome.token, "middleware")
    (used,) = await world.store.read(key)
    assert used is not None and was_used(used)
    first, *tags, op, stamped, use = committed
    assert isinstance(first, Add) and (first.key, first.value) == (child.key, child.seen)
    tag = parent.token.tag
    assert [(each.index, each.member) for each in tags if isinstance(each, Tag)] == [
        (world.names.born_under(tag, parent.record.id), child.key),
        (world.names.born_under(tag, child.record.id), child.key),
        (world.names.sessions_of(tag), child.key),
    ]
    assert (op, stamped, use) == (Expect(parent.key, seen), Expect(v, stamp), Swap(key, raw, used, 600.0))


async def test_the_end_of_the_parent_ends_the_child(world: World) -> None:
    parent, redeemed = await arrived(world)
    await world.sessions.end(ANN, parent.token.tag, parent.record.id, "you")
    assert await world.why(redeemed.token, "middleware") == "ended-by-you"


async def test_the_end_of_all_ends_it_too(world: World) -> None:
    parent, redeemed = await arrived(world)
    await world.sessions.end_all(ANN, parent.token.tag, "password")
    assert await world.why(redeemed.token, "middleware") == "password-changed"


async def test_the_end_of_the_others_ends_what_the_kept_one_gave_elsewhere(world: World) -> None:
    """Rule 4: only the kept record survives; its children are made again."""
    parent, redeemed = await arrived(world)
    assert isinstance(await world.sessions.end_others(await world.alive(parent.token)), Alive)
    assert await world.why(redeemed.token, "middleware") == "ended-by-you"


async def test_a_child_elsewhere_outlives_a_rotation_of_its_parent_and_dies_with_it(world: World) -> None:
    parent, redeemed = await arrived(world)
    await _rotate(world, parent)
    assert await world.why(redeemed.token, "middleware") == "alive"
    await world.sessions.end(ANN, parent.token.tag, parent.record.id, "administrator")
    assert await world.why(redeemed.token, "middleware") == "ended-by-administrator"


async def test_it_is_issued_under_a_living_session_at_the_issuer_only(world: World) -> None:
    parent, legacy = await world.login(), await world.legacy()
    wish = TicketWish(origin=SHOP, binding=digest("x"), next="/")
    for token, place in ((parent.child, "middleware"), (legacy.token, "middleware")):
        refused = await world.tickets.issue(await world.alive(token, place), wish, VISIT)  # type: ignore[arg-type]
        assert isinstance(refused, Dead) and refused.reason == "wrong-place"
    alive = await world.alive(parent.token)
    await world.sessions.end(ANN, parent.token.tag, parent.record.id, "you")
    refused = await world.tickets.issue(alive, wish, VISIT)
    assert isinstance(refused, Dead) and refused.reason == "ended-by-you"


async def test_a_touch_between_reading_and_writing_is_no_refusal(world: World) -> None:
    """Both expect the session as it was read, and a use of it changes that: then they look again."""
    parent, browser = await world.login(), Browser(world)
    world.clock.move(200)
    stale = await world.alive(parent.token)
    assert await world.sessions.touch(stale)
    wish = TicketWish(origin=SHOP, binding=digest(browser.binding), next="/")
    ticket = await world.tickets.issue(stale, wish, VISIT)
    assert isinstance(ticket, LoginToken)
    world.clock.move(20)
    assert await world.sessions.touch(await world.alive(parent.token))
    assert await browser.why_not(ticket) == "redeemed"


async def test_an_absent_stamp_is_asked_of_sql(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    await world.store.commit(Drop(world.names.stamp(parent.token.tag)))
    assert await browser.why_not(ticket) == "redeemed"
    ticket = await browser.ticket(parent)
    await world.store.commit(Drop(world.names.stamp(parent.token.tag)))
    del world.rows.stamps[ANN]
    assert await browser.why_not(ticket) == "signed-out"


async def test_11_whoever_can_only_write_to_the_store_makes_no_ticket(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    key = world.names.ticket(ticket)
    (real,) = await world.store.read(key)
    assert real is not None
    other = LoginToken.draw(ticket.tag)
    forged = Ticket(
        session=parent.record.id,
        op=parent.key,
        uid=ANN,
        stamp=parent.record.stamp,
        epoch=world.epoch,
        wish=TicketWish(origin=SHOP, binding=digest(browser.binding), next="/"),
        until=2**40,
    )
    elsewhere = type(world.seal)({"k1": secrets.token_bytes(32)}, "ticket", Ticket)
    pending = type(world.seal)({"k1": bytes(31) + b"t"}, "pending", Ticket)
    for value in (
        real,  # at another key
        real.replace(b'"next":"/', b'"next":"//'),
        elsewhere.encode(world.names.ticket(other), forged),
        pending.encode(world.names.ticket(other), forged),  # sealed for another purpose
        b"1.k1." + b"0" * 64 + b".{}",
        parent.alive(world.codec).seen,
        b"",
    ):
        await world.store.commit(Put(world.names.ticket(other), value, 600))
        assert await browser.why_not(other) == "unknown"
    await world.store.commit(Put(world.names.ticket(other), world.seal.encode(world.names.ticket(other), forged), 600))
    assert await browser.why_not(other) == "redeemed", "and with the key it would have been one"


async def test_of_fifty_who_show_one_ticket_one_gets_the_session(store: Store) -> None:
    for _ in range(ROUNDS):
        world = World(store, options=OPTIONS)
        parent, browser = await world.login(), Browser(world)
        ticket = await browser.ticket(parent)
        outcomes = await asyncio.gather(*(browser.redeem(ticket) for _ in range(50)))
        won = [each for each in outcomes if isinstance(each, Redeemed)]
        assert len(won) == 1
        assert {each.why for each in outcomes if isinstance(each, Refused)} == {"used"}
        children = await world.store.members(world.names.born_under(parent.token.tag, parent.record.id))
        assert len(children) == 3, "the session, its child here, and the one elsewhere"


async def test_15_an_ending_beats_fifty_redemptions(store: Store) -> None:
    for _ in range(ROUNDS):
        world = World(store, options=OPTIONS)
        parent, browser = await world.login(), Browser(world)
        tickets = [await browser.ticket(parent) for _ in range(50)]
        ending = world.sessions.end(ANN, parent.token.tag, parent.record.id, "you")
        _, outcomes = await asyncio.gather(ending, asyncio.gather(*(_quietly(browser, each) for each in tickets)))
        for outcome in outcomes:
            if isinstance(outcome, Redeemed):
                assert await world.why(outcome.token, "middleware") == "ended-by-you"


async def _quietly(browser: Browser, ticket: LoginToken) -> Redeemed | Refused | Unavailable:
    try:
        return await browser.redeem(ticket)
    except Unavailable as error:
        return error


async def test_everything_is_told_and_no_secret_with_it(world: World) -> None:
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    outcome = await browser.redeem(ticket)
    assert isinstance(outcome, Redeemed)
    await browser.redeem(ticket)
    await browser.redeem("x" * 40, origin="https://long.example/" + "x" * 10_000)
    issued, redeemed, used, unknown = world.heard.events[-4:]
    assert (issued.kind, issued.user, issued.session, issued.door) == ("ticket.issued", ANN, parent.record.id, "pages")
    assert (redeemed.kind, redeemed.user, redeemed.actor) == ("ticket.redeemed", ANN, "portal")
    assert (redeemed.session, redeemed.sid) == (parent.record.id, outcome.token.sid[:8])
    assert (used.kind, used.reason, used.user, used.details) == ("ticket.refused", "used", None, {"origin": SHOP})
    assert (unknown.reason, len(unknown.details["origin"])) == ("unknown", 200)
    told = repr(world.heard.events)
    for secret in (ticket.text.reveal(), outcome.token.text.reveal(), browser.binding, parent.token.text.reveal()):
        assert secret not in told


async def test_2_the_store_holds_neither_ticket_nor_what_the_browser_holds(small: World) -> None:
    world = World(small.store, options=OPTIONS)
    parent, browser = await world.login(), Browser(world)
    ticket = await browser.ticket(parent)
    dump = repr(world.store.__dict__)
    assert world.names.ticket(ticket) in dump
    assert ticket.text.reveal() not in dump and browser.binding not in dump


def test_names_of_refusals_and_hashes_are_read_strictly() -> None:
    assert (known_refusal("used"), known_refusal("<script>")) == ("used", "unknown")
    assert is_binding_hash("0a" * 32)
    assert not any(map(is_binding_hash, ("", "0A" * 32, "0a" * 31, "0a" * 32 + "\n", "g" * 64)))


def test_a_ticket_lies_in_its_users_slot_under_a_kind_of_its_own(small: World) -> None:
    token = LoginToken.draw(SLOTS.of_user(ANN))
    assert small.names.ticket(token) == small.names.session(token).replace(":s:{", ":q:{")
