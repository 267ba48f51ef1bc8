"""Users added, changed and removed by a caller, written down with it — whmcs-api §3.5, security §30."""

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from bridge.database.tables import memberships, recovery_codes, second_factors
from bridge.database.tables import users as table
from bridge.database.text import InvalidField
from bridge.secret import Secret
from bridge.types import UserId
from bridge.users.backend import Refused
from bridge.users.email_changes import EmailChange
from bridge.users.profile import ProfileChange
from bridge.users.user import AddressTaken, Taken, User
from tests.accounts.world import GHOST, World

PASSWORD = Secret("correct horse battery")


async def removed(world: World, user: UserId) -> User | None:
    found: User | None = await world.ask(world.upkeep.remove, user)
    return found


async def test_a_user_is_added_with_his_row(on_each: World) -> None:
    new = await on_each.users.draft(email="Ada@example.com", password=PASSWORD, first_name="Ada", language="english")
    made = await on_each.ask(on_each.upkeep.add, new)
    assert isinstance(made, User) and made == await on_each.users.by_id(made.id)
    assert (made.email, made.first_name, made.language, made.email_verified) == (
        "Ada@example.com",
        "Ada",
        "english",
        False,
    )
    assert await on_each.rows() == [("user.created", made.id)] and on_each.told.names == ["users"]
    again = await on_each.users.draft(email="ADA@example.com")
    assert await on_each.ask(on_each.upkeep.add, again) == AddressTaken()
    assert await on_each.rows() == [("user.created", made.id)] and on_each.kinds == ["user.created"]


async def test_names_and_language_are_changed_and_nothing_else(on_each: World) -> None:
    user = await on_each.users.create(email="a@example.com", first_name="Ada", last_name="Byron", groups=["staff"])
    on_each.clock.move(60)
    changed = await on_each.ask(on_each.upkeep.change, user.id, ProfileChange(last_name="Lovelace", language="french"))
    assert (changed.first_name, changed.last_name, changed.language) == ("Ada", "Lovelace", "french")
    assert (changed.groups, changed.stamp, changed.updated_at) == (user.groups, user.stamp, user.updated_at + 60)
    assert await on_each.rows() == [("user.changed", user.id)]
    assert await on_each.ask(on_each.upkeep.change, GHOST, ProfileChange(last_name="x")) is None
    assert on_each.kinds == ["user.changed"]


@pytest.mark.parametrize("field", ["first_name", "last_name", "language"])
async def test_a_name_that_is_too_long_is_refused_and_named(on_each: World, field: str) -> None:
    user = await on_each.users.create(email="a@example.com")
    with pytest.raises(InvalidField, match=field):
        await on_each.ask(on_each.upkeep.change, user.id, ProfileChange(**{field: "x" * 101}))
    with pytest.raises(InvalidField, match=field):
        await on_each.users.draft(email="b@example.com", **{field: "x" * 101})  # type: ignore[arg-type]
    assert await on_each.users.by_id(user.id) == user


async def test_a_name_with_controls_is_written_on_one_line(on_each: World) -> None:
    user = await on_each.users.create(email="a@example.com", first_name="A\x00da\r\nB", last_name="\ud800x\x1b")
    assert (user.first_name, user.last_name) == ("A da B", "x")


async def test_a_removed_user_is_nobody_any_more(on_each: World) -> None:
    user = await on_each.users.create(
        email="a@example.com",
        password=PASSWORD,
        first_name="Ada",
        totp=Secret("JBSWY3DPEHPK3PXP"),
        source="s",
        external_id="7",
    )
    change = await on_each.ask(on_each.changes.request, user.id, "b@example.com")
    assert isinstance(change, EmailChange)
    assert (await on_each.ask(on_each.factors.renew_codes, user.id)).codes
    before = await on_each.users.by_id(user.id)
    assert await removed(on_each, user.id) == before
    users = on_each.users
    assert [await users.by_id(user.id), await users.by_email(user.email), await users.by_sub(user.sub)] == [None] * 3
    assert await users.authenticate(user.email, PASSWORD) == Refused("unknown")
    assert await users.list() == [] and (await on_each.directory.page()).total == 0
    assert await users.enable(user.id) is None and await users.disable(user.id) is None
    assert await on_each.ask(on_each.factors.set_totp, user.id, Secret("JBSWY3DPEHPK3PXP")) is None
    assert await users.set_password(user, Secret("another one entirely")) is None
    assert await users.change_profile(user.id, first_name="x") is None
    assert await removed(on_each, user.id) is None
    assert await on_each.count(second_factors) == await on_each.count(recovery_codes) == 0
    assert await on_each.changes.token_of(change.id) is None
    assert (await on_each.rows())[-1] == ("user.removed", user.id)


async def test_of_a_removed_user_nothing_personal_is_left(on_each: World) -> None:
    user = await on_each.users.create(
        email="ada.person@example.com", first_name="Person", last_name="Person", password=PASSWORD, groups=["person"]
    )
    await on_each.users.write_logins([(user.id, 1, "192.0.2.77")])
    await removed(on_each, user.id)
    await on_each.users.write_logins([(user.id, 2, "192.0.2.77")])
    async with on_each.db.read() as tx:
        row = repr((await tx.execute(select(table))).one())
    assert not [word for word in ("person", "Person", "argon2", "192.0.2") if word in row]


async def test_his_number_and_subject_are_never_anothers_and_his_address_is_free(on_each: World) -> None:
    user = await on_each.users.create(email="a@example.com", source="s", external_id="7")
    await removed(on_each, user.id)
    again = await on_each.users.create(email="a@example.com", source="s", external_id="7")
    assert again.id > user.id and again.sub != user.sub
    with pytest.raises(Taken, match="subject"):
        await on_each.users.create(email="b@example.com", sub=user.sub)


async def test_s3_his_stamp_is_another_so_that_all_of_his_is_over(on_each: World) -> None:
    user = await on_each.users.create(email="a@example.com")
    on_each.clock.move(60)
    await removed(on_each, user.id)
    async with on_each.db.read() as tx:
        row = (await tx.execute(select(table.c.stamp, table.c.stamp_changed_at, table.c.disabled_at))).one()
    assert row.stamp != user.stamp and row.stamp.startswith("d")
    assert row.stamp_changed_at == row.disabled_at == int(on_each.clock.now())
    assert "users" in on_each.told.names


async def test_a_member_of_an_account_and_whom_another_authority_keeps_are_not_removed(on_each: World) -> None:
    account = await on_each.account("one")
    far = await on_each.users.create(email="far@example.com", authority="whmcs")
    assert await removed(on_each, account.owner) is None and await removed(on_each, far.id) is None
    assert await on_each.users.by_id(account.owner) and await on_each.users.by_id(far.id)
    assert "user.removed" not in on_each.kinds


async def test_a_user_who_is_somewhere_a_member_cannot_vanish_from_the_table(on_each: World) -> None:
    account = await on_each.account("one")
    with pytest.raises(IntegrityError, match=r"(?i)foreign key|constraint"):
        async with on_each.db.begin() as tx:
            await tx.execute(text(f"DELETE FROM users WHERE id = {account.owner}"))
    with pytest.raises(IntegrityError, match=r"(?i)foreign key|constraint"):
        async with on_each.db.begin() as tx:
            await tx.execute(
                insert(memberships).values(account_id=account.id, user_id=GHOST, permissions="", created_at=1)
            )
