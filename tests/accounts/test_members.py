"""Members, owners and permissions — whmcs-api §3.5, §4.3."""

import ipaddress

import pytest

from bridge.accounts.membership import Membership
from bridge.accounts.outcomes import AlreadyMember, IsOwner, NoAccount, NoPermissions, NotAMember, NoUser
from bridge.accounts.permissions import EVERY_PERMISSION, Permissions, in_order, parse_permissions
from bridge.database.tables import memberships as table
from bridge.users.last_logins import LastLogins
from tests.accounts.world import GHOST, NOWHERE, SOME, World


def test_the_permissions_are_the_documented_ones_in_their_order() -> None:
    listed = "profile,contacts,products,manageproducts,productsso,domains,managedomains,invoices,quotes,tickets"
    assert ",".join(EVERY_PERMISSION) == f"{listed},affiliates,emails,orders"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tickets,invoices", ("invoices", "tickets")),
        (" Tickets , tickets,,nonsense,*,all", ("tickets",)),
        ("", ()),
        ("product", ()),
        (",".join(EVERY_PERMISSION), EVERY_PERMISSION),
    ],
)
def test_a_name_that_is_no_permission_gives_nothing(text: str, expected: Permissions) -> None:
    assert parse_permissions(text) == expected


async def test_an_owner_may_do_everything_and_a_member_what_he_was_given(everywhere: World) -> None:
    account, member = await everywhere.account("one"), await everywhere.user("member")
    made = await everywhere.join(member.id, account.id, ("tickets", "invoices", "tickets"))
    assert made == Membership(account=account.id, user=member.id, owner=False, permissions=("invoices", "tickets"))
    assert await everywhere.members.permissions(member.id, account.id) == ("invoices", "tickets")
    assert await everywhere.members.permissions(account.owner, account.id) == EVERY_PERMISSION


async def test_a_members_first_refusal_is_the_one_that_the_page_lists_first(everywhere: World) -> None:
    account, other = await everywhere.account("one"), await everywhere.user("other")
    members, owner = everywhere.members, account.owner
    asked = [
        await members.permissions(GHOST, NOWHERE),
        await members.permissions(other.id, NOWHERE),
        await members.permissions(other.id, account.id),
    ]
    assert asked == [NoUser(), NoAccount(), NotAMember()]
    cases = [(GHOST, NOWHERE), (GHOST, account.id), (other.id, NOWHERE), (owner, account.id), (other.id, account.id)]
    given = [await everywhere.ask(members.set_permissions, *case, ()) for case in cases]
    assert given == [NoUser(), NoUser(), NoAccount(), IsOwner(), NoPermissions()]
    given = [await everywhere.ask(members.set_permissions, *case, SOME) for case in cases]
    assert given == [NoUser(), NoUser(), NoAccount(), IsOwner(), NotAMember()]
    given = [await everywhere.ask(members.remove, *case) for case in cases]
    assert given == [NoUser(), NoUser(), NoAccount(), IsOwner(), NotAMember()]
    given = [await everywhere.ask(members.add, *case, SOME) for case in cases[:4]]
    assert given == [NoUser(), NoUser(), NoAccount(), AlreadyMember()]
    assert everywhere.kinds == ["account.created"]
    assert await everywhere.owners(account.id) == [owner]


async def test_permissions_are_replaced_as_a_whole(everywhere: World) -> None:
    account, member = await everywhere.account("one"), await everywhere.user("member")
    await everywhere.join(member.id, account.id)
    outcome = await everywhere.do(
        lambda deed: everywhere.members.set_permissions(deed, member.id, account.id, ("orders", "profile"))
    )
    assert isinstance(outcome, Membership) and outcome.permissions == ("profile", "orders")
    assert await everywhere.members.permissions(member.id, account.id) == ("profile", "orders")
    assert everywhere.heard[-1].details == {"account": str(account.id), "permissions": "profile,orders"}
    assert (await everywhere.rows())[-1] == ("member.changed", member.id)


def test_permissions_are_each_there_once_in_the_documented_order() -> None:
    assert in_order(["tickets", "root", "orders", "profile", "*", "tickets"]) == ("profile", "tickets", "orders")


async def test_what_a_row_says_makes_an_owner_no_less_and_a_member_no_more(world: World) -> None:
    account, member = await world.account("one"), await world.user("member")
    await world.join(member.id, account.id)
    async with world.db.begin() as tx:
        await tx.execute(table.update().values(permissions="tickets,root"))
    assert await world.members.permissions(account.owner, account.id) == EVERY_PERMISSION
    assert await world.members.permissions(member.id, account.id) == ("tickets",)


