"""The accounts of users from a cache that is never more than two seconds behind — security §20."""

from collections.abc import Sequence

import pytest

from bridge.accounts.cached import CachedAccounts
from bridge.accounts.membership import Membership
from bridge.clock import SystemClock
from bridge.database.versions import VersionTable
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.tokens import Names
from bridge.types import UserId
from tests.accounts.world import GHOST, World


@pytest.fixture
def reads(world: World, monkeypatch: pytest.MonkeyPatch) -> list[UserId]:
    """Whose accounts were read from the database."""
    asked: list[UserId] = []
    original = world.members.of_user

    async def of_user(user: UserId) -> Sequence[Membership]:
        asked.append(user)
        return await original(user)

    monkeypatch.setattr(world.members, "of_user", of_user)
    return asked


async def test_accounts_are_read_once_until_a_membership_changes(world: World, reads: list[UserId]) -> None:
    versions = Versions(
        MemoryStore(SystemClock()), Names("https://a.example"), VersionTable(world.db), monotonic=lambda: 1.0
    )
    cached = CachedAccounts(world.members, world.accounts, versions)
    account, member = await world.account("one"), await world.user("member")
    await versions.publish("accounts")
    await versions.poll()
    for _ in range(3):
        assert await cached.owned_by(account.owner) == account.id
        assert [each.account for each in await cached.of_user(account.owner)] == [account.id]
        assert not await cached.of_user(GHOST) and await cached.owned_by(GHOST) is None
    assert reads == [account.owner, GHOST]
    await world.join(member.id, account.id)
    await world.ask(world.members.transfer, account.id, member.id)
    await versions.publish("accounts")
    assert await cached.owned_by(member.id) == account.id
    assert await cached.owned_by(account.owner) is None
    assert reads == [account.owner, GHOST, member.id, account.owner]


async def test_the_first_account_that_he_owns_is_the_one_of_the_lowest_number(world: World) -> None:
    versions = Versions(MemoryStore(SystemClock()), Names("https://a.example"), VersionTable(world.db))
    cached = CachedAccounts(world.members, world.accounts, versions)
    others, user = await world.account("others"), await world.user("user")
    await world.join(user.id, others.id)
    first = await world.account("first", user.id)
    await world.account("second", user.id)
    assert await cached.owned_by(user.id) == first.id
