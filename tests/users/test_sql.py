"""Users in our own tables — DESIGN §5, security §3, §5, §10, §20; store §2."""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from bridge.database.database import Database
from bridge.database.tables import users as table
from bridge.database.versions import VersionTable
from bridge.errors import Unavailable
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.tokens import Slots
from bridge.types import SlotTag, Subject, UserId
from bridge.users.backend import Authenticated, Refused
from bridge.users.last_logins import EVERY, LastLogins
from bridge.users.sql import SqlUsers
from bridge.users.user import Taken, User
from tests.patience import until
from tests.users.conftest import SLOTS, Told, users_of
from tests.users.test_passwords import OLDER
from tests.users.test_passwords import PASSWORD as OLD_PASSWORD

PASSWORD = Secret("correct horse battery")
OTHER = Secret("another one entirely")


async def ada(users: SqlUsers) -> User:
    return await users.create(email="Ada@Example.com", password=PASSWORD, groups=["staff", "été"], language="en")


async def refusal(users: SqlUsers, email: str, password: Secret) -> Refused:
    answer = await users.authenticate(email, password)
    assert isinstance(answer, Refused)
    return answer


async def test_a_new_user_is_what_was_asked_for(everywhere: SqlUsers, clock: Hands) -> None:
    user = await ada(everywhere)
    assert (user.email, user.email_key, user.groups) == ("Ada@Example.com", "ada@example.com", ("staff", "été"))
    assert user.tag == SLOTS.of_user(user.id)
    assert user.created_at == user.updated_at == int(clock.now())
    assert len(user.sub) == 36 and user.stamp.startswith("n")
    assert await everywhere.by_id(user.id) == await everywhere.by_sub(user.sub) == user


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@example.com", "ADA@example.com"),
        ("stra\xdfe@example.com", "STRASSE@example.com"),
        ("o\ufb03ce@example.com", "office@example.com"),
        ("jos\xe9@example.com", "jose\u0301@example.com"),
        ("ada@b\xfccher.example", " ada@xn--bcher-kva.example\t"),
    ],
)
async def test_s10_variants_of_one_address_are_one_user_on_every_database(
    everywhere: SqlUsers, first: str, second: str
) -> None:
    user = await everywhere.create(email=first, password=PASSWORD)
    with pytest.raises(Taken):
        await everywhere.create(email=second, password=PASSWORD)
    assert await everywhere.by_email(second) == user
    assert await everywhere.authenticate(second, PASSWORD) == Authenticated(user)


async def test_s10_different_addresses_are_different_users_on_every_database(everywhere: SqlUsers) -> None:
    emails = ("jose@a.com", "jos\xe9@a.com", "isik@a.com", "\u0131s\u0131k@a.com", "a_b@a.com", "axb@a.com", "a%@a.com")
    made = [await everywhere.create(email=email, password=PASSWORD) for email in emails]
    found = [await everywhere.by_email(email) for email in emails]
    assert found == made and len({user.id for user in made}) == len(emails)


async def test_a_subject_is_unique_to_the_letter(everywhere: SqlUsers) -> None:
    one = await everywhere.create(email="a@example.com", sub=Subject("whmcs:7A"))
    two = await everywhere.create(email="b@example.com", sub=Subject("whmcs:7a"))
    assert await everywhere.by_sub(one.sub) == one and await everywhere.by_sub(two.sub) == two
    with pytest.raises(Taken):
        await everywhere.create(email="c@example.com", sub=two.sub)


async def test_an_external_id_is_unique_within_its_source(everywhere: SqlUsers) -> None:
    for source in ("whmcs", "ldap"):
        await everywhere.create(email=f"{source}@example.com", source=source, external_id="7")
    with pytest.raises(Taken):
        await everywhere.create(email="c@example.com", source="whmcs", external_id="7")


