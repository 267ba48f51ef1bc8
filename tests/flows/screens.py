"""A real browser's window: what it may not run into, and what a person does with it."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.running import PASSWORD
from tests.servers import SmtpSink, missing

AXE: Final = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 800}}
WAYS: Final[dict[str, dict[str, Any]]] = {
    "desktop-en": {"script": True, "locale": "en-US", **DESKTOP},
    "desktop-en-noscript": {"script": False, "locale": "en-US", **DESKTOP, "color_scheme": "dark"},
    "phone-zh": {"script": True, "locale": "zh-CN", **PHONE},
    "phone-zh-noscript": {"script": False, "locale": "zh-CN", **PHONE, "color_scheme": "dark"},
}


def ways(quick: str = "") -> pytest.MarkDecorator:
    """Every way; all but the quick one are for `make test-slow`."""
    slow = [() if name == quick else pytest.mark.slow for name in WAYS]
    cases = [pytest.param(way, id=name, marks=mark) for (name, way), mark in zip(WAYS.items(), slow, strict=True)]
    return pytest.mark.parametrize("way", cases)


class Screen:
    """One window with cookies of its own.  `page` is Playwright's."""

    def __init__(self, context: BrowserContext, page: Page, url: str, *, script: bool) -> None:
        self.context = context
        self.page = page
        self.url = url
        self.script = script
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.complaints.append(message.text)

    async def tab(self) -> "Screen":
        """Another tab of it, with the same cookies."""
        return Screen(self.context, await self.context.new_page(), self.url, script=self.script)

    @property
    def path(self) -> str:
        """Where it is, on the bridge's own host."""
        return self.page.url.removeprefix(self.url).partition("?")[0]

    async def open(self, path: str) -> None:
        await self.page.goto(path if path.startswith("http") else self.url + path)

    async def text(self) -> str:
        return " ".join((await self.page.inner_text("body")).split())

    async def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.fill(f"#{name}", value)

    async def press(self, button: str, wait: str | None = None) -> None:
        """Click, and wait until it has arrived: at an address that holds `wait`, or at a page that stays."""
        await self.page.click(f"#{button}")
        if wait is not None:
            await self.page.wait_for_url(f"**{wait}**")
        await self.page.wait_for_load_state()

    async def good(self) -> None:
        """axe finds nothing on this page, nothing is cut off, and nothing ran into a policy."""
        assert self.complaints == []
        if not self.script:
            return
        if not AXE.exists():
            missing("axe-core", "npm ci in tests/clients")
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        result = await self.page.evaluate("rules => axe.run(rules)", RULES)
        assert [f"{each['id']} {each['nodes'][0]['target']}" for each in result["violations"]] == []
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(wide) == 0


async def screen(chromium: Browser, url: str, *, script: bool = True, locale: str = "en-US", **look: Any) -> Screen:
    """A new window."""
    context = await chromium.new_context(java_script_enabled=script, locale=locale, **look)
    context.set_default_timeout(20_000)
    return Screen(context, await context.new_page(), url, script=script)


Open = Callable[..., Coroutine[Any, Any, Screen]]
"""`await window(**look)`: a new browser window."""


def somebody() -> str:
    """An address of its own for each test: they share one bridge."""
    return f"{secrets.token_hex(4)}@example.com"


async def signed_in(window: Screen, email: str, password: str = PASSWORD) -> None:
    """By the page, with the password alone."""
    await window.open("/account")
    await window.fill(email=email, password=password)
    await window.press("login-submit", "/account")


async def letter_to(sink: SmtpSink, email: str, about: str) -> Any:
    """The letter to that address with those words in its subject."""
    for _ in range(600):
        for message, recipients in zip(sink.messages, sink.recipients, strict=False):
            if recipients == [email] and about in message["Subject"]:
                return message
        await asyncio.sleep(0.05)
    raise AssertionError(f"no letter about {about} came to {email}")
