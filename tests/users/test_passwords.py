"""Passwords: schemes, equal work, hostile input, the bounded queue — engine §9, sessions-and-accounts A1–A5, §7."""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from statistics import median
from typing import Any

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from passlib.registry import get_crypt_handler

from bridge.errors import Busy, ConfigError
from bridge.secret import Secret
from bridge.users.options import UserOptions
from bridge.users.passwords import Passwords, Verdict, check_library
from tests.patience import PATIENCE, until

CHEAP = UserOptions(argon2_memory=8, argon2_passes=1)
PASSWORD = "Grüße & 5 <Körner>"
RAW = PASSWORD.encode()


def scheme(name: str) -> Any:
    return get_crypt_handler(name)


def salted_md5(salt: str, raw: bytes = RAW) -> str:
    return f"{hashlib.md5(salt.encode() + raw).hexdigest()}:{salt}"


def php_bcrypt(raw: bytes = RAW) -> str:
    return bcrypt.hashpw(raw[:72], bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$", 1)


OLDER = {
    "php bcrypt": php_bcrypt(),
    "bcrypt 2a": scheme("bcrypt").using(rounds=4, ident="2a").hash(RAW),
    "bcrypt 2b": scheme("bcrypt").using(rounds=4, ident="2b").hash(RAW),
    "salted md5": salted_md5("e93h2"),
    "salted md5, any symbols": salted_md5("!BJK!"),
    "salted md5, colons in the salt": salted_md5(":a:b"),
    "salted md5, no salt": salted_md5(""),
    "salted md5, foreign letters in the salt": salted_md5("é中\n"),
    "salted md5, upper case": salted_md5("x").upper().replace("X", "x"),
    "pbkdf2 sha256": scheme("pbkdf2_sha256").using(rounds=10).hash(RAW),
    "pbkdf2 sha512": scheme("pbkdf2_sha512").using(rounds=10).hash(RAW),
    "django": scheme("django_pbkdf2_sha256").using(rounds=10).hash(RAW),
    "sha256 crypt": scheme("sha256_crypt").using(rounds=1000).hash(RAW),
    "sha512 crypt": scheme("sha512_crypt").using(rounds=1000).hash(RAW),
    "phpass": scheme("phpass").using(rounds=7).hash(RAW),
    "ldap": scheme("ldap_salted_sha1").hash(RAW),
}
BROKEN = [
    *(
        "",
        "garbage",
        ":",
        "::",
        "$",
        "$argon2id$",
        "$argon2id$v=19$m=1",
        "$argon2id$v=19$m=8,t=1,p=1$$",
        f"$argon2id$v=19$m=8,t=1,p=1${'/' * 22}${'/' * 43}",  # ours to look at, but no base64
        "$2y$10$short",
    ),
    *("$2y$99$" + "a" * 53, "$2y$31$" + "a" * 53, "$P$", "$P$z", "{SSHA}!!!", "$pbkdf2-sha256$x", "pbkdf2_sha256$1$x"),
    "$argon2id$v=19$m=4294967295,t=2,p=1$zHkPAYAwZixFSOn9f691jg$aOUV1rs6bjkeGH3haKaxwsxHatV4nH+86Q05DYh/Sjo",
    "$argon2id$v=19$m=8,t=4000000000,p=1$zHkPAYAwZixFSOn9f691jg$aOUV1rs6bjkeGH3haKaxwsxHatV4nH+86Q05DYh/Sjo",
    "$6$rounds=999999999$saltsalt$" + "a" * 86,
    "$pbkdf2-sha512$1000000000$6p0TAuAcY0ypNWbMmVNqTQ$" + "a" * 86,
]


@pytest.fixture
def counted() -> Counter[str]:
    return Counter()


@pytest.fixture
def passwords(counted: Counter[str]) -> Passwords:
    return Passwords(CHEAP, count=lambda name: counted.update([name]))


async def test_a_new_hash_is_argon2id_with_the_owasp_parameters() -> None:
    made = await Passwords(UserOptions()).hash(Secret(PASSWORD))
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in made


async def test_a_right_password_is_right_and_its_neighbours_are_wrong(passwords: Passwords) -> None:
    made = await passwords.hash(Secret(PASSWORD))
    assert await passwords.verify(made, Secret(PASSWORD)) == Verdict(ok=True)
    for wrong in (PASSWORD.upper(), PASSWORD + " ", " " + PASSWORD, PASSWORD[:-1], "", "x" * 1024):
        assert await passwords.verify(made, Secret(wrong)) == Verdict(ok=False)


async def test_a2_a_password_is_used_as_received_without_trimming_or_cutting(passwords: Passwords) -> None:
    for text in ("  spaces  ", "a" * 1023 + "b", "e\u0301", "\xe9", "密码" * 170, "tab\tline\n", "\ud800"):
        made = await passwords.hash(Secret(text))
        assert (await passwords.verify(made, Secret(text))).ok
        assert not (await passwords.verify(made, Secret(text.strip() + "x"))).ok
    decomposed = await passwords.hash(Secret("e\u0301"))
    assert not (await passwords.verify(decomposed, Secret("\xe9"))).ok
    assert not (await passwords.verify(await passwords.hash(Secret("a" * 1024)), Secret("a" * 1023))).ok


@pytest.mark.parametrize("name", OLDER)
async def test_an_older_hash_is_verified_and_replaced_by_ours(passwords: Passwords, name: str) -> None:
    verdict = await passwords.verify(OLDER[name], Secret(PASSWORD))
    assert verdict.ok and verdict.upgrade is not None and verdict.upgrade.startswith("$argon2id$")
    assert await passwords.verify(verdict.upgrade, Secret(PASSWORD)) == Verdict(ok=True)
    assert await passwords.verify(OLDER[name], Secret(PASSWORD + "x")) == Verdict(ok=False)


@pytest.mark.parametrize("name", OLDER)
async def test_a_hash_of_another_authority_is_left_alone(passwords: Passwords, name: str) -> None:
    assert await passwords.verify(OLDER[name], Secret(PASSWORD), upgrade=False) == Verdict(ok=True)


async def test_an_argon2_hash_of_weaker_parameters_is_replaced(passwords: Passwords) -> None:
    weak = scheme("argon2").using(type="ID", memory_cost=8, time_cost=1, parallelism=1).hash(RAW)
    stronger = Passwords(UserOptions(argon2_memory=16, argon2_passes=2))
    verdict = await stronger.verify(weak, Secret(PASSWORD))
    assert verdict.ok and verdict.upgrade is not None and "m=16,t=2" in verdict.upgrade
    assert await stronger.verify(weak, Secret("no")) == Verdict(ok=False)


async def test_bcrypt_of_php_sees_the_first_72_bytes_and_the_upgrade_all_of_them(passwords: Passwords) -> None:
    long = "ü" * 36 + "tail that PHP never saw"
    stored = php_bcrypt(long.encode())
    verdict = await passwords.verify(stored, Secret(long))
    assert verdict.ok and verdict.upgrade is not None
    assert (await passwords.verify(stored, Secret("ü" * 36 + "another"))).ok
    assert not (await passwords.verify(verdict.upgrade, Secret("ü" * 36 + "another"))).ok
    assert not (await passwords.verify(stored, Secret("ü" * 35))).ok


async def test_what_php_wrote_is_read(passwords: Passwords) -> None:
    """Made by PHP 8.2: `password_hash($password, PASSWORD_BCRYPT)`, and `md5("!BJK!" . $password)`."""
    stored = "$2y$05$8DB.mpyargSEOGhzNVboNeln96KvFaKP5FnH.tZ.w/o/LGzOgmACG"
    assert (await passwords.verify(stored, Secret("rasmuslerdorf"))).ok
    assert (await passwords.verify("19aca07a12ed1aebef6645f406b63f13:!BJK!", Secret("rasmuslerdorf"))).ok
    cut = "$2y$04$lYmcwgoPuLTNhQQXMf4L4unRZNbgZBG6grhmPBiLEK6t9D1eNZzn6"
    assert (await passwords.verify(cut, Secret("é" * 40 + "tail"))).ok
    assert (await passwords.verify(cut, Secret("é" * 36))).ok
    assert not (await passwords.verify(cut, Secret("é" * 35))).ok


@pytest.mark.parametrize("stored", [None, *BROKEN])
async def test_a_broken_hash_is_a_wrong_password(passwords: Passwords, stored: str | None) -> None:
    assert await passwords.verify(stored, Secret(PASSWORD)) == Verdict(ok=False)
    assert await passwords.verify(stored, Secret("")) == Verdict(ok=False)


@pytest.mark.parametrize("hostile", ["x" * 1025, "é" * 513, "right\x00", "\x00", PASSWORD + "\x00", "\x00" * 5000])
async def test_too_long_or_with_a_nul_is_wrong_under_every_scheme(passwords: Passwords, hostile: str) -> None:
    kept = [await passwords.hash(Secret(PASSWORD)), *OLDER.values(), php_bcrypt(b"x" * 1025)]
    assert [await passwords.verify(stored, Secret(hostile)) for stored in kept] == [Verdict(ok=False)] * len(kept)
    with pytest.raises(ValueError, match="at most 1,024"):
        await passwords.hash(Secret(hostile))


async def test_a5_every_kind_of_failure_runs_argon2_once(passwords: Passwords, counted: Counter[str]) -> None:
    ours = await passwords.hash(Secret(PASSWORD))
    cases = [
        *((stored, "wrong") for stored in (ours, *OLDER.values())),
        *((stored, hostile) for stored in (ours, php_bcrypt()) for hostile in ("x" * 1025, "a\x00b", "")),
        *((stored, PASSWORD) for stored in (None, *BROKEN)),
    ]
    for stored, typed in cases:
        counted.clear()
        assert not (await passwords.verify(stored, Secret(typed))).ok
        assert counted["argon2"] == 1, (stored, typed)
        assert counted.total() <= 2


async def test_a5_a_hash_that_only_looks_like_ours_costs_as_much_as_another(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ran = passwords._argon2.verify, list[str]()

    def verify(raw: bytes, stored: str) -> bool:
        right: bool = real(raw, stored)
        ran.append(stored)  # it would have raised otherwise
        return right

    monkeypatch.setattr(passwords._argon2, "verify", verify)
    kept = await passwords.hash(Secret(PASSWORD))
    for stored in (kept, *(each for each in BROKEN if passwords._newest.fullmatch(each))):
        await passwords.verify(stored, Secret("wrong"))
    assert ran == [kept, passwords._dummy]


async def test_a_start_hashes_nothing_and_draws_a_dummy_as_dear_as_any_hash(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("argon2.low_level.hash_secret", None)
    another = Passwords(CHEAP)
    monkeypatch.undo()
    for one in (passwords, another):
        assert one._newest.fullmatch(await one.hash(Secret(PASSWORD)))
        assert one._argon2.verify(RAW, one._dummy) is False
    assert passwords._dummy.split("$")[:4] == another._dummy.split("$")[:4]
    assert not {*passwords._dummy.split("$")[4:]} & {*another._dummy.split("$")[4:]}


@pytest.mark.parametrize("name", OLDER)
async def test_a5_the_upgrade_costs_nothing_on_top(passwords: Passwords, counted: Counter[str], name: str) -> None:
    await passwords.verify(OLDER[name], Secret(PASSWORD))
    right = counted.copy()
    counted.clear()
    await passwords.verify(OLDER[name], Secret("wrong"))
    assert right == counted and right["argon2"] == 1 and right.total() == 2


@settings(max_examples=150)
@given(
    st.one_of(st.none(), st.text(max_size=80), st.sampled_from([*BROKEN, *OLDER.values()])),
    st.one_of(st.text(max_size=1200), st.binary(max_size=1200)),
)
async def test_nothing_that_is_stored_or_typed_raises(stored: str | None, typed: str | bytes) -> None:
    verdict = await _SHARED.verify(stored, Secret(typed))
    assert not verdict.ok or stored is not None


_SHARED = Passwords(CHEAP)


@settings(max_examples=60)
@given(st.sampled_from(sorted(OLDER)), st.data())
async def test_no_damaged_hash_raises(name: str, data: st.DataObject) -> None:
    stored = OLDER[name]
    at = data.draw(st.integers(0, len(stored)))
    damaged = stored[:at] + data.draw(st.text(max_size=4)) + stored[at + data.draw(st.integers(0, 3)) :]
    if "rounds" not in damaged and not damaged.startswith(("$2", "$P", "$pbkdf2", "pbkdf2")):  # may become dear
        await _SHARED.verify(damaged, Secret(PASSWORD))


async def test_an_administrators_md5_is_kept_wrapped(passwords: Passwords) -> None:
    digest = hashlib.md5(RAW).hexdigest()
    kept = await passwords.wrap_md5(Secret(digest.upper()))
    assert kept.startswith("$argon2id$") and digest not in kept
    assert (await passwords.verify(kept, Secret(digest))).ok
    assert not (await passwords.verify(kept, Secret(PASSWORD))).ok
    for wrong in ("", "g" * 32, digest + "0", PASSWORD):
        with pytest.raises(ValueError, match="32 hex"):
            await passwords.wrap_md5(Secret(wrong))


async def test_a_flood_is_answered_busy_and_the_loop_stays_awake() -> None:
    passwords = Passwords(UserOptions(threads=2, queue=6))
    lags: list[float] = []
    flood = asyncio.gather(*(passwords.verify(None, Secret("x")) for _ in range(200)), return_exceptions=True)
    while not flood.done():
        before, computed = time.perf_counter(), time.process_time()
        await asyncio.sleep(0.005)
        lag = time.perf_counter() - before - 0.005
        lags.append(min(lag, time.process_time() - computed))  # not what others' work held up
    answers = await flood
    assert Counter(type(answer) for answer in answers) == {Verdict: 8, Busy: 192}
    assert median(lags) < 0.05
    assert (await passwords.verify(None, Secret("x"))) == Verdict(ok=False)  # and there is room again


async def test_a_check_given_up_while_it_waits_frees_its_place() -> None:
    begun, go = threading.Event(), threading.Event()

    def check(_scheme: str) -> None:
        begun.set()
        go.wait(PATIENCE)

    passwords = Passwords(UserOptions(threads=1, queue=1), count=check)
    for _ in range(3):
        first = asyncio.ensure_future(passwords.verify(None, Secret("x")))
        waiting = asyncio.ensure_future(passwords.verify(None, Secret("x")))
        await until(begun.is_set)
        waiting.cancel()
        go.set()
        assert await first == Verdict(ok=False)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        begun.clear()
        go.clear()


def test_the_original_passlib_stops_the_start() -> None:
    for old in ("1.7.4", "1.8", "0.9", ""):
        with pytest.raises(ConfigError, match="libpass"):
            check_library(old)
    check_library("1.9.4")
    check_library("2.0")


def test_both_libraries_side_by_side_are_worth_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.users.passwords._distributions", lambda: iter(["libpass", "passlib"]))
    with pytest.warns(UserWarning, match="libpass and passlib"):
        check_library("1.9.4")


@pytest.mark.parametrize(
    "wrong", [{"argon2_memory": 7}, {"argon2_passes": 0}, {"argon2_lanes": 0}, {"threads": 0}, {"queue": -1}]
)
def test_parameters_that_cannot_be_used_are_named(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"users\."):
        UserOptions(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
async def test_a5_medians_of_failures_are_alike() -> None:
    """In the time that we compute: a hash waits for nothing, and how busy the machine is is nobody's secret."""
    passwords = Passwords(UserOptions(threads=1))
    ours = await passwords.hash(Secret(PASSWORD))
    kinds = {
        "unknown": (None, PASSWORD),
        "wrong": (ours, "wrong"),
        "broken": ("garbage", PASSWORD),
        "too long": (ours, "x" * 5000),
        "nul": (ours, "\x00"),
        "md5": (OLDER["salted md5"], "wrong"),
    }
    spreads = [await _spread(passwords, kinds) for _ in range(3)]
    assert min(spreads) < 1.1, spreads  # a difference that is ours shows in all three


async def _spread(passwords: Passwords, kinds: dict[str, tuple[str | None, str]]) -> float:
    """The longest median over the shortest."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(40):
        for kind, (stored, typed) in kinds.items():
            before = time.process_time()
            await passwords.verify(stored, Secret(typed))
            times[kind].append(time.process_time() - before)
    medians = [median(taken) for taken in times.values()]
    return max(medians) / min(medians)
