"""Invites: made, mailed, accepted once — whmcs-api §3.5; security §5, §10."""

import json

import pytest
from sqlalchemy import select

from bridge.accounts.invites import KEPT_SECONDS, PURPOSE, Invite, Invites
from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import (
    AlreadyMember,
    InviteGone,
    NoAccount,
    NoAddress,
    NoPermissions,
    NoUser,
    OtherAddress,
)
from bridge.database.tables import invites as table
from bridge.database.tables import memberships, outbox
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.types import AccountId, UserId
from tests.accounts.world import GHOST, NOWHERE, SOME, World

EMAIL = "New.Member@Example.com"


async def invite(world: World, account: AccountId, email: str = EMAIL) -> Invite:
    made = await world.do(lambda deed: world.invites.create(deed, account, email, SOME))
    assert isinstance(made, Invite)
    return made


async def token_of(world: World, made: Invite) -> Secret:
    found = await world.invites.token_of(made.id)
    assert found is not None and found[0] == made
    return found[1]


async def accept(world: World, token: Secret, user: UserId) -> object:
    return await world.do(lambda deed: world.invites.accept(deed, token, user))


async def test_an_invite_is_made_with_its_letter_and_its_row(everywhere: World) -> None:
    account = await everywhere.account("one")
    made = await invite(everywhere, account.id)
    assert (made.email, made.permissions, made.state) == (EMAIL, ("invoices", "tickets"), "waiting")
    assert (made.invited_by, made.expires_at - made.created_at) == ("portal", 3_600)
    assert await everywhere.invites.of_account(account.id) == [made]
    async with everywhere.db.read() as tx:
        (job,) = (await tx.execute(select(outbox.c.purpose, outbox.c.payload))).all()
    assert (job.purpose, json.loads(job.payload)) == (PURPOSE, {"invite": str(made.id)})
    assert (await everywhere.rows())[-1] == ("invite.created", None)


async def test_the_first_refusal_is_the_one_that_the_page_lists_first(everywhere: World) -> None:
    account = await everywhere.account("one")
    owner = await everywhere.users.by_id(account.owner)
    assert owner is not None
    cases = [
        (NOWHERE, "nonsense", ()),
        (account.id, "nonsense", ()),
        (account.id, owner.email, ()),
        (account.id, owner.email.upper(), SOME),
    ]
    create = everywhere.invites.create
    outcomes = [await everywhere.ask(create, *case) for case in cases]
    assert outcomes == [NoAccount(), NoAddress(), NoPermissions(), AlreadyMember()]
    assert await everywhere.count(table) == await everywhere.count(outbox) == 0
    assert everywhere.kinds == ["account.created"]


async def test_whoever_shows_the_token_becomes_the_member_that_it_says(everywhere: World) -> None:
    account, new = await everywhere.account("one"), await everywhere.user("x", email="new.member@example.COM")
    made = await invite(everywhere, account.id)
    token = await token_of(everywhere, made)
    assert await everywhere.invites.by_token(token) == made
    outcome = await accept(everywhere, token, new.id)
    assert outcome == Membership(account=account.id, user=new.id, owner=False, permissions=("invoices", "tickets"))
    assert await everywhere.members.of_user(new.id) == [outcome]
    (after,) = await everywhere.invites.of_account(account.id)
    assert (after.state, after.accepted_by) == ("accepted", new.id)
    assert [kind for kind, _ in await everywhere.rows()][-2:] == ["invite.accepted", "member.added"]


async def test_a_token_works_once(everywhere: World) -> None:
    account, new = await everywhere.account("one"), await everywhere.user("x", email=EMAIL)
    token = await token_of(everywhere, await invite(everywhere, account.id))
    await accept(everywhere, token, new.id)
    await everywhere.do(lambda deed: everywhere.members.remove(deed, new.id, account.id))
    assert await accept(everywhere, token, new.id) == InviteGone()
    assert await everywhere.invites.by_token(token) is None
    assert await everywhere.members.of_user(new.id) == []


async def test_a_token_that_went_astray_is_of_no_use_to_another_user(everywhere: World) -> None:
    account, thief = await everywhere.account("one"), await everywhere.user("thief")
    token = await token_of(everywhere, await invite(everywhere, account.id))
    assert await accept(everywhere, token, thief.id) == OtherAddress()
    assert await accept(everywhere, token, GHOST) == NoUser()
    assert await everywhere.invites.by_token(token) is not None
    assert await everywhere.count(memberships) == 1


