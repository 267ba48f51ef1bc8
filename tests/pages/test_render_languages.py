"""The languages: catalogs complete and compiled, and the right one chosen — sessions-and-accounts §6.4."""

import gettext
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

import bridge
from bridge.i18n import Languages
from bridge.oidc.claims import SCOPES
from bridge.pages.models import Scope
from bridge.pages.options import PagesOptions
from bridge.pages.paths import Paths
from bridge.pages.render import Pages, Times
from tests.pages.reading import read
from tests.pages.samples import CONSENT, LOGIN, NOW

PACKAGE = Path(bridge.__file__).parent
ROOMS = ["pages", "outbox"]
ROOMS_AND_LANGUAGES = [(room, language) for room in ROOMS for language in ("en", "zh_Hans")]
HOW = "pybabel extract, update and compile: docs/translating.md"


def _extracted(room: str) -> Iterator[tuple[str | tuple[str, ...], str | None]]:
    options = {"**": {"trimmed": "true", "newstyle_gettext": "true"}}
    methods = [("**.html", "jinja2"), ("**.txt", "jinja2"), ("**.py", "python")]
    options = {pattern: options["**"] for pattern, method in methods if method == "jinja2"}
    for _, _, message, _, context in extract_from_dir(PACKAGE / room, methods, options):
        yield message, context


def _source(room: str, language: str) -> Catalog:
    path = PACKAGE / room / "locale" / language / "LC_MESSAGES" / "messages.po"
    return read_po(BytesIO(path.read_bytes()), locale=language, abort_invalid=True)


@pytest.mark.parametrize(("room", "language"), ROOMS_AND_LANGUAGES)
def test_a_catalog_holds_exactly_the_messages_of_its_room(room: str, language: str) -> None:
    held = {(message.id, message.context) for message in _source(room, language) if message.id}
    assert held == set(_extracted(room)), HOW


@pytest.mark.parametrize(("room", "language"), ROOMS_AND_LANGUAGES)
def test_the_compiled_catalog_is_the_source_compiled(room: str, language: str) -> None:
    target = BytesIO()
    write_mo(target, _source(room, language))
    committed = PACKAGE / room / "locale" / language / "LC_MESSAGES" / "messages.mo"
    assert _content(target.getvalue()) == _content(committed.read_bytes()), HOW


@pytest.mark.parametrize("room", ROOMS)
def test_every_message_is_translated_with_every_name_and_tag_in_it(room: str) -> None:
    catalog = _source(room, "zh_Hans")
    for message in catalog:
        if message.id:
            texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
            assert all(texts), message.id
            assert not message.fuzzy and not list(message.check(catalog)), message.id
            original = message.id if isinstance(message.id, str) else message.id[-1]
            assert all(_tags(text) == _tags(original) for text in texts), message.id


def _tags(text: str | None) -> list[str]:
    assert text
    return sorted(part.partition(">")[0] for part in text.split("<")[1:])


def _content(compiled: bytes) -> dict[object, object]:
    catalog: dict[object, object] = dict(gettext.GNUTranslations(BytesIO(compiled))._catalog)  # type: ignore[attr-defined]
    catalog.pop("", None)  # the header names the tool that wrote it
    return catalog


LANGUAGES = Languages(PACKAGE / "pages" / "locale")


def test_the_shipped_languages_are_english_and_simplified_chinese() -> None:
    assert LANGUAGES.names == ("en", "zh_Hans")


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("zh", "zh_Hans"),
        ("zh-CN", "zh_Hans"),
        ("zh_CN", "zh_Hans"),
        ("ZH-hans-cn", "zh_Hans"),
        ("zh-SG", "zh_Hans"),
        ("zh-TW", None),  # another script; what he likes next may serve him better
        ("zh-Hant", None),
        ("en-GB", "en"),
        ("en_US", "en"),
        ("de", None),
        ("", None),
        ("x" * 500, None),
        ("../../etc", None),
    ],
)
def test_a_tag_finds_its_language(tag: str, name: str | None) -> None:
    assert LANGUAGES.match(tag) == name


@pytest.mark.parametrize(
    ("wishes", "chosen"),
    [
        ({}, "en"),
        ({"accept_language": "zh-CN,zh;q=0.9,en;q=0.8"}, "zh_Hans"),
        ({"accept_language": "en;q=0.5, zh;q=0.8"}, "zh_Hans"),
        ({"accept_language": "zh;q=0, en"}, "en"),
        ({"accept_language": "zh-TW,zh;q=0.9"}, "zh_Hans"),
        ({"accept_language": "fr, de"}, "en"),
        ({"accept_language": "*"}, "en"),
        ({"ui_locales": "fr zh-CN", "accept_language": "en"}, "zh_Hans"),
        ({"user": "en", "ui_locales": "zh-CN", "accept_language": "zh"}, "en"),
        ({"user": "klingon", "ui_locales": "zh-CN"}, "zh_Hans"),
    ],
)
def test_the_person_then_the_app_then_the_browser_decide(wishes: dict[str, str], chosen: str) -> None:
    assert LANGUAGES.choose(**wishes) == chosen


