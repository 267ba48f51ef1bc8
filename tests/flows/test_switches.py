"""The settings of the legacy API that other rooms must hear of — whmcs-api §10."""

from bridge.accounts.account import Account, Profile
from bridge.secret import Secret
from bridge.types import Visit
from tests.flows.api import caller
from tests.running import ADA, LI, PASSWORD, Furnished, Given, in_process

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
            Visit("command"), lambda deed: rooms.accounts.create(deed, Profile(first_name="O"), owner=old.id)
        )
        assert isinstance(account, Account) and int(account.id) != int(old.id)
        answer = await api.call("ValidateLogin", email="old@example.com", password2="plums & pears")
        assert (answer["result"], answer["userid"]) == ("success", account.id)
        await rooms.versions.poll()
        assert (await api.call("ValidateLogin", email=LI, password2=PASSWORD))["result"] == "error"
        assert (await api.call("ResetPassword", id=account.id))["result"] == "success"
        assert (await api.call("ResetPassword", id=old.id))["message"] == "User Not Found"


async def test_and_by_default_nothing_is_otherwise(database: Furnished) -> None:
    async with in_process(database) as site:
        rooms, api = site.bridge.rooms, await caller(site)
        old = await rooms.users.create(email="old@example.com", password=Secret("plums &amp; pears"))
        assert old.sub != str(old.id)
        answer = await api.call("ValidateLogin", email="old@example.com", password2="plums & pears")
        assert answer["message"] == "Email or Password Invalid"
        ada = await site.user(ADA)
        assert (await api.call("ValidateLogin", email=ADA, password2=PASSWORD))["userid"] == ada.id
