"""Which new passwords are accepted — sessions-and-accounts A1, A3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.secret import Secret
from bridge.users.options import UserOptions
from bridge.users.policy import PasswordFault, PasswordPolicy

POLICY = PasswordPolicy(UserOptions(site_names=("Example Hosting",)))
ABOUT = ("ada.lovelace@analytical.example", "Ada", "Lovelace")


@pytest.mark.parametrize(
    "good",
    [
        "correct horse battery staple",
        "nur kleine buchstaben ohne regel",
        "密码可以是任何文字的句子吗当然可以的",
        "🦊" * 3 + "jumped over 🐶🐱🐭🐹",
        "x7#kQ2!mZ9$wP4&",
        "   spaces   count   too   ",
        "y" + "kf83hs" * 170,
        "mypasswordhasmanymoreletters",
    ],
)
def test_a1_any_long_password_is_accepted_whatever_its_letters(good: str) -> None:
    assert POLICY.judge(Secret(good), about=ABOUT) is None


@pytest.mark.parametrize(
    ("second_factor", "new", "fault"),
    [
        (False, "kf83hsPq7wzR5v", "too-short"),
        (False, "kf83hsPq7wzR5vX", None),
        (True, "kf83hsP", "too-short"),
        (True, "kf83hsPq", None),
        (False, "é" * 14, "too-short"),  # characters, not bytes
    ],
)
def test_a1_fifteen_characters_or_eight_with_a_second_factor(
    second_factor: bool, new: str, fault: PasswordFault | None
) -> None:
    assert POLICY.judge(Secret(new), second_factor=second_factor) == fault


def test_a1_more_than_sixty_four_characters_are_taken_up_to_1024_bytes() -> None:
    assert POLICY.judge(Secret("kf83hsPq7wzR" * 85)) is None
    assert POLICY.judge(Secret("kf83hsPq7wzR" * 85 + "12345")) == "too-long"


@pytest.mark.parametrize(
    "common",
    [
        *("passwordpassword", "Password123456!", "P@$$w0rd-P@$$w0rd", "aaaaaaaaaaaaaaaa", "abcabcabcabcabcabc"),
        *("1234567890123456", "qwertyuiopasdfgh", "0987654321098765", "1qaz2wsx3edc4rfv", "letmeinletmein2024"),
        *("Welcome Winter 2026", "iloveyou iloveyou", "adminadminadmin1", "zyxwvutsrqponmlk"),
    ],
)
def test_a3_what_everybody_takes_is_refused(common: str) -> None:
    assert POLICY.judge(Secret(common)) == "too-common"


@pytest.mark.parametrize(
    "personal",
    [
        *("ada.lovelace@analytical.example", "AdaLovelaceAda1!", "lovelace-lovelace", "analytical1234567"),
        *("ExampleHosting2026", "example hosting ada"),
    ],
)
def test_a3_what_others_know_of_the_person_and_the_site_is_refused(personal: str) -> None:
    assert POLICY.judge(Secret(personal), about=ABOUT) == "too-personal"


def test_a_password_with_a_nul_cannot_be_set() -> None:
    assert POLICY.judge(Secret("kf83hsPq7wzR5vX\x00kf83hsPq7w")) is not None


@given(st.one_of(st.text(max_size=1200), st.binary(max_size=1200)), st.lists(st.text(max_size=50), max_size=4))
def test_nothing_that_is_typed_raises(typed: str | bytes, about: list[str]) -> None:
    fault = POLICY.judge(Secret(typed), about=about, second_factor=True)
    assert fault is not None or len(Secret(typed).reveal_bytes()) >= 8
