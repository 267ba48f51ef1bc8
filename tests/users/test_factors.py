"""Second factors in SQL — A7, A8, S9, security §5, §7; store §2, rule 4."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from bridge.clock import chance
from bridge.database.database import Database
from bridge.database.tables import audit, recovery_codes, second_factors, users
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.types import Stamp, UserId
from bridge.users.factors import MOST_PASSKEYS, Enrolled, KnownCode
from bridge.users.passkey import NewPasskey, Passkey
from bridge.users.recovery import AT_ONCE, draw_codes, hashes_of
from bridge.users.sql import SqlUsers
from bridge.users.user import User
from tests.users.conftest import RING, Factors, Told

SECRET, OTHER = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"
ADA = UserId(7)


async def ada(everywhere: SqlUsers, **more: str) -> User:
    return await everywhere.create(email="a@example.com", **more)  # type: ignore[arg-type]


async def with_codes(everywhere: SqlUsers, factors: Factors) -> tuple[User, Sequence[Secret]]:
    user = await ada(everywhere)
    changed = await factors.set_totp(user.id, SECRET)
    assert changed is not None
    return changed.user, changed.codes


# --- the codes themselves


def test_a8_a_set_of_codes_is_ten_of_eighty_random_bits() -> None:
    drawn: list[int] = []

    def draw(size: int) -> bytes:
        drawn.append(size)
        return chance(size)

    codes = [code.reveal() for code in draw_codes(draw)]
    assert len(set(codes)) == AT_ONCE == 10 and drawn == [10] * 10
    assert all(len(code.replace("-", "")) * 5 == 80 for code in codes)


def test_every_bit_that_was_drawn_is_in_the_code() -> None:
    seen = {draw_codes(lambda _, bit=bit: (1 << bit).to_bytes(10, "big"))[0].reveal() for bit in range(80)}  # type: ignore[misc]
    assert len(seen) == 80


@pytest.mark.parametrize("typed", ["{}", " {} ", "{upper}", "{bare}", "{spaced}", "{wide}", "{misread}"])
def test_a_code_may_be_typed_as_people_type(typed: str) -> None:
    code = "01ab-cdef-ghjk-mn10"
    bare = code.replace("-", "")
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in bare)
    misread = code.replace("0", "O").replace("1", "l")
    text = typed.format(code, upper=code.upper(), bare=bare, spaced=code.replace("-", " "), wide=wide, misread=misread)
    assert hashes_of(RING, ADA, Secret(text)) == hashes_of(RING, ADA, Secret(code)) != ()


@pytest.mark.parametrize("typed", ["", "01ab-cdef-ghjk-mn1", "01ab-cdef-ghjk-mn100", "-" * 16, "u" * 16, "０" * 400])
def test_what_has_another_length_is_no_code(typed: str) -> None:
    assert hashes_of(RING, ADA, Secret(typed)) == ()


@given(st.text(max_size=80))
def test_no_code_that_is_typed_raises(typed: str) -> None:
    assert len(hashes_of(RING, ADA, Secret(typed))) <= 1


def test_s5_a_hash_is_an_owners_and_a_keys() -> None:
    code = draw_codes(chance)[0]
    other = Ring([MasterKey("k2", Secret(b"x" * 32))])
    hashes = {*hashes_of(RING, ADA, code), *hashes_of(RING, UserId(8), code), *hashes_of(other, ADA, code)}
    assert len(hashes) == 3 and all(len(each) == 64 for each in hashes)


# --- the authenticator


async def test_s5_a_totp_secret_is_sealed_and_opens_for_its_user_only(
    everywhere: SqlUsers, factors: Factors, db: Database
) -> None:
    user = await everywhere.create(email="a@example.com", totp=Secret(SECRET))
    other = await everywhere.create(email="b@example.com")
    assert user.second_factor == "totp" and other.second_factor == "none"
    found = await factors.sql.totp_secret(user.id)
    assert found is not None and found.reveal() == SECRET
    async with db.begin() as tx:
        (sealed,) = (await tx.execute(select(second_factors.c.secret_enc))).scalars()
        assert SECRET.encode() not in sealed
        await tx.execute(second_factors.update().values(user_id=other.id))
    assert await factors.sql.totp_secret(user.id) is None
    assert await factors.sql.totp_secret(other.id) is None  # moved, it does not open


async def test_a_new_authenticator_replaces_the_old(everywhere: SqlUsers, factors: Factors, db: Database) -> None:
    user = await ada(everywhere)
    for secret in (SECRET, OTHER):
        changed = await factors.set_totp(user.id, secret)
        assert changed is not None and changed.user.second_factor == "totp"
        found = await factors.sql.totp_secret(user.id)
        assert found is not None and found.matches(secret)
    changed = await factors.remove_totp(user.id)
    assert changed is not None and changed.user.second_factor == "none"
    async with db.read() as tx:
        assert (await tx.execute(select(second_factors))).all() == []


async def test_s9_every_change_draws_a_new_stamp(everywhere: SqlUsers, factors: Factors, clock: Hands) -> None:
    user = await ada(everywhere)
    stamps = [user.stamp]
    for change in (
        factors.set_totp(user.id, SECRET),
        factors.renew_codes(user.id),
        factors.remove_totp(user.id),
        factors.set_totp(user.id, SECRET),
        factors.remove_all(user.id),
    ):
        clock.move(60)
        changed = await change
        assert changed is not None and changed.user == await everywhere.by_id(user.id)
        assert changed.user.updated_at == int(clock.now())
        stamps.append(changed.user.stamp)
    assert [stamp[0] for stamp in stamps] == ["n", *"sssss"] and len(set(stamps)) == 6


async def test_security_30_each_change_has_its_audit_row_and_its_event(
    everywhere: SqlUsers, factors: Factors, db: Database, told: Told
) -> None:
    user = await ada(everywhere)
    await factors.set_totp(user.id, SECRET)
    await factors.renew_codes(user.id)
    await factors.remove_totp(user.id)
    reasons = ["totp-added", "codes-renewed", "totp-removed"]
    assert [(event.kind, event.user, event.reason) for event in factors.heard] == [
        ("second-factor.changed", user.id, reason) for reason in reasons
    ]
    assert all(event.kept for event in factors.heard) and told.names == ["users"] * 3
    async with db.read() as tx:
        assert list((await tx.execute(select(audit.c.reason).order_by(audit.c.id))).scalars()) == reasons


async def test_rule_4_whoever_names_an_old_stamp_changes_nothing(everywhere: SqlUsers, factors: Factors) -> None:
    user, _ = await with_codes(everywhere, factors)
    old = Stamp("n" + "x" * 22)
    for change in (
        factors.set_totp(user.id, OTHER, keep=old),
        factors.renew_codes(user.id, keep=old),
        factors.remove_totp(user.id, keep=old),
    ):
        assert await change is None
    assert await everywhere.by_id(user.id) == user and len(factors.heard) == 1
    kept = await factors.renew_codes(user.id, keep=user.stamp)
    assert kept is not None and kept.user.stamp != user.stamp


@pytest.mark.parametrize("column", ["authority", "disabled_at"])
async def test_nobody_elses_and_no_disabled_users_factors_are_changed(
    everywhere: SqlUsers, factors: Factors, db: Database, column: str
) -> None:
    user, _ = await with_codes(everywhere, factors)
    async with db.begin() as tx:
        await tx.execute(update(users).values({column: 1 if column == "disabled_at" else "whmcs"}))
    for change in (
        factors.set_totp(user.id, OTHER),
        factors.renew_codes(user.id),
        factors.remove_totp(user.id),
        factors.remove_all(user.id),
    ):
        assert await change is None
    found = await factors.sql.totp_secret(user.id)
    assert found is not None and found.matches(SECRET)


async def test_nothing_is_removed_from_who_has_nothing(everywhere: SqlUsers, factors: Factors) -> None:
    user = await ada(everywhere)
    for change in (factors.remove_totp(user.id), factors.renew_codes(user.id), factors.remove_all(user.id)):
        assert await change is None
    assert await factors.set_totp(UserId(99), SECRET) is None and await factors.sql.totp_secret(UserId(99)) is None
    assert await everywhere.by_id(user.id) == user and factors.heard == []


async def test_s7_an_administrator_frees_who_had_to_enrol_again(everywhere: SqlUsers, factors: Factors) -> None:
    user = await ada(everywhere, second_factor="re-enrol")
    changed = await factors.remove_all(user.id)
    assert changed is not None and changed.user.second_factor == "none"


async def test_of_ten_who_change_under_one_stamp_one_does(everywhere: SqlUsers, factors: Factors) -> None:
    user, _ = await with_codes(everywhere, factors)
    done = await asyncio.gather(*(factors.renew_codes(user.id, keep=user.stamp) for _ in range(10)))
    assert sum(each is not None for each in done) == 1


# --- recovery codes


async def test_a8_codes_come_with_the_first_factor_and_go_with_the_last(everywhere: SqlUsers, factors: Factors) -> None:
    user, codes = await with_codes(everywhere, factors)
    assert len(codes) == 10 and await factors.sql.enrolled(user.id) == Enrolled(
        totp_since=user.updated_at, codes_left=10
    )
    again = await factors.set_totp(user.id, OTHER)
    assert again is not None and again.codes == ()
    assert await factors.sql.recovery_code(user.id, codes[0]) is not None
    await factors.remove_totp(user.id)
    assert await factors.sql.enrolled(user.id) == Enrolled()
    assert await factors.sql.recovery_code(user.id, codes[0]) is None


async def test_a8_a_code_is_used_up_once_and_only_by_its_owner(everywhere: SqlUsers, factors: Factors) -> None:
    user, codes = await with_codes(everywhere, factors)
    other = await everywhere.create(email="b@example.com", totp=Secret(OTHER))
    known = await factors.sql.recovery_code(user.id, codes[3])
    assert known is not None and not known.used
    assert await factors.sql.recovery_code(other.id, codes[3]) is None
    assert await factors.spend(other.id, known.id) is None
    assert await factors.spend(user.id, known.id) == 9
    assert await factors.spend(user.id, known.id) is None
    assert await factors.sql.recovery_code(user.id, codes[3]) == KnownCode(known.id, used=True)
    assert [(e.kind, e.details) for e in factors.heard[1:]] == [("recovery-code.used", {"left": "9"})]


async def test_a8_of_ten_who_use_one_code_one_does(everywhere: SqlUsers, factors: Factors) -> None:
    user, codes = await with_codes(everywhere, factors)
    known = await factors.sql.recovery_code(user.id, codes[0])
    assert known is not None
    left = await asyncio.gather(*(factors.spend(user.id, known.id) for _ in range(10)))
    assert sorted(left, key=str) == [9, *[None] * 9]


async def test_new_codes_make_the_old_ones_worthless(everywhere: SqlUsers, factors: Factors) -> None:
    user, codes = await with_codes(everywhere, factors)
    renewed = await factors.renew_codes(user.id)
    assert renewed is not None and len(renewed.codes) == 10
    assert [await factors.sql.recovery_code(user.id, code) for code in codes] == [None] * 10
    assert None not in [await factors.sql.recovery_code(user.id, code) for code in renewed.codes]


async def test_s5_sql_knows_no_code(everywhere: SqlUsers, factors: Factors, db: Database) -> None:
    _, codes = await with_codes(everywhere, factors)
    async with db.read() as tx:
        dump = repr((await tx.execute(select(recovery_codes))).all()) + repr((await tx.execute(select(audit))).all())
    for code in codes:
        assert code.reveal() not in dump and code.reveal().replace("-", "") not in dump


async def test_a_code_made_under_an_older_key_of_the_ring_is_good(everywhere: SqlUsers, factors: Factors) -> None:
    user, codes = await with_codes(everywhere, factors)
    old = next(iter(RING))
    factors.sql._ring = Ring([MasterKey("k2", Secret(b"n" * 32)), old])
    assert await factors.sql.recovery_code(user.id, codes[0]) is not None
    factors.sql._ring = Ring([MasterKey("k2", Secret(b"n" * 32))])
    assert await factors.sql.recovery_code(user.id, codes[0]) is None


async def test_a_code_that_somebody_moved_to_another_user_is_none(
    everywhere: SqlUsers, factors: Factors, db: Database
) -> None:
    _, codes = await with_codes(everywhere, factors)
    other = await everywhere.create(email="b@example.com", totp=Secret(OTHER))
    async with db.begin() as tx:
        await tx.execute(text("UPDATE recovery_codes SET user_id = :other"), {"other": other.id})
    assert await factors.sql.recovery_code(other.id, codes[0]) is None


# --- passkeys


def a_key(name: bytes = b"one", *, count: int = 0) -> NewPasskey:
    return NewPasskey(credential_id=name, public_key=b"\x00\xff key", sign_count=count, transports=("usb",))


async def with_passkey(everywhere: SqlUsers, factors: Factors, *, count: int = 0) -> tuple[User, Passkey]:
    user = await ada(everywhere)
    changed = await factors.add_passkey(user.id, a_key(count=count))
    assert changed is not None
    (passkey,) = (await factors.sql.enrolled(user.id)).passkeys
    return changed.user, passkey


async def test_a_passkey_is_kept_as_it_was_made(everywhere: SqlUsers, factors: Factors, clock: Hands) -> None:
    user, passkey = await with_passkey(everywhere, factors)
    assert user.second_factor == "passkey"
    assert passkey == await factors.sql.passkey(b"one")
    assert (passkey.user, passkey.credential_id, passkey.public_key) == (user.id, b"one", b"\x00\xff key")
    assert (passkey.label, passkey.transports) == ("laptop", ("usb",))
    assert (passkey.created_at, passkey.last_used_at) == (int(clock.now()), None)
    assert await factors.sql.passkey(b"two") is None


async def test_a_name_may_have_a_thousand_bytes(everywhere: SqlUsers, factors: Factors) -> None:
    user = await ada(everywhere)
    names = [bytes([number]) * 1_023 for number in range(3)]
    for name in names:
        assert await factors.add_passkey(user.id, a_key(name)) is not None
    assert [each.credential_id for each in (await factors.sql.enrolled(user.id)).passkeys] == names


async def test_what_has_two_factors_is_kept_by_one_of_them(everywhere: SqlUsers, factors: Factors) -> None:
    user, passkey = await with_passkey(everywhere, factors)
    states = []
    for change in (
        factors.set_totp(user.id, SECRET),
        factors.remove_totp(user.id),
        factors.set_totp(user.id, SECRET),
        factors.remove_passkey(user.id, passkey.id),
        factors.remove_totp(user.id),
    ):
        changed = await change
        assert changed is not None
        states.append(
            (changed.user.second_factor, len(changed.codes), (await factors.sql.enrolled(user.id)).codes_left)
        )
    assert states == [("totp", 0, 10), ("passkey", 0, 10), ("totp", 0, 10), ("totp", 0, 10), ("none", 0, 0)]


async def test_nobody_has_a_passkey_that_is_somebodys(everywhere: SqlUsers, factors: Factors, db: Database) -> None:
    user, _ = await with_passkey(everywhere, factors)
    other = await everywhere.create(email="b@example.com")
    assert await factors.add_passkey(other.id, a_key()) is None
    assert await factors.add_passkey(user.id, a_key()) is None
    assert await everywhere.by_id(other.id) == other
    async with db.read() as tx:
        assert len((await tx.execute(select(audit))).all()) == 1


async def test_of_ten_who_add_one_passkey_one_does(everywhere: SqlUsers, factors: Factors) -> None:
    people = [await everywhere.create(email=f"{number}@example.com") for number in range(10)]
    done = await asyncio.gather(*(factors.add_passkey(each.id, a_key()) for each in people))
    assert sum(each is not None for each in done) == 1


async def test_nobody_has_more_than_twenty(everywhere: SqlUsers, factors: Factors) -> None:
    user = await ada(everywhere)
    done = [await factors.add_passkey(user.id, a_key(bytes([number]))) for number in range(MOST_PASSKEYS + 1)]
    assert [each is None for each in done] == [False] * 20 + [True]


async def test_nobody_removes_another_persons(everywhere: SqlUsers, factors: Factors) -> None:
    user, passkey = await with_passkey(everywhere, factors)
    other = await everywhere.create(email="b@example.com")
    assert await factors.remove_passkey(other.id, passkey.id) is None
    assert await factors.remove_passkey(user.id, passkey.id + 1) is None
    assert await factors.sql.passkey(b"one") == passkey


async def test_rule_4_holds_for_passkeys_too(everywhere: SqlUsers, factors: Factors) -> None:
    user, passkey = await with_passkey(everywhere, factors)
    old = Stamp("n" + "x" * 22)
    assert await factors.add_passkey(user.id, a_key(b"two"), keep=old) is None
    assert await factors.remove_passkey(user.id, passkey.id, keep=old) is None
    assert await everywhere.by_id(user.id) == user


@pytest.mark.parametrize(
    ("known", "said", "good"),
    [(0, 0, True), (0, 1, True), (5, 6, True), (5, 2**32 - 1, True), (5, 5, False), (5, 4, False), (5, 0, False)],
)
async def test_the_count_of_signatures_grows_or_is_never_kept(
    everywhere: SqlUsers, factors: Factors, clock: Hands, *, known: int, said: int, good: bool
) -> None:
    _, passkey = await with_passkey(everywhere, factors, count=known)
    clock.move(60)
    assert await factors.sql.use_passkey(passkey, said) is good
    found = await factors.sql.passkey(b"one")
    assert found is not None and (found.last_used_at == int(clock.now())) is good
    assert await factors.sql.use_passkey(passkey, said) is (good and said == 0)


async def test_of_ten_who_count_alike_one_is_believed(everywhere: SqlUsers, factors: Factors) -> None:
    _, passkey = await with_passkey(everywhere, factors, count=5)
    done = await asyncio.gather(*(factors.sql.use_passkey(passkey, 6) for _ in range(10)))
    assert sorted(done) == [False] * 9 + [True]


async def test_a_passkey_that_is_gone_or_anothers_is_not_used(everywhere: SqlUsers, factors: Factors) -> None:
    user, passkey = await with_passkey(everywhere, factors)
    assert not await factors.sql.use_passkey(replace(passkey, user=UserId(user.id + 1)), 0)
    await factors.remove_passkey(user.id, passkey.id)
    assert not await factors.sql.use_passkey(passkey, 0)


async def test_an_administrator_removes_everything(everywhere: SqlUsers, factors: Factors) -> None:
    user, _ = await with_passkey(everywhere, factors)
    await factors.set_totp(user.id, SECRET)
    changed = await factors.remove_all(user.id)
    assert changed is not None and changed.user.second_factor == "none"
    assert await factors.sql.enrolled(user.id) == Enrolled()
