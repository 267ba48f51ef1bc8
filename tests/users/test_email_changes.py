"""Another e-mail address, once it was confirmed there — security §10, §24, §30; sessions-and-accounts §6.2, S9."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

import pytest
from sqlalchemy import literal, select

from bridge.database.tables import email_changes as table
from bridge.database.tables import users as people
from bridge.database.text import InvalidField
from bridge.secret import Secret
from bridge.types import UserId, Visit
from bridge.users.email_changes import KEPT_SECONDS, UNDO_SECONDS, EmailChange, Gone, Unchanged
from bridge.users.user import AddressTaken, User
from tests.accounts.world import GHOST, World
from tests.databases import opened

NEW = "Ada.New@Example.com"


async def ada(world: World) -> User:
    return await world.users.create(email="ada@example.com", first_name="Ada", password=Secret("correct horse battery"))


async def request(world: World, user: UserId, email: str = NEW) -> EmailChange:
    made = await world.ask(world.changes.request, user, email)
    assert isinstance(made, EmailChange)
    return made


async def token_of(world: World, change: int) -> Secret:
    found = await world.changes.token_of(change)
    assert found is not None
    return found[1]


async def row(world: World, user: UserId) -> User:
    found = await world.users.by_id(user)
    assert found is not None
    return found


async def test_s30_until_it_is_confirmed_nothing_of_the_account_changes(on_each: World) -> None:
    user = await ada(on_each)
    change = await request(on_each, user.id)
    assert await row(on_each, user.id) == user
    assert (change.old_email, change.new_email, change.state) == ("ada@example.com", NEW, "waiting")
    assert (change.requested_by, change.expires_at - change.created_at) == ("portal", 3_600)
    assert await on_each.changes.waiting(user.id) == change
    assert await on_each.rows() == [("email.requested", user.id)]
    assert "users" not in on_each.told.names


async def test_whoever_shows_the_token_has_confirmed_the_address(on_each: World) -> None:
    user = await ada(on_each)
    change = await request(on_each, user.id)
    token = await token_of(on_each, change.id)
    assert await on_each.changes.by_token(token) == change
    on_each.clock.move(60)
    after = await on_each.ask(on_each.changes.confirm, token)
    assert after == await row(on_each, user.id)
    assert (after.email, after.email_key, after.email_verified) == (NEW, "ada.new@example.com", True)
    assert after.stamp != user.stamp and after.stamp.startswith("e")  # S9
    assert after.reset_gen == user.reset_gen + 1 and after.credential_version == user.credential_version
    assert await on_each.users.by_email("ada@example.com") is None
    assert (await on_each.directory.page(search="ada.new")).items == [after]
    assert await on_each.rows() == [("email.requested", user.id), ("email.changed", user.id)]
    assert on_each.told.names == ["users"] and await on_each.changes.waiting(user.id) is None


async def test_a_token_confirms_once_and_never_undoes(on_each: World) -> None:
    user = await ada(on_each)
    token = await token_of(on_each, (await request(on_each, user.id)).id)
    assert await on_each.ask(on_each.changes.undo, token) == Gone()
    await on_each.ask(on_each.changes.confirm, token)
    changed = await row(on_each, user.id)
    for verb in (on_each.changes.confirm, on_each.changes.undo):
        assert await on_each.ask(verb, token) == Gone()
    assert await row(on_each, user.id) == changed and await on_each.changes.by_token(token) is None


async def test_s24_the_link_that_undoes_shuts_the_account_and_gives_nothing_back(on_each: World) -> None:
    user = await ada(on_each)
    change = await request(on_each, user.id)
    await on_each.ask(on_each.changes.confirm, await token_of(on_each, change.id))
    before = await row(on_each, user.id)
    found = await on_each.changes.token_of(change.id)
    assert found is not None and found[0].state == "confirmed" and found[0].old_email == "ada@example.com"
    assert found[0].expires_at == int(on_each.clock.now()) + UNDO_SECONDS
    assert await on_each.ask(on_each.changes.confirm, found[1]) == Gone()
    after = await on_each.ask(on_each.changes.undo, found[1])
    assert after.disabled and after.email == NEW and after.stamp != before.stamp
    assert after.credential_version == before.credential_version
    assert await on_each.ask(on_each.changes.undo, found[1]) == Gone()
    assert (await on_each.rows())[-1] == ("email.undone", user.id)


@pytest.mark.parametrize("seconds", [UNDO_SECONDS - 1, UNDO_SECONDS])
async def test_it_undoes_for_seven_days(on_each: World, seconds: int) -> None:
    user = await ada(on_each)
    change = await request(on_each, user.id)
    await on_each.ask(on_each.changes.confirm, await token_of(on_each, change.id))
    undo = await token_of(on_each, change.id)
    on_each.clock.move(seconds)
    await on_each.ask(on_each.changes.undo, undo)
    assert (await row(on_each, user.id)).disabled is (seconds < UNDO_SECONDS)


@pytest.mark.parametrize("how", ["cancelled", "too late", "replaced", "removed", "moved on", "elsewhere", "one byte"])
async def test_a_request_that_is_gone_changes_nothing(on_each: World, how: str) -> None:
    user = await ada(on_each)
    change = await request(on_each, user.id)
    token = await token_of(on_each, change.id)
    match how:
        case "cancelled":
            assert await on_each.ask(on_each.changes.cancel, user.id)
            assert not await on_each.ask(on_each.changes.cancel, user.id)
        case "too late":
            on_each.clock.move(3_600)
        case "replaced":
            await request(on_each, user.id, "third@example.com")
        case "removed":
            await on_each.ask(on_each.upkeep.remove, user.id)
        case "moved on":
            other = await on_each.ask(on_each.changes.request, user.id, "other@example.com")
            await on_each.ask(on_each.changes.confirm, await token_of(on_each, other.id))
        case "elsewhere":
            await _set(on_each, authority="whmcs")
        case _:
            text = token.reveal()
            token = Secret(("a" if text[0] != "a" else "b") + text[1:])
    before = await on_each.users.by_id(user.id)
    assert await on_each.ask(on_each.changes.confirm, token) == Gone()
    assert await on_each.users.by_id(user.id) == before


async def test_an_address_that_changed_by_another_way_meanwhile_stands(on_each: World) -> None:
    user = await ada(on_each)
    token = await token_of(on_each, (await request(on_each, user.id)).id)
    await _set(on_each, email="by.hand@example.com", email_key="by.hand@example.com")
    assert await on_each.ask(on_each.changes.confirm, token) == Gone()
    assert (await row(on_each, user.id)).email == "by.hand@example.com"


async def test_an_address_of_another_user_is_refused_at_the_request_and_at_the_end(on_each: World) -> None:
    user = await ada(on_each)
    await on_each.users.create(email="bob@example.com")
    assert await on_each.ask(on_each.changes.request, user.id, "BOB@example.com") == AddressTaken()
    token = await token_of(on_each, (await request(on_each, user.id)).id)
    await on_each.users.create(email="ada.NEW@example.com")
    assert await on_each.ask(on_each.changes.confirm, token) == AddressTaken()
    assert await row(on_each, user.id) == user
    assert [kind for kind, _ in await on_each.rows()] == ["email.requested"]


@pytest.mark.parametrize(
    ("stored", "asked"), [("ada@example.com", "ADA@example.com"), ("stra\xdfe@example.com", "strasse@example.com")]
)
async def test_s10_another_spelling_of_the_same_address_must_be_confirmed_too(
    on_each: World, stored: str, asked: str
) -> None:
    """The key is the same; the mailbox need not be, and mail goes to what is stored."""
    user = await on_each.users.create(email=stored)
    assert await on_each.ask(on_each.changes.request, user.id, f" {stored} ") == Unchanged()
    change = await request(on_each, user.id, asked)
    assert (await row(on_each, user.id)).email == stored
    after = await on_each.ask(on_each.changes.confirm, await token_of(on_each, change.id))
    assert after.email == asked and after.email_key == user.email_key


async def test_what_is_no_address_and_no_user_of_ours_is_told(on_each: World) -> None:
    user = await ada(on_each)
    far = await on_each.users.create(email="far@example.com", authority="whmcs")
    with pytest.raises(InvalidField, match="email"):
        await on_each.ask(on_each.changes.request, user.id, "nonsense")
    assert await on_each.ask(on_each.changes.request, GHOST, NEW) is None
    assert await on_each.ask(on_each.changes.request, far.id, NEW) is None
    assert await on_each.count(table) == 0 and on_each.kinds == []


def by_himself(world: World, user: UserId, email: str = NEW) -> Awaitable[Any]:
    """As at his account page."""
    return world.ledger.do(Visit("pages"), lambda deed: world.changes.ask(deed, user, email))


async def test_a_person_does_not_learn_that_another_has_the_address(on_each: World) -> None:
    user = await ada(on_each)
    await on_each.users.create(email="bob@example.com")
    on_each.clock.move(1)
    change = await by_himself(on_each, user.id, "BOB@example.com")
    assert isinstance(change, EmailChange) and change.requested_by == ""
    assert await on_each.changes.waiting(user.id) == change
    assert await by_himself(on_each, user.id, "ada@example.com") == Unchanged()
    assert await on_each.ask(on_each.changes.confirm, await token_of(on_each, change.id)) == AddressTaken()


@pytest.mark.parametrize("later", [0, 1])
async def test_s14_what_he_asked_for_himself_is_over_with_all_his_sessions(on_each: World, later: int) -> None:
    """Somebody had got in and asked; the owner ended everything."""
    user = await ada(on_each)
    on_each.clock.move(1)
    change = await by_himself(on_each, user.id)
    token = await token_of(on_each, change.id)
    on_each.clock.move(later)
    await _set(on_each, stamp="another", stamp_changed_at=int(on_each.clock.now()))
    assert await on_each.changes.waiting(user.id) is None and await on_each.changes.by_token(token) is None
    assert await on_each.changes.token_of(change.id) is None
    assert await on_each.ask(on_each.changes.confirm, token) == Gone()
    assert (await row(on_each, user.id)).email == "ada@example.com"


async def test_s14_the_end_that_comes_between_look_and_write_counts(
    on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await ada(on_each)
    on_each.clock.move(1)
    token = await token_of(on_each, (await by_himself(on_each, user.id)).id)
    held = on_each.changes._held

    def late(one: UserId) -> Any:
        """The row is there to be locked, and was changed before."""
        return held(one).with_only_columns(
            *(
                column if column.name != "stamp_changed_at" else literal(10**10).label(column.name)
                for column in people.c
            )
        )

    monkeypatch.setattr(on_each.changes, "_held", late)
    assert await on_each.ask(on_each.changes.confirm, token) == Gone()


async def test_what_a_caller_asked_for_stays_when_his_sessions_end(on_each: World) -> None:
    user = await ada(on_each)
    token = await token_of(on_each, (await request(on_each, user.id)).id)
    await _set(on_each, stamp="another", stamp_changed_at=int(on_each.clock.now()) + 1)
    assert isinstance(await on_each.ask(on_each.changes.confirm, token), User)


async def test_the_link_that_undoes_outlives_the_end_that_confirming_was(on_each: World) -> None:
    user = await ada(on_each)
    on_each.clock.move(1)
    change = await by_himself(on_each, user.id)
    await on_each.ask(on_each.changes.confirm, await token_of(on_each, change.id))
    on_each.clock.move(60)
    await _set(on_each, stamp="another", stamp_changed_at=int(on_each.clock.now()))
    assert (await on_each.ask(on_each.changes.undo, await token_of(on_each, change.id))).disabled


async def test_s5_the_database_holds_no_token(on_each: World) -> None:
    user = await ada(on_each)
    change = await request(on_each, user.id)
    tokens = [await token_of(on_each, change.id)]
    await on_each.ask(on_each.changes.confirm, tokens[0])
    tokens.append(await token_of(on_each, change.id))
    async with on_each.db.read() as tx:
        dump = repr([tuple(each) for each in await tx.execute(select(table))])
    assert not [token for token in tokens if token.reveal() in dump] and not tokens[0].matches(tokens[1])


async def test_of_twenty_who_confirm_at_once_one_does(database_url: str, on_each: World) -> None:
    user = await ada(on_each)
    token = await token_of(on_each, (await request(on_each, user.id)).id)
    async with opened(database_url, patience=60) as other:
        worlds = [on_each, World(other, on_each.clock)]
        outcomes = await asyncio.gather(*(worlds[n % 2].ask(worlds[n % 2].changes.confirm, token) for n in range(20)))
    assert Counter(type(each).__name__ for each in outcomes) == {"User": 1, "Gone": 19}
    assert [kind for kind, _ in await on_each.rows()] == ["email.requested", "email.changed"]


async def test_of_twenty_requests_one_waits(database_url: str, on_each: World) -> None:
    user = await ada(on_each)
    async with opened(database_url, patience=60) as other:
        worlds = [on_each, World(other, on_each.clock)]
        await asyncio.gather(*(request(worlds[n % 2], user.id, f"n{n}@example.com") for n in range(20)))
    async with on_each.db.read() as tx:
        states = Counter((await tx.execute(select(table.c.state))).scalars())
    assert states == {"waiting": 1, "cancelled": 19}


async def test_what_nothing_can_come_of_is_forgotten_after_thirty_days(on_each: World) -> None:
    await request(on_each, (await ada(on_each)).id)
    on_each.clock.move(3_600 + KEPT_SECONDS)
    assert await on_each.changes.forget() == 0
    on_each.clock.move(1)
    assert await on_each.changes.forget() == 1


async def _set(world: World, **values: Any) -> None:
    from bridge.database.tables import users

    async with world.db.begin() as tx:
        await tx.execute(users.update().values(**values))