@pytest.mark.parametrize(("wish", "between"), [("accept_language", ","), ("ui_locales", " ")])
def test_only_the_first_ten_tags_are_looked_at(wish: str, between: str) -> None:
    """Hundreds of them, in one header, took a worker longer than the page."""
    assert LANGUAGES.choose(**{wish: between.join(["fr"] * 9 + ["zh"])}) == "zh_Hans"
    assert LANGUAGES.choose(**{wish: between.join(["fr"] * 10 + ["zh"])}) == "en"


@given(st.text(max_size=2_000), st.text(max_size=2_000), st.text(max_size=200))
def test_no_header_or_parameter_is_an_error(accept_language: str, ui_locales: str, tag: str) -> None:
    chosen = LANGUAGES.choose(user=tag, ui_locales=ui_locales, accept_language=accept_language)
    assert chosen in LANGUAGES.names and LANGUAGES.match(tag) in {*LANGUAGES.names, None}


def _write(folder: Path, language: str, text: str) -> None:
    target = folder / language / "LC_MESSAGES"
    target.mkdir(parents=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    (target / "messages.po").write_text(header + text, encoding="utf-8")


def _heading(pages: Pages, locale: str) -> str:
    return read(pages.render(LOGIN, locale=locale, paths=Paths(), now=NOW)).one("h1").text


@pytest.mark.parametrize("locale", LANGUAGES.names)
def test_what_may_be_asked_for_is_named_in_words_of_its_own(locale: str) -> None:
    """Nobody can allow what he is shown only the name of."""
    pages = Pages(PagesOptions())

    def words(*scopes: str) -> list[str]:
        asked = replace(CONSENT, scopes=tuple(Scope(name=name) for name in scopes))
        shown = read(pages.render(asked, locale=locale, paths=Paths(), now=NOW))
        return [line.text for line in shown.one("ul", **{"class": "scopes"}).all("li")]

    (unnamed,) = words("of-an-app")
    said = words(*SCOPES)
    assert not {unnamed.replace("of-an-app", scope) for scope in SCOPES} & set(said)
    assert len(set(said)) == len(SCOPES)


def test_the_operators_words_go_before_ours_and_ours_fill_the_gaps(tmp_path: Path) -> None:
    _write(tmp_path, "zh_Hans", 'msgid "Sign in"\nmsgstr "欢迎回来"\n')
    pages = Pages(PagesOptions(locale_dirs=(tmp_path,)))
    shown = read(pages.render(LOGIN, locale="zh_Hans", paths=Paths(), now=NOW))
    assert shown.one("h1").text == "欢迎回来"
    assert "忘记密码？" in shown.one("main").text
    assert _heading(pages, "en") == "Sign in"


def test_the_operator_adds_a_language_without_a_compiler(tmp_path: Path) -> None:
    _write(tmp_path, "de", 'msgid "Sign in"\nmsgstr "Anmelden"\n')
    pages = Pages(PagesOptions(locale_dirs=(tmp_path,)))
    assert pages.languages.names == ("en", "de", "zh_Hans")
    assert pages.languages.choose(accept_language="de-AT") == "de"
    assert _heading(pages, "de") == "Anmelden"
    shown = read(pages.render(LOGIN, locale="de", paths=Paths(), now=NOW))
    assert shown.one("nav").one("span").text == "Deutsch"
    assert "Password" in shown.one("main").text


@pytest.mark.parametrize("name", ["nonsense-x", "zz_Qqqq_ZZZ"])
def test_a_folder_that_is_no_language_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    _write(tmp_path, name, "")
    with pytest.raises(ValueError, match=name):
        Languages(tmp_path)


def test_an_unreadable_catalog_is_an_error_that_names_its_folder(tmp_path: Path) -> None:
    _write(tmp_path, "de", "msgid broken")
    with pytest.raises(ValueError, match="de"):
        Languages(tmp_path)


@pytest.mark.parametrize(
    ("locale", "ago", "wait", "date"),
    [("en", "5 minutes ago", "3 minutes", "November 21, 2026"), ("zh_Hans", "5分钟前", "3分钟", "2026年11月21日")],
)
def test_times_are_said_as_the_language_says_them(locale: str, ago: str, wait: str, date: str) -> None:
    times = Times(locale, NOW)
    assert (times.ago(NOW - 300), times.wait(121), times.date(NOW)) == (ago, wait, date)


def test_a_moment_ahead_of_our_clock_is_now() -> None:
    assert Times("en", NOW).ago(NOW + 50) == Times("en", NOW).ago(NOW)


def test_import_bridge_loads_neither_templates_nor_catalogs() -> None:
    code = "import bridge, sys; sys.exit(any(name in sys.modules for name in ('jinja2', 'babel')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
