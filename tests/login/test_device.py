"""The known-device mark: whose browser this is, for the last few people who signed in with it — §8.1, A9."""

import pytest

from bridge.clock import chance
from bridge.login.device import MOST, Devices
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.testing.hands import Hands

DAY = 86_400
PEOPLE = [f"person{number}@example.com" for number in range(MOST + 2)]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def devices(hands: Hands) -> Devices:
    return made(hands, b"m")


def made(hands: Hands, key: bytes) -> Devices:
    return Devices(ring=Ring([MasterKey("k1", Secret(key * 32))]), clock=hands, chance=chance, days=180)


def test_a_browser_is_known_to_everybody_who_uses_it(devices: Devices) -> None:
    first, second = PEOPLE[:2]
    marks = devices.mark(second, devices.mark(first))
    assert devices.device(marks, first) and devices.device(marks, second)
    assert devices.device(marks, first) != devices.device(marks, second), "each has a bucket of his own"
    assert devices.device(marks, PEOPLE[2]) is None


def test_only_so_many_and_the_last_of_them(devices: Devices) -> None:
    marks = ""
    for email in PEOPLE:
        marks = devices.mark(email, marks)
    assert [email for email in PEOPLE if devices.device(marks, email)] == PEOPLE[-MOST:]
    assert marks.count("~") == MOST - 1 and len(marks) < 600, "a cookie, not a book"


def test_who_signs_in_again_has_one_mark(devices: Devices) -> None:
    first, second = PEOPLE[:2]
    marks = devices.mark(second, devices.mark(first))
    for _ in range(10):
        marks = devices.mark(first, marks)
    assert marks.count("~") == 1 and devices.device(marks, second)


def test_old_marks_and_made_up_ones_are_not_kept(devices: Devices, hands: Hands) -> None:
    first, second = PEOPLE[:2]
    old, foreign = devices.mark(first), made(hands, b"x").mark(first).replace("1.k1.", "1.k9.", 1)
    hands.move(180 * DAY)
    for beside in (old, foreign, "", None, "~~~~~~~~", "x" * 60_000, f"<script>~{old}"):
        assert "~" not in devices.mark(second, beside)
    assert devices.device(devices.mark(second, old), first) is None


def test_a_good_mark_after_too_many_is_not_looked_for(devices: Devices) -> None:
    good = devices.mark(PEOPLE[0])
    assert devices.device("~".join(["x"] * (MOST - 1) + [good]), PEOPLE[0])
    assert devices.device("~".join(["x"] * MOST + [good]), PEOPLE[0]) is None


def test_one_byte_changed_anywhere_is_nobodys_mark(devices: Devices) -> None:
    marks = devices.mark(PEOPLE[0])
    for at, byte in enumerate(marks):
        changed = marks[:at] + ("1" if byte == "0" else "0") + marks[at + 1 :]
        assert devices.device(changed, PEOPLE[0]) is None, at
