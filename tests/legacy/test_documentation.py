"""What docs/legacy-api.md says is done as it stands there — style §9."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import httpx2
import pytest

from bridge.config.config import sections
from tests.house.project import ROOT
from tests.road import Road, a_road

TEXT = (ROOT / "docs/legacy-api.md").read_text("utf-8")


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with a_road(tmp_path) as found:
        yield found


def blocks(title: str, language: str) -> list[str]:
    """The fenced text below that heading."""
    part = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", part, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_a_provider_is_set_up_as_it_says(road: Road) -> None:
    title = "WHMCS as an OpenID Provider"
    (clients,) = blocks(title, "json")
    (road.folder / "clients.json").write_text(clients, "utf-8")
    road.environment["BRIDGE__SERVER__TRUSTED_PROXIES"] = "127.0.0.1"
    road.walk(["login-bridge init --base-url https://login.example.com --preset whmcs"])
    typed = [line for block in blocks(title, "console") for line in block.splitlines()]
    assert len(typed) == 6 and all(line.startswith("$ ") for line in typed)
    road.walk([line.removeprefix("$ ") for line in typed])
    assert "sub 7b1f5a52-6d0e-4f6b-9a36-1f0c6f2f7a11" in road.printed
    assert "(Forum) need not use PKCE" in road.printed and "(Forum) may send tokens in queries" in road.printed
    assert '"token_endpoint":"https://login.example.com/oauth/token.php"' in road.printed
    secret = re.search(r'"client_secret": "([^"]+)"', clients)
    assert secret is not None
    form = {"grant_type": "authorization_code", "code": "x", "client_secret": secret[1]}
    form |= {"client_id": "ACME-HOSTING.SQxOYrZOUTQC8YTkLQuQ0w=="}
    assert httpx2.post(f"{road.url}/oauth/token.php", data=form).json()["error"] == "invalid_grant"


def test_every_setting_that_it_names_is_there() -> None:
    named = re.findall(rf"`({'|'.join(sections())})\.([a-z_]+)\b", TEXT)
    assert len(named) > 8
    assert [f"{name}.{key}" for name, key in named if key not in {each.name for each in fields(sections()[name])}] == []
