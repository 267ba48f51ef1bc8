"""What a shown secret of a device means: tables of plain values — sessions-and-accounts §4.4, security §14."""

import msgspec
import pytest

from bridge.clock import chance
from bridge.login.series import GRACE, Device, DeviceSecret, Series, Verdict, judge
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken, Names, Slots
from bridge.types import Stamp, UserId

STAMP = Stamp("pSTAMP")
NOW = 1_000_000
RING = Ring([MasterKey("k1", Secret(b"m" * 32))])
SLOTS = Slots(Secret(b"s" * 32))
TAG = SLOTS.of_user(UserId(1))


def series(ring: Ring = RING) -> Series:
    return Series(names=Names("https://a.example"), ring=ring, clock=Hands(NOW), chance=chance, seconds=3_600)


SERIES = series()
FIRST = SERIES.draw(TAG)
SECOND = SERIES.after(FIRST)
THIRD = SERIES.after(SECOND)
OTHER_SECOND = SERIES.after(FIRST)
DEVICE = Device(
    uid=UserId(1),
    stamp=STAMP,
    session="s",
    auth_time=NOW - 500,
    until=NOW + 500,
    turn=1,
    secret=SECOND.digest,
    turned=NOW - GRACE,
)


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [(SECOND, "good"), (FIRST, "again"), (OTHER_SECOND, "copied"), (THIRD, "ahead")],
)
def test_one_secret_is_good_and_what_was_before_it_for_a_moment(shown: DeviceSecret, verdict: Verdict) -> None:
    assert judge(DEVICE, shown, STAMP, NOW) == verdict


def test_what_was_replaced_longer_ago_than_the_grace_shows_that_two_hold_it() -> None:
    assert judge(DEVICE, FIRST, STAMP, NOW + 1) == "copied"
    assert judge(msgspec.structs.replace(DEVICE, turn=2, secret=THIRD.digest), FIRST, STAMP, NOW) == "copied"


def test_another_stamp_no_user_and_no_time_left_end_it_without_alarm() -> None:
    for shown in (FIRST, SECOND, THIRD):
        assert judge(DEVICE, shown, Stamp("another"), NOW + 1) == "over"
        assert judge(DEVICE, shown, None, NOW + 1) == "over"
        assert judge(DEVICE, shown, STAMP, DEVICE.until) == "over"
        assert judge(None, shown, STAMP, NOW) == "over"
    assert judge(DEVICE, SECOND, STAMP, DEVICE.until - 1) == "good"


def test_a_secret_is_read_in_one_spelling_and_only_if_we_made_it() -> None:
    text = SECOND.text.reveal()
    read = SERIES.parse(text)
    assert read is not None and (read.tag, read.series, read.turn, read.digest) == (TAG, FIRST.series, 1, SECOND.digest)
    for at in range(len(text)):
        changed = text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]
        assert SERIES.parse(changed) is None, at
    for wrong in (None, "", text[:-1], text + "0", f" {text}", f"{text}\n", text.replace("1", "１")):
        if wrong != text:
            assert SERIES.parse(wrong) is None
    assert series(Ring([MasterKey("k2", Secret(b"n" * 32))])).parse(text) is None
    assert LoginToken.parse(text) is None


def test_a_secret_of_an_older_key_is_read_while_the_key_is_on_the_ring() -> None:
    both = Ring([MasterKey("k2", Secret(b"n" * 32)), MasterKey("k1", Secret(b"m" * 32))])
    assert series(both).parse(SECOND.text.reveal()) is not None