@pytest.mark.parametrize("email", ["", "ada", "a b@example.com", "ada@example.com\x00", "a" * 320 + "@b.com"])
async def test_nobody_is_made_without_an_address(users: SqlUsers, email: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        await users.create(email=email)


@pytest.mark.parametrize("sub", ["", "x" * 256, "é"])
async def test_a_subject_is_ascii_and_short(users: SqlUsers, sub: str) -> None:
    with pytest.raises(ValueError, match="sub"):
        await users.create(email="a@example.com", sub=Subject(sub))


class _Colliding(Slots):
    """Numbers 2 and 3 fall on the tag of number 1."""

    def of_user(self, user: UserId) -> SlotTag:
        return super().of_user(UserId(1) if user in (2, 3) else user)


async def test_a_number_whose_tag_is_taken_is_skipped(sqlite: Database, told: Told, clock: Hands) -> None:
    users = users_of(sqlite, Counter(), told, clock, _Colliding(Secret(b"s" * 32)))
    made = [await users.create(email=f"u{n}@example.com") for n in range(3)]
    assert [user.id for user in made] == [1, 4, 5]
    assert len({user.tag for user in made}) == 3


async def test_a_number_is_never_used_again(sqlite: Database, users: SqlUsers) -> None:
    first = await ada(users)
    async with sqlite.begin() as tx:
        await tx.execute(table.delete())
    assert (await ada(users)).id > first.id


async def test_fifty_at_once_make_fifty_users(everywhere: SqlUsers) -> None:
    made = await asyncio.gather(*(everywhere.create(email=f"u{n}@example.com") for n in range(50)))
    assert len({user.id for user in made}) == len({user.tag for user in made}) == 50
    assert all(user.tag == SLOTS.of_user(user.id) for user in made)


async def test_of_ten_who_take_one_address_one_gets_it(everywhere: SqlUsers) -> None:
    answers = await asyncio.gather(*(ada(everywhere) for _ in range(10)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Taken"] * 9 + ["User"]


async def test_a_refusal_says_why_to_the_log_only(users: SqlUsers) -> None:
    user = await ada(users)
    bare = await users.create(email="bare@example.com")
    far = await users.create(email="far@example.com", password=PASSWORD, authority="whmcs")
    assert await refusal(users, user.email, OTHER) == Refused("wrong", user.id)
    assert await refusal(users, "nobody@example.com", PASSWORD) == Refused("unknown")
    assert await refusal(users, "bare@example.com", Secret("")) == Refused("no-password", bare.id)
    assert await refusal(users, "far@example.com", PASSWORD) == Refused("elsewhere", far.id)
    await users.disable(user.id)
    assert await refusal(users, user.email, PASSWORD) == Refused("disabled", user.id)
    assert await refusal(users, user.email, OTHER) == Refused("wrong", user.id)


async def test_a5_every_kind_of_refusal_runs_argon2_once(users: SqlUsers, counted: Counter[str]) -> None:
    user = await ada(users)
    await users.disable(user.id)
    await users.create(email="here@example.com", password=PASSWORD)
    await users.create(email="bare@example.com")
    await users.create(email="far@example.com", password=PASSWORD, authority="whmcs")
    await users.create(email="broken@example.com", password_hash="$argon2id$garbage")
    right, wrong = PASSWORD, OTHER
    for email, typed in [
        (user.email, right),
        ("here@example.com", wrong),
        ("bare@example.com", right),
        ("far@example.com", right),
        ("broken@example.com", right),
        ("nobody@example.com", right),
        ("no address", right),
        ("here@example.com", Secret("x" * 1025)),
        ("here@example.com", Secret("correct horse battery\x00")),
    ]:
        counted.clear()
        await refusal(users, email, typed)
        assert counted == {"argon2": 1}, email


async def test_a_login_upgrades_an_older_hash_and_keeps_the_rest(everywhere: SqlUsers, db: Database) -> None:
    user = await everywhere.create(email="old@example.com", password_hash=OLDER["salted md5, any symbols"])
    assert await everywhere.authenticate(user.email, Secret(OLD_PASSWORD)) == Authenticated(user)
    async with db.read() as tx:
        stored = (await tx.execute(select(table.c.password_hash))).scalar_one()
    assert stored.startswith("$argon2id$")
    assert await everywhere.by_id(user.id) == user  # stamp and credential_version too: reset links live on (§24)
    assert await everywhere.authenticate(user.email, Secret(OLD_PASSWORD)) == Authenticated(user)


async def test_an_upgrade_never_undoes_a_password_change(everywhere: SqlUsers) -> None:
    old = OLDER["php bcrypt"]
    user = await everywhere.create(email="old@example.com", password_hash=old)
    assert await everywhere.set_password(user, OTHER)
    assert not await everywhere.upgrade_hash(user.id, old, "$argon2id$of-the-old-password")
    assert isinstance(await everywhere.authenticate(user.email, OTHER), Authenticated)


async def test_an_upgrade_that_fails_is_no_failed_login(users: SqlUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await users.create(email="old@example.com", password_hash=OLDER["phpass"])

    async def fails(*arguments: object) -> bool:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(users, "upgrade_hash", fails)
    assert await users.authenticate(user.email, Secret(OLD_PASSWORD)) == Authenticated(user)


async def test_a_hash_of_another_authority_is_never_touched(users: SqlUsers, sqlite: Database) -> None:
    far = await users.create(email="far@example.com", password_hash=OLDER["phpass"], authority="whmcs")
    await refusal(users, far.email, Secret(OLD_PASSWORD))
    assert await users.set_password(far, OTHER) is None
    async with sqlite.read() as tx:
        assert (await tx.execute(select(table.c.password_hash))).scalar_one() == OLDER["phpass"]


async def test_a_password_is_set_over_the_row_that_was_read_only(everywhere: SqlUsers) -> None:
    before = await ada(everywhere)
    after = await everywhere.set_password(before, OTHER)
    assert after is not None and after.stamp.startswith("p")
    assert (after.credential_version, after.reset_gen) == (before.credential_version + 1, before.reset_gen + 1)
    assert await everywhere.set_password(before, PASSWORD) is None
    assert isinstance(await everywhere.authenticate(before.email, OTHER), Authenticated)


async def test_a_kept_session_must_still_be_of_the_row(everywhere: SqlUsers) -> None:
    user = await ada(everywhere)
    assert await everywhere.set_password(user, OTHER, keep=(await ada_again(everywhere, user)).stamp)
    current = await everywhere.by_id(user.id)
    assert current is not None
    assert await everywhere.set_password(current, PASSWORD, keep=user.stamp) is None


async def ada_again(users: SqlUsers, user: User) -> User:
    row = await users.by_id(user.id)
    assert row is not None
    return row


async def test_whatever_ends_sessions_changes_the_stamp_in_sql(everywhere: SqlUsers, clock: Hands) -> None:
    user = await ada(everywhere)
    stamps = [user.stamp]
    for change in (
        everywhere.disable(user.id),
        everywhere.enable(user.id),
    ):
        clock.move(60)
        changed = await change
        assert changed is not None and changed.updated_at == int(clock.now())
        assert changed == await everywhere.by_id(user.id)
        stamps.append(changed.stamp)
    assert [stamp[0] for stamp in stamps] == ["n", "d", "a"] and len(set(stamps)) == 3


async def test_disabling_twice_ends_nothing_anew(users: SqlUsers) -> None:
    user = await ada(users)
    assert await users.enable(user.id) is None
    disabled = await users.disable(user.id)
    assert disabled is not None and disabled.disabled
    assert await users.disable(user.id) is None
    assert await users.by_id(user.id) == disabled


async def test_changes_of_nobody_are_none(users: SqlUsers, told: Told) -> None:
    ghost = UserId(99)
    nothing: Sequence[object] = [
        await users.disable(ghost),
        await users.enable(ghost),
        await users.change_profile(ghost, first_name="x"),
    ]
    assert nothing == [None] * 3 and told.names == []


async def test_s7_a_factor_state_that_is_not_known_opens_no_door(users: SqlUsers, sqlite: Database) -> None:
    user = await users.create(email="a@example.com", password=PASSWORD, second_factor="re-enrol")
    assert user.second_factor == "re-enrol"
    async with sqlite.begin() as tx:
        await tx.execute(text("UPDATE users SET second_factor_state = 'webauthn'"))
    assert (await ada_again(users, user)).second_factor == "re-enrol"


async def test_s20_every_change_raises_the_version_of_users(everywhere: SqlUsers, db: Database, told: Told) -> None:
    user, versions = await ada(everywhere), VersionTable(db)
    before = (await versions.current()).get("users", 0)
    changed = await everywhere.change_profile(user.id, first_name="Augusta", groups=["admin"])
    assert changed is not None and (changed.first_name, changed.groups) == ("Augusta", ("admin",))
    assert changed.stamp == user.stamp
    between = (await versions.current())["users"]
    await everywhere.disable(user.id)
    assert before < between < (await versions.current())["users"] and told.names == ["users"] * 2


async def test_a_store_that_is_down_does_not_undo_a_change(users: SqlUsers, told: Told) -> None:
    async def fails(name: str) -> None:
        raise Unavailable("store")

    told.publish = fails  # type: ignore[method-assign]
    user = await ada(users)
    assert await users.disable(user.id) is not None
    assert (await ada_again(users, user)).disabled


async def test_last_logins_are_written_in_batches_the_last_one_of_each(
    everywhere: SqlUsers, db: Database, clock: Hands
) -> None:
    one, two = await ada(everywhere), await everywhere.create(email="b@example.com")
    logins = LastLogins(everywhere.write_logins, clock)
    await logins.flush()
    logins.note(two.id, None)
    logins.note(one.id, ipaddress.ip_address("192.0.2.1"))
    clock.move(5)
    logins.note(one.id, ipaddress.ip_address("2001:db8::1"))
    await logins.flush()
    async with db.read() as tx:
        rows = (await tx.execute(select(table.c.last_login_at, table.c.last_login_ip).order_by(table.c.id))).all()
    assert [tuple(row) for row in rows] == [(int(clock.now()), "2001:db8::1"), (int(clock.now()) - 5, None)]
    assert await everywhere.by_id(one.id) == msgspec.structs.replace(one, last_login_at=int(clock.now()))


async def test_a_login_that_could_not_be_written_waits_for_the_next_batch(clock: Hands) -> None:
    written: list[object] = []
    down = True

    async def write(logins: Sequence[tuple[UserId, int, str | None]]) -> None:
        if down:
            raise Unavailable("database")
        written.extend(logins)

    logins = LastLogins(write, clock)
    logins.note(UserId(1), None)
    await logins.flush()
    clock.move(7)
    logins.note(UserId(2), None)
    down = False
    await logins.flush()
    assert written == [(1, int(clock.now()) - 7, None), (2, int(clock.now()), None)]


async def test_logins_are_written_within_a_second(clock: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    assert EVERY <= 1
    monkeypatch.setattr("bridge.users.last_logins.EVERY", 0.01)
    written = asyncio.Event()

    async def write(logins: Sequence[tuple[UserId, int, str | None]]) -> None:
        written.set()

    logins = LastLogins(write, clock)
    running = asyncio.create_task(logins.run())
    logins.note(UserId(1), None)
    await until(written.is_set)
    running.cancel()


async def test_a_person_is_called_by_his_names_or_by_his_address(users: SqlUsers) -> None:
    user = await ada(users)
    assert user.name == "Ada@Example.com"
    named = await users.change_profile(user.id, first_name="Ada", last_name="Lovelace")
    assert named is not None and named.name == "Ada Lovelace"


async def test_what_was_noted_is_written_when_the_process_ends(clock: Hands) -> None:
    written: list[object] = []

    async def write(logins: Sequence[tuple[UserId, int, str | None]]) -> None:
        await asyncio.sleep(0)
        written.extend(logins)

    logins = LastLogins(write, clock)
    running = asyncio.create_task(logins.run())
    await asyncio.sleep(0.01)
    logins.note(UserId(1), None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert written == [(1, int(clock.now()), None)]


@settings(max_examples=60)
@given(email=st.text(max_size=330), typed=st.one_of(st.text(max_size=1100), st.binary(max_size=1100)))
async def test_nothing_that_is_typed_at_a_login_raises(users: SqlUsers, email: str, typed: str | bytes) -> None:
    assert isinstance(await users.authenticate(email, Secret(typed)), Refused)
    assert isinstance(await users.authenticate("a" + email + "@example.com", Secret(typed)), Refused)
