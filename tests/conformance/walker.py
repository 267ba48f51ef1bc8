"""The suite's browser without scripts: it does on our pages what the suite's configuration says, and no more.

It walks forms and links as `Visitor` does, so what it can do works without JavaScript.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from tests.flows.visitor import Visitor, onward_of


@dataclass
class Walker:
    """One browser with the tasks of one module.  `done`: the tasks; `pictures`: the pages it was to take one of."""

    browser: Visitor
    told: Mapping[str, Any]
    module: str = ""
    done: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """Where the browser is: at a page of ours, or at the client that it was sent to."""
        reply = self.browser.reply
        onward = onward_of(reply)
        if onward is not None:
            return urljoin(str(reply.url), onward)
        return self._posting()[0] if self._posts else str(reply.url)

    @property
    def answer(self) -> dict[str, str]:
        """What the client was given: in its address, behind its #, or in a form."""
        if self._posts:
            return self._posting()[1]
        address = urlsplit(self.where)
        return dict(parse_qsl(address.fragment or address.query, keep_blank_values=True))

    @property
    def way(self) -> str:
        """By which of the three."""
        return "form_post" if self._posts else "fragment" if urlsplit(self.where).fragment else "query"

    async def go(self, address: str, *, by_post: bool = False) -> "Walker":
        """To that address, and on through the tasks that the suite's configuration has for it."""
        self.done, self.pictures = [], []
        entry = next(each for each in self._entries() if fnmatchcase(address, each["match"]))
        if by_post:
            path, _, query = address.partition("?")
            elsewhere = {"origin": "https://elsewhere.example", "sec_fetch_site": "cross-site"}
            await self.browser.post(path, dict(parse_qsl(query)), **elsewhere)
            await self.browser.follow()
        else:
            await self.browser.open(address)
        for task in entry["tasks"]:
            if fnmatchcase(self.where, task["match"]):
                self.done.append(task["task"])
                await self._do(task.get("commands", ()))
            else:
                assert task.get("optional"), f"{task['task']}: at {self.where}, not {task['match']}"
        return self

    async def _do(self, commands: Sequence[Sequence[Any]]) -> None:
        typed: dict[str, str] = {}
        for verb, kind, target, *more in commands:
            if verb == "text":
                assert kind == "name" and (self._has(target) or "optional" in more)
                typed[target] = more[0]
            elif verb == "click":
                if self._has(target):
                    await self.browser.press(target, **typed)
                else:
                    assert more == ["optional"], f"no {target} at {self.where}: {self.browser.text}"
            elif kind == "css":
                tag, _, name = target.partition(".")
                assert any(name in (each.get("class") or "").split() for each in self.browser.page.all(tag)), target
            elif len(more) > 1:
                self._picture(*more[1:])

    def _picture(self, text: str, action: str) -> None:
        assert action.startswith("update-image-placeholder")
        assert re.search(text, self.browser.text), f"{text} is not on {self.where}: {self.browser.text}"
        self.pictures.append(self.browser.text)

    def _has(self, name: str) -> bool:
        return any(name in (each.get("id"), each.get("name")) for each in self.browser.page.all("input", "button"))

    def _entries(self) -> Sequence[Mapping[str, Any]]:
        entries: Sequence[Mapping[str, Any]] = self.told["override"].get(self.module, self.told)["browser"]
        return entries

    @property
    def _posts(self) -> bool:
        reply = self.browser.reply
        html = reply.headers.get("content-type", "").startswith("text/html")
        return html and b'id="form-post-submit"' in reply.content

    def _posting(self) -> tuple[str, dict[str, str]]:
        form = self.browser.form("form-post-submit")
        return form.action, form.fields