async def test_who_was_removed_is_no_user_any_more(world: World) -> None:
    account, gone = await world.account("one"), await world.user("gone")
    await world.ask(world.upkeep.remove, gone.id)
    assert await world.members.permissions(gone.id, account.id) == NoUser()
    for verb, more in (
        (world.members.add, (SOME,)),
        (world.members.remove, ()),
        (world.members.set_permissions, (SOME,)),
    ):
        assert await world.ask(verb, gone.id, account.id, *more) == NoUser()
    assert await world.ask(world.members.transfer, account.id, gone.id) == NoUser()


async def test_a_removed_member_has_nothing_to_do_with_it_any_more(everywhere: World) -> None:
    account, member = await everywhere.account("one"), await everywhere.user("member")
    was = await everywhere.join(member.id, account.id)
    assert await everywhere.do(lambda deed: everywhere.members.remove(deed, member.id, account.id)) == was
    assert await everywhere.members.permissions(member.id, account.id) == NotAMember()
    assert await everywhere.members.of_user(member.id) == []
    assert await everywhere.do(lambda deed: everywhere.members.remove(deed, member.id, account.id)) == NotAMember()
    assert everywhere.kinds[-1] == "member.removed"


async def test_an_account_given_to_another_has_him_as_its_one_owner(everywhere: World) -> None:
    account = await everywhere.account("one")
    member, stranger = await everywhere.user("member"), await everywhere.user("stranger")
    await everywhere.join(member.id, account.id)
    for heir in (member, stranger, stranger):
        made = await everywhere.ask(everywhere.members.transfer, account.id, heir.id)
        assert isinstance(made, Membership) and made.owner and made.permissions == EVERY_PERMISSION
        assert await everywhere.owners(account.id) == [heir.id]
    found = await everywhere.accounts.by_id(account.id)
    assert found is not None and found.owner == stranger.id
    assert await everywhere.members.permissions(account.owner, account.id) == EVERY_PERMISSION  # a member still
    assert await everywhere.do(lambda deed: everywhere.members.transfer(deed, account.id, GHOST)) == NoUser()
    assert await everywhere.do(lambda deed: everywhere.members.transfer(deed, NOWHERE, member.id)) == NoAccount()
    gone = await everywhere.do(lambda deed: everywhere.members.remove(deed, account.owner, account.id))
    assert isinstance(gone, Membership) and not gone.owner


async def test_the_accounts_of_many_users_are_read_at_once(everywhere: World) -> None:
    one, two = await everywhere.account("one"), await everywhere.account("two")
    both, none = await everywhere.user("both"), await everywhere.user("none")
    for account in (two, one):
        await everywhere.join(both.id, account.id)
    found = await everywhere.members.of_users([none.id, both.id, one.owner, GHOST, both.id])
    shown = {user: [(each.account, each.owner) for each in of] for user, of in found.items()}
    assert shown == {
        none.id: [],
        both.id: [(one.id, False), (two.id, False)],
        one.owner: [(one.id, True)],
        GHOST: [],
    }
    assert await everywhere.members.of_users([]) == {}


async def test_more_users_than_a_statement_takes_are_read_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.accounts.members._AT_ONCE", 2)
    made = [await world.account(f"a{n}") for n in range(5)]
    found = await world.members.of_users(each.owner for each in made)
    assert [[m.account for m in found[each.owner]] for each in made] == [[each.id] for each in made]


async def test_a_member_is_shown_by_his_name_and_his_last_login(everywhere: World) -> None:
    account = await everywhere.account("one")
    bare = await everywhere.user("bare", first_name="", last_name="")
    await everywhere.join(bare.id, account.id)
    logins = LastLogins(everywhere.users.write_logins, everywhere.clock)
    logins.note(account.owner, ipaddress.ip_address("192.0.2.1"))
    await logins.flush()
    owner, member = await everywhere.members.of_account(account.id)
    assert (owner.name, owner.membership.owner) == ("owner.of.one", True)
    assert (owner.last_login_at, owner.last_login_ip) == (int(everywhere.clock.now()), "192.0.2.1")
    assert (member.name, member.email, member.last_login_at) == ("bare@example.com", "bare@example.com", None)
    assert await everywhere.members.of_account(NOWHERE) == []


async def test_s20_whatever_changes_who_belongs_where_outdates_the_caches(everywhere: World) -> None:
    account, member = await everywhere.account("one"), await everywhere.user("member")
    everywhere.told.names.clear()
    await everywhere.join(member.id, account.id)
    await everywhere.do(lambda deed: everywhere.members.set_permissions(deed, member.id, account.id, ("orders",)))
    await everywhere.do(lambda deed: everywhere.members.transfer(deed, account.id, member.id))
    await everywhere.do(lambda deed: everywhere.members.remove(deed, account.owner, account.id))
    await everywhere.do(lambda deed: everywhere.accounts.remove(deed, account.id))
    assert everywhere.told.names == [*["accounts"] * 5, "profiles"]
