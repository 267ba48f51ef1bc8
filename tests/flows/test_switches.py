"""The settings of the legacy API that other rooms must hear of — whmcs-api §10."""

from typing import cast

import pytest

from bridge.accounts.account import Account, Profile
from bridge.secret import Secret
from bridge.stores.memory import MemoryStore
from bridge.testing.hands import Hands
from bridge.types import Visit
from tests.flows.api import caller
from tests.running import ADA, LI, PASSWORD, TOM, Furnished, Given, code, in_process

COMMAND = Visit("command")
OTHERWISE: Given = {
    ("legacy", "userid_mode"): "client",
    ("legacy", "sub_source"): "user_id",
    ("legacy", "html_escaped_fallback"): True,
}


async def test_each_of_them_arrives_where_it_is_needed(database: Furnished) -> None:
    async with in_process(database, more=OTHERWISE) as site:
        rooms, api = site.bridge.rooms, await caller(site)
        old = await rooms.users.create(email="old@example.com", password=Secret("plums &amp; pears"))
        assert old.sub == str(old.id)
        account = await rooms.ledger.do(
            COMMAND, lambda deed: rooms.accounts.create(deed, Profile(first_name="O"), owner=old.id)
        )
        assert isinstance(account, Account) and int(account.id) != int(old.id)
        answer = await api.call("ValidateLogin", email="old@example.com", password2="plums & pears")
        assert (answer["result"], answer["userid"]) == ("success", account.id)
        await rooms.versions.poll()
        assert (await api.call("ValidateLogin", email=LI, password2=PASSWORD))["result"] == "error"
        assert (await api.call("ResetPassword", id=account.id))["result"] == "success"
        assert (await api.call("ResetPassword", id=old.id))["message"] == "User Not Found"


@pytest.mark.parametrize("email", [LI, TOM])
async def test_who_owns_no_client_is_refused_before_anything_of_his_is_made(
    database: Furnished, clock: Hands, email: str
) -> None:
    """To who knows clients alone the login is wrong: so there is no session, no pending step, nothing in the store."""
    more: Given = {**OTHERWISE, ("login", "account_per_5_minutes"): 3}
    async with in_process(database, more=more, clock=clock) as site:
        rooms, api = site.bridge.rooms, await caller(site)
        user, store = await site.user(email), cast(MemoryStore, rooms.raw_store)
        ada = (await site.user(ADA)).id
        await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.create(deed, Profile(first_name="A"), owner=ada))
        await rooms.versions.poll()  # there are clients here, and he owns none
        before = set(store._values)
        given = {"email": email, "password2": PASSWORD, "second_factor": code(at=clock.now())}
        for _ in range(12):  # and it is no guess: nobody is shut out by it
            said = await api.call("ValidateLogin", **given)
            assert said == {"result": "error", "message": "Email or Password Invalid"}
        kept = {key for key in set(store._values) - before if f"{{{user.tag}}}" in key}
        assert kept == set() and await site.sessions(user.id) == []
        event = site.told.events[-2]
        assert (event.kind, event.reason, event.user) == ("login.fail", "not-admitted", user.id)
        assert not {"session.created", "login.ok", "login.blocked"} & set(site.told.kinds())
        await rooms.ledger.do(COMMAND, lambda deed: rooms.accounts.create(deed, Profile(first_name="O"), owner=user.id))
        await rooms.versions.poll()
        assert (await api.call("ValidateLogin", **given))["result"] == "success"


async def test_and_by_default_nothing_is_otherwise(database: Furnished) -> None:
    async with in_process(database) as site:
        rooms, api = site.bridge.rooms, await caller(site)
        old = await rooms.users.create(email="old@example.com", password=Secret("plums &amp; pears"))
        assert old.sub != str(old.id)
        answer = await api.call("ValidateLogin", email="old@example.com", password2="plums & pears")
        assert answer["message"] == "Email or Password Invalid"
        ada = await site.user(ADA)
        assert (await api.call("ValidateLogin", email=ADA, password2=PASSWORD))["userid"] == ada.id
