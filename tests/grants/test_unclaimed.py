"""How many codes that nobody comes for one person may leave behind — security §23; docs/decisions/0261."""

import pytest

from bridge.errors import ConfigError
from bridge.grants import unclaimed
from bridge.grants.options import MEMORY, GrantOptions
from bridge.grants.unclaimed import Unclaimed
from bridge.types import SlotTag

BOB, EVE = SlotTag("bob"), SlotTag("eve")
OPTIONS = GrantOptions(codes_per_user=100)


def test_who_leaves_too_many_gets_no_more_until_they_are_gone_and_nobody_else_is_held_up() -> None:
    codes = Unclaimed(OPTIONS)
    assert [codes.admit(EVE, 0) for _ in range(102)] == [True] * 100 + [False] * 2
    assert codes.admit(BOB, 0)
    assert not codes.admit(EVE, OPTIONS.code + MEMORY - 1)
    assert codes.admit(EVE, OPTIONS.code + MEMORY)


def test_who_redeems_them_may_have_any_number() -> None:
    codes = Unclaimed(OPTIONS)
    for _ in range(1_000):
        assert codes.admit(BOB, 0)
        codes.claimed(BOB)


def test_codes_of_another_worker_that_are_redeemed_here_give_nobody_credit() -> None:
    codes = Unclaimed(OPTIONS)
    codes.claimed(BOB)
    codes.admit(BOB, 0)
    for _ in range(50):
        codes.claimed(BOB)
    assert sum(codes.admit(BOB, 0) for _ in range(200)) == 100


def test_so_many_people_are_counted_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unclaimed, "MOST_PEOPLE", 3)
    codes = Unclaimed(OPTIONS)
    for number in range(10):
        assert codes.admit(SlotTag(str(number)), 0)
    assert [*codes._of] == ["7", "8", "9"]


def test_a_bound_that_people_could_meet_is_a_mistake_of_the_operators() -> None:
    with pytest.raises(ConfigError, match="codes_per_user"):
        GrantOptions(codes_per_user=99)
