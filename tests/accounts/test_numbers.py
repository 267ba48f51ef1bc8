"""The number of a user as a client — whmcs-api §4.3."""

from dataclasses import dataclass

import pytest

from bridge.accounts.cached import CachedAccounts
from bridge.accounts.numbers import ClientNumbers
from bridge.clock import SystemClock
from bridge.database.versions import VersionTable
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.tokens import Names
from bridge.types import AccountId
from tests.accounts.world import GHOST, NOWHERE, World


@dataclass
class Numbers:
    versions: Versions
    numbers: ClientNumbers

    async def know(self) -> None:
        """What was changed meanwhile."""
        await self.versions.publish("accounts")
        await self.versions.poll()


@pytest.fixture
async def known(world: World) -> Numbers:
    names = Names("https://a.example")
    versions = Versions(MemoryStore(SystemClock()), names, VersionTable(world.db), monotonic=lambda: 1.0)
    cached = CachedAccounts(world.members, world.accounts, versions)
    numbers = ClientNumbers(accounts=world.accounts, cached=cached, members=world.members, versions=versions)
    made = Numbers(versions, numbers)
    await made.know()
    return made


async def test_without_any_account_everybody_is_a_client_of_his_own_number(world: World, known: Numbers) -> None:
    ada = await world.user("ada")
    assert await known.numbers.of_user(ada.id) == AccountId(ada.id)
    assert await known.numbers.owner_of(AccountId(ada.id)) == ada.id


async def test_a_users_client_is_the_first_that_he_owns(world: World, known: Numbers) -> None:
    ada, bob = await world.user("ada"), await world.user("bob")
    bobs, first, second = [await world.account(str(i), owner) for i, owner in enumerate([bob.id, ada.id, ada.id])]
    await world.join(ada.id, bobs.id)
    await known.know()
    assert await known.numbers.of_user(ada.id) == first.id != AccountId(ada.id)
    assert [await known.numbers.owner_of(each.id) for each in (bobs, first, second)] == [bob.id, ada.id, ada.id]


async def test_with_the_first_account_a_number_is_never_taken_for_one_of_the_other_kind(
    world: World, known: Numbers
) -> None:
    """Else user 1, who owns nothing, would be taken for client 1, which is user 2's."""
    ada, bob = await world.user("ada"), await world.user("bob")
    assert await known.numbers.of_user(ada.id) == 1
    bobs = await world.account("bobs", bob.id)
    await world.join(ada.id, bobs.id)
    await known.know()
    assert (ada.id, bobs.id) == (1, 1)
    assert await known.numbers.of_user(ada.id) is None
    assert await known.numbers.of_user(GHOST) is None
    assert await known.numbers.owner_of(AccountId(bob.id)) is None
    assert await known.numbers.owner_of(NOWHERE) is None
