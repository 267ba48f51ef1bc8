"""Each guarantee of this room, broken by name, must be noticed — style §8."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy import false, select
from sqlalchemy.exc import NoResultFound

from bridge.accounts import accounts, invites, members, rows
from bridge.accounts.account import Account
from bridge.accounts.hold import hold_account, hold_user
from bridge.accounts.outcomes import IsOwner
from bridge.accounts.rows import account_of
from bridge.database.database import Tx
from bridge.database.tables import accounts as account_rows
from bridge.database.tables import users as user_rows
from bridge.events.ledger import Deed
from bridge.types import AccountId, UserId
from bridge.users import upkeep
from tests.accounts import test_accounts, test_invites, test_members, test_races
from tests.accounts.test_races import worlds
from tests.accounts.world import World

__all__ = ["worlds"]

Patch = pytest.MonkeyPatch
Check = Callable[[World], Awaitable[None]]
RaceCheck = Callable[[list[World], World], Awaitable[None]]


def no_savepoint_around_an_account_and_its_owner(patch: Patch) -> None:
    @asynccontextmanager
    async def nothing(_: Deed) -> AsyncIterator[None]:
        yield

    patch.setattr(Deed, "savepoint", nothing)


def what_was_undone_is_announced_all_the_same(patch: Patch) -> None:
    @asynccontextmanager
    async def savepoint(deed: Deed) -> AsyncIterator[None]:
        async with deed.tx.begin_nested():
            yield

    patch.setattr(Deed, "savepoint", savepoint)


def a_token_that_stays_good(patch: Patch) -> None:
    patch.setattr(invites.Invites, "_over", lambda _self, _state: {"finished_at": 1})


def an_invite_that_is_anybodys(patch: Patch) -> None:
    async def held(tx: Tx, user: UserId) -> str | None:
        return None if await hold_user(tx, user) is None else "new.member@example.com"

    patch.setattr(invites, "hold_user", held)


def a_token_without_a_time(patch: Patch) -> None:
    patch.setattr(invites.Invites, "_now", lambda _: 1)


def an_owner_like_any_member(patch: Patch) -> None:
    async def held(tx: Tx, account: AccountId) -> Account | None:
        found = await hold_account(tx, account)
        return None if found is None else replace(found, owner=UserId(-1))

    patch.setattr(members, "hold_account", held)


def users_removed_though_they_belong_elsewhere(patch: Patch) -> None:
    patch.setattr(upkeep, "exists", lambda: SimpleNamespace(where=lambda _: false()))


def an_address_that_stays_verified(patch: Patch) -> None:
    def values(*arguments: object, **named: object) -> dict[str, object]:
        return original(*arguments, **named) | {"email_verified": True}  # type: ignore[arg-type]

    original = rows.profile_values
    patch.setattr(accounts, "profile_values", values)


BROKEN: list[tuple[Callable[[Patch], None], Check]] = [
    (
        no_savepoint_around_an_account_and_its_owner,
        test_accounts.test_of_an_account_whose_address_is_taken_not_even_the_owner_is_made,
    ),
    (
        what_was_undone_is_announced_all_the_same,
        test_accounts.test_of_an_account_whose_address_is_taken_not_even_the_owner_is_made,
    ),
    (a_token_that_stays_good, test_invites.test_a_token_works_once),
    (an_invite_that_is_anybodys, test_invites.test_a_token_that_went_astray_is_of_no_use_to_another_user),
    (a_token_without_a_time, lambda world: test_invites.test_an_invite_that_is_gone_is_gone(world, "too late")),
    (an_owner_like_any_member, test_members.test_a_members_first_refusal_is_the_one_that_the_page_lists_first),
    (
        users_removed_though_they_belong_elsewhere,
        test_accounts.test_with_its_users_those_who_belong_to_no_other_account_are_removed,
    ),
    (an_address_that_stays_verified, test_accounts.test_an_account_is_what_was_asked_for),
]


@pytest.mark.parametrize(("broken", "check"), BROKEN, ids=[broken.__name__ for broken, _ in BROKEN])
async def test_a_broken_room_is_noticed(
    world: World, broken: Callable[[Patch], None], check: Check, monkeypatch: Patch
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        await check(world)


def an_account_that_is_read_and_not_held(patch: Patch) -> None:
    async def read(tx: Tx, account: AccountId) -> Account | None:
        row = (await tx.execute(select(account_rows).where(account_rows.c.id == account))).first()
        await asyncio.sleep(0.05)  # long enough for the others
        return account_of(row) if row is not None else None

    for room in (accounts, invites, members):
        patch.setattr(room, "hold_account", read)


def a_removal_that_reads_who_is_the_owner_and_does_not_hold_it(patch: Patch) -> None:
    async def refusal(_: members.Members, deed: Deed, user: UserId, account: AccountId) -> IsOwner | None:
        wanted = select(account_rows.c.owner_id).where(account_rows.c.id == account)
        owner = (await deed.tx.execute(wanted)).scalar_one()
        await asyncio.sleep(0.3)
        return IsOwner() if owner == user else None

    patch.setattr(members.Members, "_refusal", refusal)


def a_user_who_is_read_and_not_held(patch: Patch) -> None:
    async def read(tx: Tx, user: UserId) -> str | None:
        wanted = select(user_rows.c.email_key).where(user_rows.c.id == user, user_rows.c.removed_at.is_(None))
        key: str | None = (await tx.execute(wanted)).scalar()
        await asyncio.sleep(0.3)
        return key

    for room in (accounts, invites, members):
        patch.setattr(room, "hold_user", read)


UNHELD: Sequence[tuple[str, Callable[[Patch], None], RaceCheck]] = [
    (kind, broken, check)
    for kind in ("postgresql", "mariadb")  # SQLite has one writer anyway
    for broken, check in (
        (
            a_removal_that_reads_who_is_the_owner_and_does_not_hold_it,
            test_races.test_an_owner_who_is_made_while_he_is_removed_stays_a_member,
        ),
        (an_account_that_is_read_and_not_held, test_races.test_fifty_changes_of_one_account_lose_nothing),
        (
            a_user_who_is_read_and_not_held,
            test_races.test_whoever_joins_elsewhere_while_his_account_is_removed_is_there_or_was_refused,
        ),
    )
] + [
    # MariaDB's UPDATE waits for the other's row all the same.
    (
        "postgresql",
        an_account_that_is_read_and_not_held,
        test_races.test_of_fifty_invites_to_one_address_one_waits,
    )
]


@pytest.mark.parametrize(
    ("database_url", "broken", "check"),
    UNHELD,
    indirect=["database_url"],
    ids=[f"{kind}-{check.__name__}" for kind, _, check in UNHELD],
)
async def test_what_is_not_held_loses_its_race(
    worlds: list[World],
    everywhere: World,
    broken: Callable[[Patch], None],
    check: RaceCheck,
    monkeypatch: Patch,
) -> None:
    broken(monkeypatch)
    with pytest.raises((AssertionError, NoResultFound)):
        await check(worlds, everywhere)
