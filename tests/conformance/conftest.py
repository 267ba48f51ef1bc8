"""One bridge for all modules of a file, with the clients that the suite is."""

import time
import tomllib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

import httpx2
import pytest

from bridge.testing.hands import Hands
from tests.conformance.configuration import EMAIL, PASSWORD, clients
from tests.conformance.party import SUITE, Party
from tests.databases import sqlite_template
from tests.flows.conftest import house
from tests.flows.portal import portal
from tests.house.project import ROOT
from tests.running import ADA, Furnished, Given, Site, in_process
from tests.running import PASSWORD as ADAS

__all__ = ["house", "sqlite_template"]

ACCOUNT: Final = ROOT / "tests" / "conformance" / "account.form"
"""What docs/conformance.md posts, so that there is an address to tell of."""
OF_THE_CALL: Final = frozenset({"identifier", "secret", "action", "responsetype"})


@pytest.fixture(scope="module")
def clock() -> Hands:
    """The clock of `site`, which stands still until a module waits."""
    return Hands(time.time())


@pytest.fixture(scope="module")
async def site(house: Furnished, clock: Hands, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A bridge with the clients of `python -m tests.conformance --print-clients`."""
    assert (EMAIL, PASSWORD) == (ADA, ADAS)
    folder = tmp_path_factory.mktemp("conformance")
    judged = tomllib.loads((ROOT / "config" / "conformance.toml").read_text("utf-8"))
    more: Given = {
        ("mail", "url"): f"file:{folder / 'mail'}",
        ("legacy", "enabled"): judged["legacy"]["enabled"],
        **{("oidc", name): value for name, value in judged["oidc"].items()},
    }
    async with in_process(house.copy(folder), more=more, clock=clock) as site:
        await site.bridge.rooms.clients.import_(clients(SUITE))
        told = dict(parse_qsl(ACCOUNT.read_text("utf-8"))) | {"owner_user_id": str((await site.user(ADA)).id)}
        profile = {name: value for name, value in told.items() if name not in OF_THE_CALL}
        assert (await (await portal(site, told["action"])).call(told["action"], **profile))["result"] == "success"
        yield site


@pytest.fixture
async def party(site: Site) -> AsyncIterator[Callable[..., Party]]:
    """`party("oidcc-…")`: the suite's first client in that module, with a new browser."""
    transport = httpx2.ASGITransport(site.bridge, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        yield partial(Party, site, http)
