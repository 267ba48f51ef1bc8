"""What an app only wishes for, on the page that a person then sees — Core §3.1.2.1, §5.2, §15.1.
docs/openid-provider.md says what comes of each.
"""

from collections.abc import Callable

from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.running import ADA, LI, PASSWORD, Site

Visit = Callable[[Site], Visitor]


def seen(browser: Visitor) -> tuple[str, str]:
    """The language of the sign-in page, and the address that stands in it."""
    assert browser.at.startswith("/login?interaction="), browser.at
    return browser.page.one("html")["lang"], browser.page.one("input", id="email").get("value") or ""


WISHES: list[tuple[dict[str, str], str, str]] = [
    ({}, "en", ""),
    ({"ui_locales": "zh-CN"}, "zh-Hans", ""),
    ({"ui_locales": "fr zh en"}, "zh-Hans", ""),
    ({"ui_locales": "fr"}, "en", ""),
    ({"ui_locales": "zh " * 70}, "en", ""),
    ({"login_hint": ADA}, "en", ADA),
    ({"login_hint": '"><script>alert(1)</script>'}, "en", '"><script>alert(1)</script>'),
    ({"login_hint": "x" * 320}, "en", "x" * 320),
    ({"login_hint": "x" * 321}, "en", ""),
    *(({"display": value}, "en", "") for value in ("page", "popup", "touch", "wap", "klingon")),
    ({"claims_locales": "zh-CN"}, "en", ""),
]


async def test_what_an_app_wishes_for_changes_the_page_so_far_and_no_further(site: Site, visit: Visit) -> None:
    app, plain = App(site), await visit(site).open(App(site).request())
    for wish, language, email in WISHES:
        browser = await visit(site).open(app.request(**wish))
        assert seen(browser) == (language, email), wish
        assert "<script>alert" not in browser.reply.text
        assert language != "en" or shape(browser) == shape(plain), wish


async def test_nothing_is_refused_for_a_wish(site: Site, visit: Visit) -> None:
    app, browser = App(site), visit(site)
    wishes = {"ui_locales": "zh-CN", "login_hint": LI, "display": "klingon", "claims_locales": "fr"}
    await browser.open(app.request(**wishes))
    await browser.press("login-submit", email=ADA, password=PASSWORD)
    assert browser.page.one("html")["lang"] == "zh-Hans", "she has chosen none"
    await browser.press("consent-allow")
    assert "code" in app.answer(browser)


def shape(browser: Visitor) -> tuple[str, list[tuple[str, str | None, str | None]]]:
    """The words, and which elements there are."""
    return browser.text, [(each.name, each.get("id"), each.get("class")) for each in browser.page.all()]


async def test_a_wish_never_goes_before_what_the_person_said(site: Site, visit: Visit) -> None:
    """His own language, and who is signed in already."""
    app, browser = App(site), visit(site)
    await browser.sign_in(LI)
    await browser.open(app.request(ui_locales="en", login_hint=ADA))
    assert browser.at.startswith("/consent") and browser.page.one("html")["lang"] == "zh-Hans"
    assert LI in browser.text and ADA not in browser.text


async def test_a_hint_names_the_one_person_who_may_come_back(site: Site, visit: Visit) -> None:
    """`id_token_hint`: with a page, without one, after its time, and one that is none."""
    app, ada, li = App(site), visit(site), visit(site)
    await ada.sign_in(ADA)
    await li.sign_in(LI)
    hint = (await app.tokens(ada))["id_token"]
    await app.tokens(li)
    await ada.get(app.request(id_token_hint=hint, prompt="none"))
    assert "code" in app.answer(ada)
    await li.get(app.request(id_token_hint=hint, prompt="none"))
    assert app.answer(li)["error"] == "login_required"
    await li.open(app.request(id_token_hint=hint))
    assert li.at.startswith("/login?interaction=")
    await li.press("login-submit", email=LI, password=PASSWORD)
    assert app.answer(li)["error"] == "login_required", "asked once, and not for ever"
    await li.open(app.request(id_token_hint=hint))
    await li.press("login-submit", email=ADA, password=PASSWORD)
    assert "code" in app.answer(li)
    await ada.get(app.request(id_token_hint=hint[:-4] + "AAAA", prompt="none"))
    assert app.answer(ada)["error"] == "invalid_request"
