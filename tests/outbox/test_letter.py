"""Every letter in both languages, word for word, and what no letter may carry — sessions-and-accounts §6.3, §6.4."""

import os
import re
from dataclasses import replace
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, get_args

import pytest

from bridge.brand import Brand
from bridge.outbox.device import device_name
from bridge.outbox.letter import (
    AlreadySignedUpLetter,
    Circumstances,
    DeviceCopiedLetter,
    EmailConfirmLetter,
    EmailUndoLetter,
    InviteLetter,
    Letter,
    Letters,
    ManyFailuresLetter,
    NewDeviceLetter,
    PasskeyCopiedLetter,
    PasswordChangedLetter,
    RecoveryCodeUsedLetter,
    ResetLetter,
    SecondFactorChangedLetter,
    SignUpLetter,
)
from bridge.types import FactorChange

KEPT: Final = Path(__file__).with_name("letters")
BRAND: Final = Brand(name="Acme Hosting", accent="#0a7d5a")
LETTERS: Final = Letters(BRAND)
SEEN: Final = Circumstances(at=1_795_297_080, device="Chrome · Windows", ip="203.0.113.24")
RESET: Final = ResetLetter(email="ada@example.com", link="https://login.example.com/reset/t/WzEsImEiXQ.x.y", minutes=60)
FACTOR_ON: Final = SecondFactorChangedLetter(
    email="ada@example.com", change="totp-added", alone=False, seen=SEEN, reset_page="https://login.example.com/reset"
)
SAMPLES: Final[dict[str, Letter]] = {
    "reset": RESET,
    "password_changed": PasswordChangedLetter(
        email="ada@example.com", seen=SEEN, reset_page="https://login.example.com/reset"
    ),
    **{f"second_factor_{each.replace('-', '_')}": replace(FACTOR_ON, change=each) for each in get_args(FactorChange)},
    "second_factor_off": replace(FACTOR_ON, change="totp-removed", alone=True),
    "recovery_code_used": RecoveryCodeUsedLetter(
        email="ada@example.com", left=9, seen=SEEN, account_page="https://login.example.com/account"
    ),
    "passkey_copied": PasskeyCopiedLetter(
        email="ada@example.com", seen=SEEN, account_page="https://login.example.com/account"
    ),
    "device_copied": DeviceCopiedLetter(
        email="ada@example.com", seen=SEEN, account_page="https://login.example.com/account"
    ),
    "new_device": NewDeviceLetter(
        email="ada@example.com",
        seen=Circumstances(at=SEEN.at, device=None, ip=None),
        account_page="https://login.example.com/account",
    ),
    "sign_up": SignUpLetter(
        email="nora@example.com", link="https://login.example.com/signup/t/" + "x" * 43, until=1_795_297_080
    ),
    "already_signed_up": AlreadySignedUpLetter(
        email="ada@example.com",
        sign_in_page="https://login.example.com/login",
    ),
    "invite": InviteLetter(
        email="ada@example.com", link="https://login.example.com/invite/t/" + "x" * 43, until=1_795_297_080
    ),
    "email_confirm": EmailConfirmLetter(
        email="ada@example.com", link="https://login.example.com/email/t/" + "x" * 43, until=1_795_297_080
    ),
    "email_undo": EmailUndoLetter(
        email="ada@example.com", link="https://login.example.com/email/t/" + "x" * 43, until=1_795_297_080
    ),
    "many_failures": ManyFailuresLetter(
        email="ada@example.com", failures=12, seen=SEEN, account_page="https://login.example.com/account"
    ),
}
CASES: Final = [(name, locale) for name in SAMPLES for locale in ("en", "zh_Hans")]


def test_a_sample_of_every_letter_is_looked_at() -> None:
    assert {type(letter) for letter in SAMPLES.values()} == set(get_args(Letter))


