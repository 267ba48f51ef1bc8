"""The sign-in page that is kept: byte for byte what a new one would be, and nobody's words on another's page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.login.relying_party import RelyingParty
from bridge.pages.app import App
from bridge.pages.kept import KeptPages, Manner
from bridge.pages.models import Login, Page, Remembered
from bridge.pages.options import PagesOptions
from bridge.pages.paths import Paths
from bridge.pages.render import Pages
from tests.pages import samples
from tests.pages.samples import LOGIN, LOGIN_TO, NOTES, NOW, SECOND

PLAIN = Manner("en", "", False)
HOSTILE = ["\"'><b id=x>&amp;", "100%s %(csrf)s %", "{{ 7*7 }}", "na\u00efve \u202e\U0001f600", "a\n", ""]
ANYBODY = replace(LOGIN_TO, email="")
PARTY = RelyingParty.at("https://login.example.com", "Acme")


def asked(challenge: bytes) -> str:
    """What a browser is asked for instead of the password."""
    assert PARTY is not None
    return PARTY.request(challenge, (), verified=True)


def faces() -> list[Login]:
    """Every face of the sign-in page, as nobody in particular sees it."""
    shown = [page for pages in samples.faces() for page in pages if isinstance(page, Login)]
    shown += [page for page in samples.SCREENS.values() if isinstance(page, Login)]
    return [replace(page, email="", passkey=page.passkey and asked(b"first")) for page in shown]


@pytest.fixture(scope="module")
def anew(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Pages that keep nothing, because of an operator's template that is none of ours."""
    return Pages(PagesOptions(template_dirs=(tmp_path_factory.mktemp("templates"),)))


@pytest.fixture(scope="module")
def kept() -> Pages:
    return Pages(PagesOptions())


def alike(kept: Pages, anew: Pages, page: Page, *, nonce: str = "n" * 24, **more: Any) -> None:
    manner: dict[str, Any] = {"locale": "en", "paths": Paths(), "now": NOW, "nonce": nonce, **more}
    assert kept.render(page, **manner) == anew.render(page, **manner)


@pytest.mark.parametrize("locale", ["en", "zh_Hans"])
@pytest.mark.parametrize("root", ["", "/s%C3%B6 so"])
@pytest.mark.parametrize("asked_locale", [True, False])
def test_every_face_is_what_a_new_one_would_be(
    kept: Pages, anew: Pages, locale: str, root: str, asked_locale: bool
) -> None:
    for page in faces():
        for own in ("first", "sec-ond", "Th_1rd"):
            visit = own * 2 if page.interaction else None
            shown = replace(page, csrf=own, interaction=visit, passkey=page.passkey and asked(own.encode()))
            more: dict[str, Any] = {"locale": locale, "paths": Paths(root), "asked_locale": asked_locale}
            alike(kept, anew, shown, nonce=own * 3, **more)


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_a_word_is_escaped_as_ever(kept: Pages, anew: Pages, text: str) -> None:
    for word in ("csrf", "interaction", "email", "next", "passkey"):
        own: dict[str, Any] = {word: text}
        alike(kept, anew, replace(ANYBODY, **own))
    for challenge in (
        f'{{"challenge":"{text}"}}',
        f'{{"challenge":"a"}}{text}',
        f'{{"challenge":"a","challenge":"{text}"}}',
    ):
        alike(kept, anew, replace(ANYBODY, passkey=challenge))
    alike(kept, anew, replace(ANYBODY, passkey='{"challenge":"a","challenge":"b"}'))
    alike(kept, anew, replace(ANYBODY, passkey=asked(b"c")), nonce=text)
    alike(kept, anew, replace(ANYBODY, remembered=Remembered(text or "-", text, text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_an_application_says_of_itself_is_escaped_as_ever(kept: Pages, anew: Pages, text: str) -> None:
    for name in ("name", "redirect_uri", "logo_uri", "policy_uri", "tos_uri"):
        said: dict[str, Any] = {name: text if name == "name" else f"https://x.example/{text}"}
        app = replace(NOTES, **said)
        for own in ("one", "two"):
            alike(kept, anew, replace(ANYBODY, csrf=own, app=app))


def test_two_applications_languages_or_answers_do_not_share_a_page(kept: Pages) -> None:
    apps = [App(name=name, redirect_uri="https://x.example", verified=True) for name in ("Notes", "Mail")]
    pages = [ANYBODY, *(replace(ANYBODY, app=app) for app in apps), replace(ANYBODY, problem="wrong"), LOGIN]
    shown = [
        kept.render(page, locale=locale, paths=Paths(root), now=NOW, nonce="n", asked_locale=chosen)
        for page in pages
        for locale in ("en", "zh_Hans")
        for root in ("", "/sso")
        for chosen in (True, False)
    ]
    assert len(set(shown)) == len(shown)


def test_nobodys_words_stand_on_anothers_page(kept: Pages) -> None:
    def page(own: str) -> str:
        words = replace(ANYBODY, csrf=f"{own}Proof", interaction=f"{own}Visit", passkey=asked(own.encode()))
        return kept.render(words, locale="en", paths=Paths(), now=NOW, nonce=f"{own}Nonce").decode()

    hers, his = page("Ada"), page("Tom")
    for word in ("Proof", "Visit", "Nonce"):
        assert f"Ada{word}" in hers and f"Tom{word}" in his
        assert f"Ada{word}" not in his and f"Tom{word}" not in hers


class Making:
    """Notes what is made, and shows the model itself."""

    def __init__(self) -> None:
        self.made: list[Page] = []

    def __call__(self, page: Page, manner: Manner, nonce: str) -> str:
        self.made.append(page)
        return f"{page} {manner} {nonce}"


def test_a_face_is_made_once_for_everybody() -> None:
    making = Making()
    pages = KeptPages(making)
    for own in ("a", "b", "c"):
        page = replace(ANYBODY, csrf=own, interaction=own, passkey=asked(own.encode()))
        assert pages.html(page, PLAIN, own) == f"{page} {PLAIN} {own}"
    assert len(making.made) == 1


@pytest.mark.parametrize(
    "page",
    [
        LOGIN_TO,
        replace(LOGIN, next="/account"),
        replace(LOGIN, remembered=Remembered("Ada", "ada@example.com")),
        replace(LOGIN, problem="too-many", wait=60),
        replace(LOGIN, passkey="{}"),
        replace(LOGIN, csrf="a<b"),
        replace(ANYBODY, interaction="a\n"),
        SECOND,
    ],
)
def test_what_is_shown_to_one_person_alone_is_not_kept(page: Page) -> None:
    assert KeptPages(Making()).html(page, PLAIN, "n") is None


def test_no_more_is_kept_than_can_be_held() -> None:
    making = Making()
    pages = KeptPages(making)
    for number in [*range(300), 299, 0]:
        pages.html(replace(ANYBODY, app=replace(NOTES, name=f"App {number}")), PLAIN, "n")
    assert len(making.made) == 301


def test_an_operators_template_may_do_with_the_words_what_it_likes(tmp_path: Path) -> None:
    (tmp_path / "login.html").write_text("{{ page.csrf|upper }} {{ times.iso(times.now) }}")
    own = Pages(PagesOptions(template_dirs=(tmp_path,)))
    for csrf, now, wanted in (("abc", 0, b"ABC 1970-01-01"), ("def", 86_400, b"DEF 1970-01-02")):
        shown = own.render(replace(ANYBODY, csrf=csrf), locale="en", paths=Paths(), now=now, nonce="n")
        assert shown.startswith(wanted)