@pytest.mark.parametrize("how", ["cancelled", "too late", "replaced", "account removed", "one byte", "no token"])
async def test_an_invite_that_is_gone_is_gone(everywhere: World, how: str) -> None:
    account, new = await everywhere.account("one"), await everywhere.user("x", email=EMAIL)
    made = await invite(everywhere, account.id)
    token = await token_of(everywhere, made)
    match how:
        case "cancelled":
            cancelled = await everywhere.do(lambda deed: everywhere.invites.cancel(deed, made.id))
            assert isinstance(cancelled, Invite) and cancelled.state == "cancelled"
        case "too late":
            everywhere.clock.move(3_600)
        case "replaced":
            await invite(everywhere, account.id, "new.member@EXAMPLE.com")
        case "account removed":
            await everywhere.do(lambda deed: everywhere.accounts.remove(deed, account.id))
        case "one byte":
            text = token.reveal()
            token = Secret(text[:-1] + ("a" if text[-1] != "a" else "b"))
        case _:
            token = Secret(b"\xff" * 43)
    if how not in {"one byte", "no token"}:
        assert await everywhere.invites.token_of(made.id) is None
    assert await everywhere.invites.by_token(token) is None
    assert await accept(everywhere, token, new.id) == InviteGone()
    assert await everywhere.members.of_user(new.id) == []


async def test_an_invite_is_cancelled_once(everywhere: World) -> None:
    account = await everywhere.account("one")
    made = await invite(everywhere, account.id)
    outcomes = [await everywhere.do(lambda deed: everywhere.invites.cancel(deed, made.id)) for _ in range(2)]
    assert isinstance(outcomes[0], Invite) and outcomes[1] == InviteGone()
    assert await everywhere.do(lambda deed: everywhere.invites.cancel(deed, 999)) == InviteGone()
    assert everywhere.kinds.count("invite.cancelled") == 1


async def test_who_became_a_member_otherwise_is_told_so(everywhere: World) -> None:
    account, new = await everywhere.account("one"), await everywhere.user("x", email=EMAIL)
    token = await token_of(everywhere, await invite(everywhere, account.id))
    await everywhere.join(new.id, account.id, ("orders",))
    assert await accept(everywhere, token, new.id) == AlreadyMember()
    assert await everywhere.members.permissions(new.id, account.id) == ("orders",)


async def test_s5_the_database_holds_no_token(everywhere: World) -> None:
    account = await everywhere.account("one")
    made = await invite(everywhere, account.id)
    token = await token_of(everywhere, made)
    assert (await token_of(everywhere, made)).matches(token)  # a letter that is sent again is the same letter
    async with everywhere.db.read() as tx:
        rows = [*(await tx.execute(select(table))).all(), *(await tx.execute(select(outbox))).all()]
    assert token.reveal() not in repr([tuple(row) for row in rows])


async def test_s5_of_an_invite_that_is_over_no_sealed_token_is_left(world: World) -> None:
    account, new = await world.account("one"), await world.user("x", email=EMAIL)
    one, two, three = [await invite(world, account.id, email) for email in (EMAIL, "b@example.com", "c@example.com")]
    await accept(world, await token_of(world, one), new.id)
    await world.ask(world.invites.cancel, two.id)
    async with world.db.read() as tx:
        left = await tx.execute(select(table.c.id).where(table.c.token_enc.is_not(None)))
        assert left.scalars().all() == [three.id]


async def test_s5_a_sealed_token_opens_in_its_own_row_and_under_its_own_ring_only(everywhere: World) -> None:
    account = await everywhere.account("one")
    one, two = await invite(everywhere, account.id), await invite(everywhere, account.id, "another@example.com")
    other = Invites(
        db=everywhere.db,
        members=everywhere.members,
        outbox=everywhere.outbox,
        ring=Ring.parse(Ring.new_line("m1")),
        clock=everywhere.clock,
        lifetime=60,
    )
    assert await other.token_of(one.id) is None
    async with everywhere.db.begin() as tx:
        sealed = (await tx.execute(select(table.c.token_enc).where(table.c.id == two.id))).scalar_one()
        await tx.execute(table.update().where(table.c.id == one.id).values(token_enc=sealed))
    assert await everywhere.invites.token_of(one.id) is None


async def test_what_nothing_can_come_of_is_forgotten_after_thirty_days(everywhere: World) -> None:
    account = await everywhere.account("one")
    await invite(everywhere, account.id)
    everywhere.clock.move(3_600 + KEPT_SECONDS)
    assert await everywhere.invites.forget() == 0
    everywhere.clock.move(1)
    assert await everywhere.invites.forget() == 1
    assert await everywhere.count(table) == 0
