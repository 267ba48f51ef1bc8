"""Each action of the API, given anything: never a 500, and one meaning in json, xml and nvp — whmcs-api §0, §1.2.

Three bridges that are alike are asked the same, each in a form of its own, so that what one call changes the next finds
changed in all three.
"""

import contextlib
import json
import random
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import httpx2
import pytest

from bridge.clients.credential import Rights
from bridge.legacy.actions import Registry
from bridge.secret import Secret
from tests.running import ADA, DAN, IDENTIFIER, LI, PASSWORD, TOM, Furnished, Site, in_process

FORMS: Final = ("json", "xml", "nvp")
FUZZER: Final = {"identifier": "fuzzer", "secret": "x" * 32}
DRAWN: Final = re.compile("hash|token|secret|identifier|uuid|url|created|updated|date|lastlogin", re.IGNORECASE)
"""Names of what differs each time: compared is only whether it is there."""
ITEMS: Final = {"users": "user", "clients": "client"}
HOLDERS: Final = {*ITEMS, "permissions"}
"""What XML shows also while nothing is in it."""
VALUES: Final = [
    "", "0", "1", "2", "3", "4", "5", "99", "-1", "1.5", "9" * 30, "true", "off", "null", "undefined",
    ADA, LI, TOM, DAN, "new@example.com", "NEW@Example.com ", "no address", "a@" + "\U0001f600" * 9,
    PASSWORD, "Ada", "Love%", "a;result=success", "<b>&amp;\r\n\x00\x1b", "\u4e2d\u6587",
    "english", "ASC", "desc", "Active", "Closed", "all", "profile", "profile,contacts", "orders,nothing", "US", "zz",
    "openid profile", "authorization_code", "single_sign_on", "https://notes.example.net/callback", "//evil.example",
    "clientarea:profile", "sso:custom_redirect", "Version", "SystemURL", "x" * 3_000, IDENTIFIER, "127.0.0.1",
]  # fmt: skip


class Triplets:
    """Three bridges, one for each form."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        self._callers = {
            form: httpx2.AsyncClient(
                transport=httpx2.ASGITransport(site.bridge, client=("127.0.0.1", 1)), base_url=site.url
            )
            for form, site in sites.items()
        }
        self.actions = offered(sites["json"])

    async def call(self, action: str, fields: Sequence[tuple[str, str]]) -> Mapping[str, httpx2.Response]:
        """The answer in each form."""
        data = dict([*fields, *FUZZER.items(), ("action", action)])
        return {
            form: await caller.post("/includes/api.php", data=data | {"responsetype": form})
            for form, caller in self._callers.items()
        }


@pytest.fixture
async def triplets(house: Furnished, tmp_path: Path) -> AsyncIterator[Triplets]:
    async with contextlib.AsyncExitStack() as opened:
        sites = dict[str, Site]()
        for form in FORMS:
            (tmp_path / form).mkdir()
            sites[form] = await opened.enter_async_context(in_process(house.copy(tmp_path / form)))
            named = Rights.parse(actions=[action.name for action in offered(sites[form]).values()])
            await sites[form].bridge.rooms.credentials.create(
                "fuzzer", named, identifier=FUZZER["identifier"], secret=Secret(FUZZER["secret"])
            )
        yield Triplets(sites)


def offered(site: Site) -> Registry:
    """The actions of a bridge."""
    return site.bridge._local_api._actions


@pytest.mark.parametrize(
    ("seed", "calls"), [(1, 400), *(pytest.param(seed, 2_000, marks=pytest.mark.slow) for seed in range(2, 6))]
)
async def test_no_parameters_break_an_action_and_each_form_means_the_same(
    triplets: Triplets, seed: int, calls: int
) -> None:
    """Among the calls are such as change people, so later ones meet what earlier ones did: no example stands alone."""
    chance = random.Random(seed)
    names = sorted(triplets.actions)
    for _ in range(calls):
        action = triplets.actions[chance.choice(names)]
        parameters = sorted(action.parameters) or ["nothing"]
        fields = [(_spelled(chance, chance.choice(parameters)), _value(chance)) for _ in range(chance.randrange(9))]
        await check(triplets, action.name, fields)


async def test_each_action_says_something_to_who_gives_nothing(triplets: Triplets) -> None:
    for action in triplets.actions.values():
        await check(triplets, action.name, [])


def _spelled(chance: random.Random, name: str) -> str:
    return chance.choice([name, name, name, f"{name}[0]", f"{name}[general]", f"{name}[]"])


def _value(chance: random.Random) -> str:
    if chance.random() < 0.9:
        return chance.choice(VALUES)
    return "".join(chr(chance.randrange(0xD800)) for _ in range(chance.randrange(12)))


async def check(triplets: Triplets, action: str, fields: Sequence[tuple[str, str]]) -> None:
    """Ask in each form, and compare."""
    replies = await triplets.call(action, fields)
    assert [reply.status_code for reply in replies.values()] == [200] * len(FORMS), f"{action} {fields}"
    said = json.loads(replies["json"].text)
    asked = f"{action} {fields}: {replies['json'].text}"
    assert said["result"] in ("success", "error"), asked
    in_xml = [leaf for leaf in _of_xml(replies["xml"].text) if leaf not in {(path, "") for path in _empty(said, "")}]
    assert in_xml == _of_json(said, items=True), asked
    assert _of_nvp(replies["nvp"].text) == _of_json(said, items=False), asked


def _of_json(said: Mapping[str, Any], *, items: bool) -> list[tuple[str, str]]:
    return sorted(_masked(path, text) for path, text in _leaves(said, "", items))


def _leaves(value: Any, path: str, items: bool) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for key, member in value.items():
                yield from _leaves(member, f"{path}/{key}", items)
        case list():
            name = path.rpartition("/")[2]
            for member in value:
                yield from _leaves(member, f"{path}/{ITEMS[name]}" if items and name in ITEMS else path, items)
        case True:
            yield path, "1"
        case None | False:
            yield path, ""
        case _:
            yield path, str(value)


def _empty(value: Any, path: str) -> Iterator[str]:
    """Where there is nothing: a list of none, and what holds only such."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _empty(member, f"{path}/{key}")
    if isinstance(value, list):
        for member in value:
            yield from _empty(member, f"{path}/{ITEMS.get(path.rpartition('/')[2], '')}".rstrip("/"))
    if isinstance(value, dict | list) and not list(_leaves(value, "", items=False)):
        yield path


def _of_xml(text: str) -> list[tuple[str, str]]:
    def walk(element: ET.Element, path: str) -> Iterator[tuple[str, str]]:
        if not len(element) and (element.tag not in HOLDERS or (element.text or "").strip()):
            yield path, element.text or ""
        for child in element:
            yield from walk(child, f"{path}/{child.tag}")

    root = ET.fromstring(text)
    root.remove(root[0])  # the action
    return sorted(_masked(path, text) for path, text in walk(root, ""))


def _of_nvp(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(";") if part)
    return sorted(_masked(_path(name), value) for name, _, value in pairs)


def _path(name: str) -> str:
    return "/" + "/".join(part for part in re.split(r"[\[\]]+", name) if part and not part.isdigit())


def _masked(path: str, text: str) -> tuple[str, str]:
    """What all forms can carry of it: no control characters, no `;`."""
    if text and DRAWN.search(path.rpartition("/")[2]):
        return path, "…"
    return path, re.sub(r"[\x00-\x1f\x7f-\x85\u2028\u2029\ufffe\uffff; ]", "", text)
