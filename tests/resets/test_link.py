"""The signed link: what it is tied to, and what it is not — sessions-and-accounts §6.1, R2; security §24."""

import base64
import hashlib
import string

import pytest
from itsdangerous import URLSafeTimedSerializer

from bridge.clock import Clock, SystemClock
from bridge.resets.link import AccountState, Bad, Expired, Genuine, Links
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.types import UserId

OLD, NEW = MasterKey("k1", Secret(b"m" * 32)), MasterKey("k2", Secret(b"n" * 32))
ADA = UserId(7)
STATE = AccountState("ada@example.com", 3, 2)
HOUR = 3_600
VECTOR = "WzcsImQxYzFjM2RhOTQ3YWYyM2E2ZmE0ZDMiXQ.a0nSAA.vdSzREZozz6c8MI-lcxztzdrtNpWbvcofXbWXTxHprQ"
ALPHABET = string.ascii_letters + string.digits + "-_"


def links(*keys: MasterKey, clock: Clock | None = None) -> Links:
    return Links(ring=Ring(keys or [OLD]), clock=clock or Hands(), lifetime=HOUR)


def token(*keys: MasterKey, user: UserId = ADA, state: AccountState = STATE) -> str:
    return links(*keys).make(user, state).reveal()


def test_the_same_account_at_the_same_moment_has_always_had_this_link() -> None:
    """A change here makes void every link that is under way."""
    assert token() == VECTOR
    assert links().read(VECTOR) == Genuine(ADA, "d1c1c3da947af23a6fa4d3")


def test_r2_a_link_is_good_for_its_lifetime_and_not_a_second_longer() -> None:
    clock = Hands()
    made = links(clock=clock)
    text = made.make(ADA, STATE).reveal()
    clock.move(HOUR)
    assert isinstance(made.read(text), Genuine)
    clock.move(1)
    assert made.read(text) == Expired()


def test_a_link_from_the_future_is_not_good() -> None:
    clock = Hands()
    made = links(clock=clock)
    clock.move(60)
    text = made.make(ADA, STATE).reveal()
    clock.move(-60)
    assert made.read(text) == Expired()


@pytest.mark.parametrize(
    "now",
    [
        AccountState("eve@example.com", 3, 2),
        AccountState("ada@example.com", 4, 2),
        AccountState("ada@example.com", 3, 3),
        AccountState("ada@example.com3", 2, 2),
        AccountState("ada@example.com", 32, 2),
    ],
    ids=["another address", "another password", "all links cancelled", "digits moved left", "digits moved together"],
)
def test_r2_a_link_is_tied_to_address_password_and_generation(now: AccountState) -> None:
    link = links().read(token())
    assert isinstance(link, Genuine)
    assert links().fits(link, STATE)
    assert not links().fits(link, now)


def test_a_link_is_tied_to_its_user() -> None:
    """`1` and `23…` are not `12` and `3…`."""
    first, second = (links().read(token(user=UserId(user))) for user in (1, 12))
    assert isinstance(first, Genuine) and isinstance(second, Genuine)
    assert first.fingerprint != second.fingerprint
    assert not links().fits(Genuine(UserId(12), first.fingerprint), STATE)


def test_no_changed_letter_leads_to_anything_else() -> None:
    """Base64 leaves bits unused, so some other spellings say the very same; none says anything else."""
    text, good = token(), links().read(token())
    spellings = 0
    for place, letter in enumerate(text):
        for other in ALPHABET + ".=+/ \n\u00e9":
            if other != letter:
                read = links().read(text[:place] + other + text[place + 1 :])
                assert read in (Bad(), good), (place, other)
                spellings += read == good
    assert spellings < 16


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "a" * 513, VECTOR + VECTOR, VECTOR[:-1], VECTOR[1:], "\x00"])
def test_what_is_no_link_is_bad(text: str) -> None:
    assert links().read(text) == Bad()


def test_a_link_of_another_purpose_or_the_librarys_defaults_is_bad() -> None:
    strict = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    for key, salt, options in (
        (OLD.derive("reset-sign"), "lb.verify.v1", strict),
        (OLD.derive("csrf"), "lb.reset.v1", strict),
        (OLD.derive("reset-sign"), "lb.reset.v1", {}),  # SHA-1, and the library's own derivation
    ):
        made = URLSafeTimedSerializer(key, salt=salt, signer_kwargs=options).dumps([ADA, "f" * 22])
        assert links(clock=SystemClock()).read(made) == Bad()


def test_the_strict_serializer_of_the_test_above_makes_links() -> None:
    """Else it would show nothing."""
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    made = URLSafeTimedSerializer(OLD.derive("reset-sign"), salt="lb.reset.v1", signer_kwargs=options).dumps([ADA, "f"])
    assert links(clock=SystemClock()).read(made) == Genuine(ADA, "f")


def test_a_link_that_is_longer_than_any_is_not_even_parsed() -> None:
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    maker = URLSafeTimedSerializer(OLD.derive("reset-sign"), salt="lb.reset.v1", signer_kwargs=options)
    made = maker.dumps([ADA, "".join(f"{number:x}" for number in range(400))])
    assert isinstance(made, str)
    assert len(made) > 512
    assert links(clock=SystemClock()).read(made) == Bad()


def test_a_new_key_makes_links_and_the_old_one_still_reads_them() -> None:
    before = token(OLD)
    assert token(NEW, OLD) not in (before, token(OLD))
    read = links(NEW, OLD).read(before)
    assert isinstance(read, Genuine) and links(NEW, OLD).fits(read, STATE)


def test_a_key_that_is_gone_reads_nothing_and_fits_nothing() -> None:
    assert links(NEW).read(token(OLD)) == Bad()
    read = links(OLD).read(token(OLD))
    assert isinstance(read, Genuine) and not links(NEW).fits(read, STATE)


def test_a_link_tells_no_address_and_no_version() -> None:
    payload = VECTOR.partition(".")[0]
    assert base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)) == b'[7,"d1c1c3da947af23a6fa4d3"]'
