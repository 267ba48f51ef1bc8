"""Roles of API credentials: named sets of actions, of which any grants — whmcs-api §2.4, security §20, §30."""

import asyncio
from collections import Counter

import pytest

from bridge.clients.credential import Credential, Rights
from bridge.clients.credentials import Credentials
from bridge.clients.roles import RoleInUse, Roles, RoleTaken, UnknownRole
from bridge.database.database import Database
from bridge.ring import Ring
from bridge.stores.versions import Versions
from bridge.testing.hands import Hands
from tests.clients_room.test_credentials import PlainHasher


@pytest.fixture
def roles(db: Database, versions: Versions, clock: Hands) -> Roles:
    return Roles(db=db, versions=versions, clock=clock)


@pytest.fixture
def credentials(db: Database, ring: Ring, versions: Versions, clock: Hands) -> Credentials:
    return Credentials(db=db, ring=ring, versions=versions, hasher=PlainHasher(), clock=clock)


async def found(credentials: Credentials, identifier: str = "portal") -> Credential:
    credential = await credentials.find(identifier)
    assert credential is not None
    return credential


async def portal(credentials: Credentials, *roles: str, **rights: object) -> Credential:
    made = await credentials.create("portal", Rights.parse(roles=roles, **rights), identifier="portal")  # type: ignore[arg-type]
    return made.credential


async def test_no_role_is_there_from_the_beginning(roles: Roles) -> None:
    assert await roles.list() == []


async def test_any_of_its_roles_grants_and_so_does_its_own_list(roles: Roles, credentials: Credentials) -> None:
    await roles.add("login", ["ValidateLogin", "ResetPassword"])
    await roles.add("read", ["GetUsers"])
    await roles.add("other", ["GetClients"])
    made = await portal(credentials, "read", "login", actions=["WhmcsDetails"])
    again = await found(credentials)
    assert again == made and list(again.roles) == ["login", "read"]
    allowed = {name: again.may_call(name) for name in ("validatelogin", "getusers", "whmcsdetails", "getclients")}
    assert allowed == {"validatelogin": True, "getusers": True, "whmcsdetails": True, "getclients": False}


@pytest.mark.parametrize(
    ("actions", "ordinary", "powerful"),
    [(["*"], True, False), (["AddUser"], False, True), (["*", "AddUser"], True, True)],
)
async def test_s30_a_role_of_everything_gives_no_powerful_action_unless_it_is_named(
    roles: Roles, credentials: Credentials, actions: list[str], ordinary: bool, powerful: bool
) -> None:
    await roles.add("staff", actions)
    made = await portal(credentials, "staff")
    assert (made.may_call("getusers"), made.may_call("adduser", powerful=True)) == (ordinary, powerful)


async def test_a_star_and_a_name_in_two_places_do_not_make_more_than_both(
    roles: Roles, credentials: Credentials
) -> None:
    await roles.add("all", ["*"])
    made = await portal(credentials, "all", actions=["CloseClient"])
    assert made.may_call("closeclient", powerful=True) and not made.may_call("deleteclient", powerful=True)


async def test_s20_a_changed_role_is_changed_for_all_who_have_it(
    roles: Roles, credentials: Credentials, versions: Versions
) -> None:
    await roles.add("login", ["ValidateLogin"])
    await portal(credentials, "login")
    await versions.poll()
    assert (await found(credentials)).may_call("validatelogin")
    assert await roles.change("login", ["GetUsers"])
    after = await found(credentials)
    assert not after.may_call("validatelogin") and after.may_call("getusers")
    assert not await roles.change("nobodys", ["GetUsers"])


async def test_a_credentials_roles_are_replaced_as_a_whole(
    roles: Roles, credentials: Credentials, versions: Versions
) -> None:
    for name in ("a", "b"):
        await roles.add(name, ["GetUsers"])
    await portal(credentials, "a")
    await versions.poll()
    assert list((await found(credentials)).roles) == ["a"]
    assert await credentials.give_roles("portal", ["b", "b"])
    assert list((await found(credentials)).roles) == ["b"]
    with pytest.raises(UnknownRole, match="there is no role c"):
        await credentials.give_roles("portal", ["a", "c"])
    assert list((await found(credentials)).roles) == ["b"]
    assert await credentials.give_roles("portal", [])
    assert (await found(credentials)).roles == {}
    assert not await credentials.give_roles("nobody", ["a"])


