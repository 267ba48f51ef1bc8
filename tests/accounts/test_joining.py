"""An invite that is followed while others do something with it — whmcs-api §3.5."""

import asyncio

import pytest

from bridge.accounts.invites import Invite
from bridge.accounts.joining import Invited, Joining
from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import InviteGone, UserExists
from bridge.secret import Secret
from bridge.types import Visit
from tests.accounts.world import SOME, World

HERE = Visit("pages")
NEW = "new.member@example.com"


@pytest.fixture
def joining(world: World) -> Joining:
    return Joining(
        invites=world.invites, accounts=world.accounts, users=world.users, upkeep=world.upkeep, ledger=world.ledger
    )


async def invited(world: World) -> tuple[Invite, Secret]:
    """An invite to NEW, and its token."""
    account = await world.account("acme")
    invite = await world.ask(world.invites.create, account.id, NEW, SOME)
    found = await world.invites.token_of(invite.id)
    assert found is not None
    return found


async def register(joining: Joining, token: Secret) -> Membership | InviteGone | UserExists:
    return await joining.register(
        token, first_name="Nora", last_name="New", password=Secret("a good password"), language="", visit=HERE
    )


async def test_who_becomes_a_user_by_it_is_his_own_actor(world: World, joining: Joining) -> None:
    invite, token = await invited(world)
    seen = await joining.look(token)
    assert isinstance(seen, Invited) and (seen.invite, seen.user) == (invite, None)
    world.heard.clear()
    assert isinstance(await register(joining, token), Membership)
    assert world.kinds == ["user.created", "invite.accepted", "member.added"]
    assert {event.actor for event in world.heard} == {""}
    assert isinstance(await joining.look(token), InviteGone)


async def test_no_user_is_left_of_an_invite_that_was_over_meanwhile(
    world: World, joining: Joining, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite, token = await invited(world)
    await world.ask(world.invites.cancel, invite.id)

    async def as_it_was(_: Secret) -> Invite:
        return invite

    monkeypatch.setattr(world.invites, "by_token", as_it_was)
    world.heard.clear()
    assert isinstance(await register(joining, token), InviteGone)
    assert await world.users.by_email(NEW) is None and world.kinds == []


async def test_of_fifty_who_become_a_user_by_it_at_once_one_does(world: World, joining: Joining) -> None:
    world.db._patience = 30.0
    _, token = await invited(world)
    made = await asyncio.gather(*(register(joining, token) for _ in range(50)))
    assert [type(each) for each in made].count(Membership) == 1
    assert {type(each) for each in made} <= {Membership, InviteGone, UserExists}
    assert world.kinds.count("user.created") == 1


async def test_an_invite_to_an_account_that_is_gone_is_over(world: World, joining: Joining) -> None:
    invite, token = await invited(world)
    await world.ask(world.accounts.remove, invite.account)
    assert isinstance(await joining.look(token), InviteGone)
    assert isinstance(await register(joining, token), InviteGone)
