"""The operator's name, logo and colour: readable whatever the colour is, and never code."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridge.pages
from bridge.brand import BLACK, WHITE, Brand, Colour
from bridge.pages.options import PagesOptions
from bridge.pages.paths import Paths
from bridge.pages.render import Pages
from bridge.pages.stylesheet import DARK_SURFACES, LIGHT_SURFACES, Stylesheet
from tests.pages.reading import read
from tests.pages.samples import LOGIN, NOW

CSS = Path(bridge.pages.__file__).with_name("static") / "bridge.css"
part = st.integers(0, 255)


def properties(accent: str) -> tuple[dict[str, Colour], dict[str, Colour]]:
    """The custom properties by day and by night."""
    text = Stylesheet.coloured("", Brand(accent=accent)).body.decode()
    day, night = text.split("@media (prefers-color-scheme:dark)")
    found = [dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", half)) for half in (day, night)]
    light, dark = ({name: Colour.parse(value) for name, value in half.items()} for half in found)
    return light, light | dark


@given(st.builds(Colour, part, part, part))
def test_every_colour_can_be_read_on_and_read(accent: Colour) -> None:
    """WCAG AA, 4.5 : 1: the words on the button, also while it is pressed; links and marks on every surface."""
    for kinds, surfaces in zip(properties(str(accent)), (LIGHT_SURFACES, DARK_SURFACES), strict=True):
        assert kinds["on-accent"].contrast(kinds["accent"]) >= 4.5
        assert kinds["on-accent"].contrast(kinds["accent-pressed"]) >= 4.5
        for surface in (*surfaces, kinds["tint"]):
            assert kinds["accent-ink"].contrast(surface) >= 4.5


@pytest.mark.parametrize(
    ("accent", "by_day", "by_night"),
    [
        ("#4353d6", "#4353d6", "#4353d6"),
        ("#ffe14d", "#ffe14d", "#ffe14d"),
        ("#111111", "#111111", "#dbdbdb"),
        ("#fff", "#262626", "#ffffff"),
    ],
)
def test_the_button_has_the_operators_colour_unless_it_could_not_be_seen(
    accent: str, by_day: str, by_night: str
) -> None:
    light, dark = properties(accent)
    assert (str(light["accent"]), str(dark["accent"])) == (by_day, by_night)


def test_the_surfaces_are_those_of_the_style_sheet() -> None:
    light, dark = (
        re.findall(r"--(?:card|page|sunk): (#[0-9a-f]{6})", half)
        for half in CSS.read_text().split("prefers-color-scheme: dark")
    )
    assert {Colour.parse(each) for each in light} == set(LIGHT_SURFACES)
    assert {Colour.parse(each) for each in dark} == set(DARK_SURFACES)


def test_words_of_the_style_sheet_are_readable_by_day_and_by_night() -> None:
    for half, surfaces in zip(
        CSS.read_text().split("prefers-color-scheme: dark"), (LIGHT_SURFACES, DARK_SURFACES), strict=True
    ):
        named = {name: Colour.parse(value) for name, value in re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", half)}
        for name in ("ink", "soft"):
            assert all(named[name].contrast(surface) >= 4.5 for surface in surfaces), name
        for name in ("good", "caution", "alert"):
            assert named[name].contrast(named[f"{name}-back"]) >= 4.5, name
        assert named["field-line"].contrast(named["card"]) >= 3  # WCAG 1.4.11: the edge of a field


def test_the_contrast_is_that_of_the_standard() -> None:
    assert BLACK.contrast(WHITE) == pytest.approx(21)
    assert Colour.parse("#777").contrast(WHITE) == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("accent", ["red", "#12345", "#12345g", "#fff}body{", "url(x)", "#1234567", "", "#fff\n"])
def test_only_a_colour_is_a_colour(accent: str) -> None:
    with pytest.raises(ValueError, match="accent"):
        PagesOptions(accent=accent)


@pytest.mark.parametrize(
    "logo", ["javascript:x", "//evil.example/x", "http://a.example/x", "/\\evil", "https:///x", "a b"]
)
def test_only_an_address_of_a_picture_is_a_logo(logo: str) -> None:
    with pytest.raises(ValueError, match="logo_url"):
        PagesOptions(logo_url=logo)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 61])
def test_a_brand_has_a_printable_name(name: str) -> None:
    with pytest.raises(ValueError, match="brand_name"):
        PagesOptions(brand_name=name)


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"brand_name.*logo_url.*accent"):
        PagesOptions(brand_name="", logo_url="x", accent="x")


def test_another_colour_has_another_address() -> None:
    first, second = (Pages(PagesOptions(accent=accent)).stylesheet for accent in ("#0a0", "#00a"))
    assert first.version != second.version
    assert b"--accent:#00aa00" in first.body and first.body.endswith(CSS.read_bytes())


@pytest.mark.parametrize("logo", ["/logo.svg", "https://cdn.example.org/logo.svg", "data:image/png;base64,AAAA"])
def test_the_logo_and_the_name_stand_on_the_page(logo: str) -> None:
    pages = Pages(PagesOptions(brand_name="Müller & Söhne", logo_url=logo))
    shown = read(pages.render(LOGIN, locale="en", paths=Paths(), now=NOW))
    assert shown.one("header").one("img")["src"] == logo
    assert shown.one("header").text == "Müller & Söhne"
    assert shown.one("title").text == "Sign in · Müller & Söhne"


def test_without_a_logo_the_mark_is_the_first_letter_or_our_bridge() -> None:
    own = read(Pages(PagesOptions(brand_name="acme")).render(LOGIN, locale="en", paths=Paths(), now=NOW))
    assert own.one("header").one("span", **{"class": "brand-mark"}).text == "A"
    ours = read(Pages(PagesOptions()).render(LOGIN, locale="en", paths=Paths(), now=NOW))
    assert ours.one("header").all("svg")


def test_the_style_sheet_asks_for_nothing_from_elsewhere() -> None:
    assert not re.findall(r"url\(|@import|https?:|!important", CSS.read_text())