async def test_a_credential_of_an_unknown_role_is_not_made(roles: Roles, credentials: Credentials) -> None:
    with pytest.raises(UnknownRole, match="there is no role login"):
        await portal(credentials, "login")
    assert await credentials.find("portal") is None


async def test_the_list_says_who_has_which(roles: Roles, credentials: Credentials, clock: Hands) -> None:
    await roles.add("b", ["GetUsers", "*"])
    await roles.add("a", ["ValidateLogin"])
    await portal(credentials, "a", "b")
    await credentials.create("other", Rights.parse(roles=["b"]))
    first, second = await roles.list()
    assert (first.name, sorted(first.actions), first.credentials) == ("a", ["validatelogin"], ("portal",))
    assert (second.name, sorted(second.actions), second.credentials) == ("b", ["*", "getusers"], ("portal", "other"))
    assert first.created_at == int(clock.now())
    listed = {credential.name: sorted(credential.roles) for credential in await credentials.list()}
    assert listed == {"portal": ["a", "b"], "other": ["b"]}


async def test_a_role_that_somebody_has_is_not_removed(roles: Roles, credentials: Credentials) -> None:
    await roles.add("login", ["ValidateLogin"])
    await portal(credentials, "login")
    with pytest.raises(RoleInUse, match="the role login is that of portal"):
        await roles.remove("login")
    assert (await found(credentials)).may_call("validatelogin")
    assert await credentials.remove("portal")
    assert await roles.remove("login") and not await roles.remove("login")
    assert await roles.list() == []


async def test_a_role_that_is_given_at_this_moment_is_not_removed(roles: Roles, credentials: Credentials) -> None:
    """Either it is gone and the credential was not made, or it is there and the credential has it."""
    for round_ in range(5):
        await roles.add("login", ["ValidateLogin"])
        outcomes = await asyncio.gather(
            credentials.create(f"c{round_}", Rights.parse(roles=["login"])),
            roles.remove("login"),
            return_exceptions=True,
        )
        kinds = Counter(type(each).__name__ for each in outcomes)
        there, made = len(await roles.list()), len(await credentials.list())
        assert (kinds, there, made) in [
            (Counter({"NewCredential": 1, "RoleInUse": 1}), 1, 1),
            (Counter({"UnknownRole": 1, "bool": 1}), 0, 0),
        ]
        await credentials.remove(f"c{round_}")
        await roles.remove("login")


@pytest.mark.parametrize("name", ["", "x" * 101, "a b", "-a", "é", "a\n"])
async def test_a_name_is_a_word(roles: Roles, name: str) -> None:
    with pytest.raises(ValueError, match="the name must have"):
        await roles.add(name, ["ValidateLogin"])


async def test_a_role_allows_something_and_its_name_is_its_own(roles: Roles) -> None:
    with pytest.raises(ValueError, match="it would allow nothing"):
        await roles.add("login", [])
    with pytest.raises(ValueError, match="no name of an action"):
        await roles.add("login", ["Validate Login"])
    await roles.add("login", ["ValidateLogin"])
    with pytest.raises(RoleTaken, match="the role login is there already"):
        await roles.add("login", ["GetUsers"])
    with pytest.raises(ValueError, match="it would allow nothing"):
        await roles.change("login", [])
    assert (await roles.list())[0].actions == {"validatelogin"}


@pytest.mark.parametrize("error_on_2fa", [None, True, False])
async def test_what_it_says_of_second_factors_is_kept_beside_its_sessions(
    credentials: Credentials, error_on_2fa: bool | None
) -> None:
    made = await portal(credentials, error_on_2fa=error_on_2fa)
    assert made.error_on_2fa is error_on_2fa and await found(credentials) == made
