"""Fifty at once: one owner, one acceptance, one account of an address — on three databases, by two pools.

Connections are opened first and a race is repeated: one that opens them as it runs is none (style §8).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from bridge.accounts.account import Account, Profile
from bridge.accounts.invites import Invite
from bridge.database.tables import accounts, invites, memberships
from bridge.events.ledger import Deed
from bridge.types import AccountId, UserId
from tests.accounts.world import SOME, World
from tests.databases import opened

MANY = 50
Work = Callable[[World, Deed, int], Awaitable[object]]


@pytest.fixture
async def worlds(database_url: str, everywhere: World) -> AsyncIterator[list[World]]:
    """Two processes' worth of it, connected."""
    async with opened(database_url, patience=60) as one, opened(database_url, patience=60) as two:
        made = [World(one, everywhere.clock), World(two, everywhere.clock)]
        await asyncio.gather(*(world.db.ping() for world in made for _ in range(10)))
        yield made


async def race(worlds: Sequence[World], work: Work, callers: int = MANY) -> Counter[str]:
    """What came of it, by the names of the outcomes.  Raises what the first of them raised, when all are done: nobody
    is at work any more when the database is closed."""

    async def call(world: World, number: int) -> object:
        return await world.do(lambda deed: work(world, deed, number))

    outcomes = await asyncio.gather(*(call(worlds[n % 2], n) for n in range(callers)), return_exceptions=True)
    for raised in (outcome for outcome in outcomes if isinstance(outcome, BaseException)):
        raise raised
    return Counter(type(outcome).__name__ for outcome in outcomes)


async def test_of_fifty_who_accept_one_invite_one_does(worlds: list[World], everywhere: World) -> None:
    for round_ in range(3):
        await accept_at_once(worlds, everywhere, f"new{round_}")
    kinds = [kind for kind, _ in await everywhere.rows()]
    assert kinds.count("invite.accepted") == kinds.count("member.added") == 3


async def accept_at_once(worlds: list[World], everywhere: World, name: str) -> None:
    account, new = await everywhere.account(name), await everywhere.user(name)
    made = await everywhere.do(lambda deed: everywhere.invites.create(deed, account.id, new.email, SOME))
    assert isinstance(made, Invite)
    found = await everywhere.invites.token_of(made.id)
    assert found is not None
    came = await race(worlds, lambda world, deed, _: world.invites.accept(deed, found[1], new.id))
    assert came["Membership"] == 1 and came["InviteGone"] + came["AlreadyMember"] == MANY - 1
    assert len(await everywhere.members.of_user(new.id)) == 1


async def test_of_fifty_who_become_its_owner_one_is(worlds: list[World], everywhere: World) -> None:
    account = await everywhere.account("one")
    heirs = [await everywhere.user(f"heir{n}") for n in range(10)]
    came = await race(worlds, lambda world, deed, n: world.members.transfer(deed, account.id, heirs[n % 10].id))
    assert came == {"Membership": MANY}
    found = await everywhere.accounts.by_id(account.id)
    assert found is not None and await everywhere.owners(account.id) == [found.owner]
    assert len(await everywhere.members.of_account(account.id)) == 11


async def test_an_owner_who_is_made_while_he_is_removed_stays_a_member(worlds: list[World], everywhere: World) -> None:
    for round_ in range(4):
        account, heir = await everywhere.account(f"a{round_}"), await everywhere.user(f"heir{round_}")
        await everywhere.join(heir.id, account.id)
        await transfer_and_remove_at_once(worlds, everywhere, account.id, heir.id)


async def transfer_and_remove_at_once(worlds: list[World], everywhere: World, account: AccountId, heir: UserId) -> None:
    async def work(world: World, deed: Deed, number: int) -> object:
        if number % 2:
            return await world.members.remove(deed, heir, account)
        return await world.members.transfer(deed, account, heir)

    await race(worlds, work, callers=10)
    found = await everywhere.accounts.by_id(account)
    assert found is not None and found.owner == heir
    assert await everywhere.owners(account) == [heir]


async def test_of_fifty_accounts_of_one_address_one_is_made(worlds: list[World], everywhere: World) -> None:
    owner = await everywhere.user("owner")
    profile = Profile(email="one@example.com")
    came = await race(worlds, lambda world, deed, _: world.accounts.create(deed, profile, owner=owner.id))
    assert came == {"Account": 1, "EmailTaken": MANY - 1}
    assert await everywhere.count(accounts) == await everywhere.count(memberships) == 1


async def test_of_ten_owners_who_are_made_with_one_address_one_is(worlds: list[World], everywhere: World) -> None:
    drafts = [await everywhere.users.draft(email="new@example.com") for _ in range(10)]

    async def work(world: World, deed: Deed, number: int) -> object:
        return await world.accounts.create(deed, Profile(email=f"{number}@x.example"), owner=drafts[number])

    assert await race(worlds, work, callers=10) == {"Account": 1, "UserExists": 9}
    assert await everywhere.count(accounts) == 1


async def test_fifty_changes_of_one_account_lose_nothing(worlds: list[World], everywhere: World) -> None:
    account = await everywhere.account("one", notes="")

    def longer(profile: Profile) -> Profile:
        return replace(profile, notes=profile.notes + "x")

    came = await race(worlds, lambda world, deed, _: world.accounts.update(deed, account.id, longer))
    assert came == {Account.__name__: MANY}
    found = await everywhere.accounts.by_id(account.id)
    assert found is not None and found.profile.notes == "x" * MANY


async def test_whoever_joins_elsewhere_while_his_account_is_removed_is_there_or_was_refused(
    worlds: list[World], everywhere: World
) -> None:
    for round_ in range(4):
        one, two = await everywhere.account(f"one{round_}"), await everywhere.account(f"two{round_}")
        member = await everywhere.user(f"member{round_}")
        await everywhere.join(member.id, one.id)
        await join_and_remove_at_once(worlds, everywhere, member.id, one.id, two.id)


async def join_and_remove_at_once(
    worlds: list[World], everywhere: World, member: UserId, one: AccountId, two: AccountId
) -> None:
    """Nobody is a member whose user is gone."""

    async def work(world: World, deed: Deed, number: int) -> object:
        if number == 3:
            return await world.accounts.remove(deed, one, with_users=True)
        return await world.members.add(deed, member, two, SOME)

    came = await race(worlds, work, callers=8)
    there = await everywhere.users.by_id(member) is not None
    assert came["Removed"] == 1 and came["Membership"] == int(there)
    assert len(await everywhere.members.of_user(member)) == int(there)


async def test_of_fifty_invites_to_one_address_one_waits(worlds: list[World], everywhere: World) -> None:
    for round_ in range(4):
        account = await everywhere.account(f"a{round_}")
        await invite_at_once(worlds, everywhere, account.id)


async def invite_at_once(worlds: list[World], everywhere: World, account: AccountId) -> None:
    came = await race(worlds, lambda world, deed, _: world.invites.create(deed, account, "x@y.example", SOME))
    assert came == {"Invite": MANY}
    async with everywhere.db.read() as tx:
        states = Counter((await tx.execute(select(invites.c.state).where(invites.c.account_id == account))).scalars())
    assert states == {"waiting": 1, "cancelled": MANY - 1}
