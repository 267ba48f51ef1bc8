"""Every page in a real Chromium: axe-core finds nothing, no policy is hit, nothing is cut off — W1, WCAG 2.2 AA."""

import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Route

from bridge.pages.options import PagesOptions
from bridge.pages.paths import Paths
from bridge.pages.render import Pages
from tests.pages.samples import MOVING, NOW, SCREENS
from tests.servers import missing

pytestmark = pytest.mark.browser

PAGES: Final = Pages(PagesOptions())
NONCE: Final = "n" * 22
HOST: Final = "https://login.example.com"
AXE: Final = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "phone by day": {"viewport": {"width": 390, "height": 760}, "color_scheme": "light"},
    "phone by night": {"viewport": {"width": 320, "height": 600}, "color_scheme": "dark"},
    "desktop by day": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "desktop by night": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
}
PICTURE: Final = '<svg xmlns="http://www.w3.org/2000/svg" width="44" height="44"><rect width="44" height="44"/></svg>'


async def _answer(route: Route) -> None:
    """Our pages with their own headers, the style sheet, and every picture; nothing leaves the machine."""
    path = route.request.url.removeprefix(HOST)
    screen, _, locale = path.strip("/").partition("/")
    if path.startswith(Paths()["stylesheet"]):
        await route.fulfill(body=PAGES.stylesheet.body, content_type="text/css")
    elif path.startswith(Paths()["script"]):
        await route.fulfill(body=PAGES.script.body, content_type="text/javascript")
    elif screen in SCREENS and locale:
        page = SCREENS[screen]
        headers = PAGES.headers(page, locale=locale, https=True, nonce=NONCE)
        await route.fulfill(
            body=PAGES.render(page, locale=locale, paths=Paths(), now=NOW, nonce=NONCE),
            headers={name.decode(): value.decode() for name, value in headers},
        )
    elif route.request.resource_type == "image":
        await route.fulfill(body=PICTURE, content_type="image/svg+xml")
    else:
        await route.fulfill(body="<!doctype html><title>elsewhere</title>", content_type="text/html")


def is_refusal(text: str) -> bool:
    """Whether the browser says that the page's policy stopped something."""
    return "Content Security Policy" in text or "Refused" in text


@pytest.fixture
async def open_context(chromium: Browser) -> AsyncIterator[Any]:
    contexts: list[BrowserContext] = []

    async def opened(**options: Any) -> BrowserContext:
        context = await chromium.new_context(**options)
        contexts.append(context)
        await context.route(re.compile("^https?://"), _answer)
        return context

    yield opened
    for context in contexts:
        await context.close()


STILL: Final = [screen for screen in SCREENS if screen not in MOVING]
EVERYWHERE: Final = [(look, locale) for look in LOOKS for locale in PAGES.languages.names]
CASES: Final = [
    # each screen somewhere, and then each everywhere
    *(pytest.param(*where, STILL[at :: len(EVERYWHERE)], id="-".join(where)) for at, where in enumerate(EVERYWHERE)),
    *(pytest.param(*where, STILL, id="-".join((*where, "every")), marks=pytest.mark.slow) for where in EVERYWHERE),
]


@pytest.mark.parametrize(("look", "locale", "screens"), CASES)
async def test_axe_finds_nothing_and_nothing_is_cut_off(
    open_context: Any, look: str, locale: str, screens: Sequence[str]
) -> None:
    if not AXE.exists():
        missing("axe-core", "npm ci in tests/clients")
    page = await (await open_context(**LOOKS[look])).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    found: list[str] = []
    for screen in screens:
        await page.goto(f"{HOST}/{screen}/{locale}")
        found += [f"{screen}: {text}" for text in said if is_refusal(text)]
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        result = await page.evaluate("rules => axe.run(rules)", RULES)
        found += [f"{screen}: {each['id']} {each['nodes'][0]['target']}" for each in result["violations"]]
        wider = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{screen}: {wider} pixels too wide"] if wider else []
        said.clear()
    assert not found


# With JavaScript the walk above listens too.
SCRIPTS: Final = [
    pytest.param(True, id="with JavaScript", marks=pytest.mark.slow),
    pytest.param(False, id="without JavaScript"),
]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_no_page_runs_into_its_own_policy(open_context: Any, script: bool) -> None:
    page = await (await open_context(java_script_enabled=script)).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    for screen in SCREENS:
        await page.goto(f"{HOST}/{screen}/en")
    assert not [text for text in said if is_refusal(text)]


async def test_the_policy_does_bite(open_context: Any) -> None:
    """The test above listens in the right place."""
    page = await (await open_context()).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    await page.goto(f"{HOST}/login/en")
    await page.evaluate("document.body.setAttribute('style', 'color: red')")
    assert [text for text in said if "Content Security Policy" in text]


async def test_form_post_sends_itself_and_without_javascript_by_its_button(open_context: Any) -> None:
    for script in (True, False):
        context = await open_context(java_script_enabled=script)
        page = await context.new_page()
        async with page.expect_request("https://notes.example.com/callback") as sent:
            await page.goto(f"{HOST}/form-post/en", wait_until="commit")
            if not script:
                await page.click("#form-post-submit")
        request = await sent.value
        assert (request.method, request.post_data) == ("POST", "code=lbc_x&submit=a+b")


async def test_a_person_with_a_keyboard_alone_signs_in(open_context: Any) -> None:
    page = await (await open_context(java_script_enabled=False)).new_page()
    await page.goto(f"{HOST}/login/en")
    await page.wait_for_selector("#email:focus")
    await page.keyboard.type("ada@example.com")
    await page.keyboard.press("Tab")
    await page.keyboard.type("correct horse")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.keyboard.press("Enter")
    request = await sent.value
    assert request.url == f"{HOST}/login"
    assert request.post_data == "csrf=the-csrf&email=ada%40example.com&password=correct+horse"


async def test_whoever_asked_for_less_motion_sees_none(open_context: Any) -> None:
    moving = {}
    for wish in ("reduce", "no-preference"):
        page = await (await open_context(reduced_motion=wish)).new_page()
        await page.goto(f"{HOST}/login/en")
        moving[wish] = await page.evaluate("getComputedStyle(document.querySelector('.button')).transitionDuration")
    assert moving == {"reduce": "0s", "no-preference": "0.12s, 0.12s"}
