"""A browser without pictures: cookies, forms, redirects; and every header, so that a test can be somebody else's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2

from tests.pages.reading import Element, read
from tests.running import PASSWORD

HTML: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
MOST_HOPS: Final = 12


@dataclass
class Form:
    """One form of a page: where it goes, and what it would send."""

    action: str
    fields: dict[str, str]


@dataclass
class Visitor:
    """One browser.  `reply` is the last answer; `jar` its cookies by name; `trail` every address it was at."""

    http: httpx2.AsyncClient
    url: str
    jar: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, str] = field(default_factory=lambda: {"accept": HTML, "accept-language": "en"})
    set: dict[str, str] = field(default_factory=dict[str, str])
    """Each cookie's last Set-Cookie line."""
    trail: list[str] = field(default_factory=list[str])
    last: httpx2.Response | None = None

    @property
    def reply(self) -> httpx2.Response:
        assert self.last is not None, "nothing was asked for yet"
        return self.last

    @property
    def at(self) -> str:
        """Path and query of where it is, or the whole address elsewhere."""
        address = str(self.reply.url)
        return address.removeprefix(self.url) if address.startswith(self.url) else address

    @property
    def page(self) -> Element:
        return read(self.reply.content)

    @property
    def text(self) -> str:
        """What is read on the page."""
        return self.page.one("body").text

    @property
    def query(self) -> dict[str, str]:
        """The query of where it is, or of where it was sent."""
        place = self.reply.headers.get("location") or str(self.reply.url)
        return dict(parse_qsl(urlsplit(place).query))

    async def request(
        self, method: str, path: str, form: Mapping[str, str] | None = None, **headers: str | None
    ) -> httpx2.Response:
        """One request, with the cookies; a header that is None is left out, `_` in its name is a dash."""
        sent = {**self.headers, **({"origin": self.url, "sec_fetch_site": "same-origin"} if method == "POST" else {})}
        sent |= {"cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items())} if self.jar else {}
        merged: dict[str, str | None] = {**sent, **headers}
        whole = {name.replace("_", "-"): value for name, value in merged.items() if value is not None}
        body = urlencode(form).encode() if form is not None else None
        if body is not None:
            whole.setdefault("content-type", "application/x-www-form-urlencoded")
        lines = [(name.encode(), value.encode("latin-1")) for name, value in whole.items()]
        reply = await self.http.request(method, urljoin(self.url, path), content=body, headers=lines)
        self.last = reply
        self.trail.append(f"{method} {self.at}")
        self._keep(reply)
        return reply

    async def get(self, path: str, **headers: str | None) -> httpx2.Response:
        return await self.request("GET", path, None, **headers)

    async def post(self, path: str, form: Mapping[str, str], **headers: str | None) -> httpx2.Response:
        return await self.request("POST", path, form, **headers)

    async def open(self, path: str) -> "Visitor":
        """GET, and on to wherever that leads on this host."""
        await self.get(path)
        return await self.follow()

    async def follow(self) -> "Visitor":
        """On through redirects and refreshing pages, until there is a page, or another host."""
        for _ in range(MOST_HOPS):
            onward = onward_of(self.reply)
            if onward is None or not urljoin(str(self.reply.url), onward).startswith(self.url + "/"):
                return self
            await self.get(urljoin(str(self.reply.url), onward))
        raise AssertionError(f"redirected for ever: {self.trail}")

    @property
    def sent_to(self) -> str:
        """The other host's address that it was sent to."""
        onward = onward_of(self.reply)
        assert onward is not None, (self.reply.status_code, self.text)
        return onward

    def form(self, button: str) -> Form:
        """The form with that button (its id), filled in as it came, the button pressed."""
        for form in self.page.all("form"):
            inputs = form.all("input", "button")
            pressed = [each for each in inputs if each.get("id") == button]
            if pressed:
                sent = [e for e in inputs if e.name == "input" and e.get("name")]
                sent = [e for e in sent if e.get("type") != "checkbox" or "checked" in e.attributes]
                fields = {e["name"]: e.get("value") or "" for e in sent}
                if pressed[0].get("name"):
                    fields[pressed[0]["name"]] = pressed[0].get("value") or ""
                return Form(urljoin(str(self.reply.url), form["action"]), fields)
        raise AssertionError(f"no button {button} at {self.at}: {self.text}")

    async def press(self, button: str, **fields: str) -> "Visitor":
        """Fill in, press, and on to wherever that leads on this host."""
        await self.press_only(button, **fields)
        return await self.follow()

    async def press_only(self, button: str, **fields: str) -> httpx2.Response:
        """The same without following."""
        form = self.form(button)
        return await self.post(form.action, {**form.fields, **fields})

    async def sign_in(self, email: str, password: str = PASSWORD, path: str = "/login") -> "Visitor":
        """By the page, as far as the password leads."""
        await self.open(path)
        return await self.press("login-submit", email=email, password=password)

    def tab(self) -> "Visitor":
        """Another tab of it: the cookies are the same ones."""
        return Visitor(self.http, self.url, self.jar, self.headers, self.set)

    def copy(self) -> "Visitor":
        """Another browser with the same cookies: a thief's."""
        return Visitor(self.http, self.url, dict(self.jar), dict(self.headers))

    def _keep(self, reply: httpx2.Response) -> None:
        for line in reply.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.set[name] = line
            if re.search(r";\s*max-age=0(;|$)", line, re.IGNORECASE):
                self.jar.pop(name, None)
            else:
                self.jar[name] = value


def onward_of(reply: httpx2.Response) -> str | None:
    """Where the answer sends the browser at once: by Location, or by a refresh without delay."""
    if "location" in reply.headers:
        return str(reply.headers["location"])
    if not reply.headers.get("content-type", "").startswith("text/html"):
        return None
    for meta in read(reply.content).all("meta"):
        if (meta.get("http-equiv") or "").lower() == "refresh":
            delay, _, target = meta["content"].partition(";")
            assert delay.strip() == "0", "a page that moves on must do so at once"
            return target.strip().removeprefix("url=")
    return None
