"""A bridge and a satellite of it, in two processes and on two hosts, with one Redis between them."""

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests import servers
from tests.cli.serving import Demo, serving
from tests.house.project import ROOT
from tests.road import a_road

EMAIL = "demo@example.com"


@dataclass(frozen=True)
class TwoHosts:
    """`bridge` at 127.0.0.1, `shop` at localhost: to a browser, two sites."""

    bridge: Demo
    shop: str
    redis: str

    @property
    def password(self) -> str:
        return self.bridge.value(f"{EMAIL}, password")


@contextlib.contextmanager
def two_hosts(folder: Path, redis: str) -> Iterator[TwoHosts]:
    """The demo, and `examples/satellite.py` with the rights of its credential."""
    port, near = servers.free_port(), servers.free_port()
    shop = f"http://localhost:{near}"
    settings = {"BRIDGE__STORE__URL": redis, "BRIDGE__SESSIONS__TICKET_ORIGINS": shop}
    with serving(folder, "--demo", port=port, environment=settings) as bridge, a_road(folder) as road:
        road.environment |= settings | {"BRIDGE_CONFIG": "var/demo/bridge.toml"}
        del road.environment["BRIDGE__SERVER__PORT"]
        keys = road.run("login-bridge session reader-keys").strip()
        made = json.loads(
            road.run("login-bridge credential add shop --allow-action TouchSession --allow-action RedeemTicket --json")
        )
        given = {
            **road.environment,
            "REDIS_URL": redis,
            "ISSUER": bridge.url,
            "RECORD_KEYS": keys,
            "BRIDGE_URL": bridge.url,
            "CREDENTIAL": json.dumps([made["identifier"], made["secret"]]),
            "ORIGIN": shop,
        }
        command = ["env", "-i", *(f"{name}={value}" for name, value in given.items())]
        command += [sys.executable, "-m", "uvicorn", "examples.satellite:app", "--port", str(near)]
        (folder / "satellite").mkdir()
        (folder / "satellite" / "examples").symlink_to(ROOT / "examples")
        with servers.running(command, folder=folder / "satellite", ready=lambda: _answers(f"http://127.0.0.1:{near}")):
            yield TwoHosts(bridge, shop, redis)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