@pytest.mark.parametrize(("name", "locale"), CASES)
def test_a_letter_reads_as_it_was_last_read_by_a_person(name: str, locale: str) -> None:
    """LETTERS=write makes the kept files anew; then read them."""
    letter = LETTERS.write(SAMPLES[name], locale=locale)
    written = {"txt": f"Subject: {letter.subject}\n\n{letter.text}", "html": letter.html}
    for ending, content in written.items():
        kept = KEPT / f"{name}.{locale}.{ending}"
        if os.environ.get("LETTERS") == "write":
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(content, encoding="utf-8")
        assert kept.read_text(encoding="utf-8") == content


class _Shown(HTMLParser):
    """The words, addresses and styles of an HTML part."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.seen: list[tuple[str, str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.mark.parametrize(("name", "locale"), CASES)
def test_no_letter_asks_for_anything_from_elsewhere(name: str, locale: str) -> None:
    html = LETTERS.write(SAMPLES[name], locale=locale).html
    shown = _Shown(html)
    assert not re.findall(r"<(?:img|script|link|style|iframe|form)\b|url\(|@import", html)
    links = [value for tag, attribute, value in shown.seen if attribute in ("href", "src", "background", "action")]
    assert len(links) == 1 and links[0].startswith("https://login.example.com/")
    assert ("html", "lang", locale.replace("_", "-")) in shown.seen


@pytest.mark.parametrize(("name", "locale"), CASES)
def test_both_parts_say_the_same(name: str, locale: str) -> None:
    letter = LETTERS.write(SAMPLES[name], locale=locale)
    shown = _Shown(letter.html)
    (address,) = [value for _, attribute, value in shown.seen if attribute == "href"]
    for line in letter.text.splitlines():
        if line.strip() not in ("", "--", address):
            assert line in shown.text
    assert letter.subject in shown.text
    assert f"\n{address}\n" in letter.text  # alone on its line, so that no program breaks it


@pytest.mark.parametrize("locale", ["en", "zh_Hans"])
def test_what_others_wrote_becomes_neither_markup_nor_a_header(locale: str) -> None:
    hostile = 'x"><img src=//evil.example>\r\nBcc: all@example.com'
    letter = LETTERS.write(
        ManyFailuresLetter(
            email=hostile,
            failures=1,
            seen=Circumstances(at=0, device=hostile, ip=hostile),
            account_page="https://login.example.com/account",
        ),
        locale=locale,
    )
    assert "<img" not in letter.html
    message = EmailMessage()
    message["Subject"] = letter.subject  # refuses line breaks


def test_a_count_of_one_is_said_as_one() -> None:
    words = LETTERS.write(replace(RESET, minutes=1), locale="en").text
    assert "for 1 minute." in words


def test_what_is_not_known_is_left_out() -> None:
    words = LETTERS.write(SAMPLES["new_device"], locale="en").text
    assert "November 21, 2026, 21:38 UTC" in words
    assert "Device" not in words and "IP" not in words


def test_the_operators_letter_and_words_go_before_ours(tmp_path: Path) -> None:
    (tmp_path / "reset.txt").write_text("{% set subject %}Key{% endset %}Go: {{ letter.link }}")
    catalog = tmp_path / "en" / "LC_MESSAGES" / "messages.po"
    catalog.parent.mkdir(parents=True)
    catalog.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "Choose a new password"\nmsgstr "New secret"\n'
    )
    letter = Letters(BRAND, template_dirs=(tmp_path,), locale_dirs=(tmp_path,)).write(RESET, locale="en")
    assert (letter.subject, letter.text) == ("Key", f"Go: {RESET.link}\n")
    assert "New secret</a>" in letter.html


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150 Safari/537.36",
            "Chrome · Windows",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150 Safari/537.36 Edg/150",
            "Edge · Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Mobile Safari/604.1", "Safari · iPhone"),
        ("Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 Chrome/150 Mobile Safari/537.36", "Chrome · Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/19 Safari/605.1.15", "Safari · macOS"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", "Firefox · Linux"),
        ("curl/8.9.1", "curl"),
        ("<script>alert(1)</script>", None),
        ("", None),
    ],
)
def test_a_device_is_named_in_our_words_alone(user_agent: str, name: str | None) -> None:
    assert device_name(user_agent) == name
