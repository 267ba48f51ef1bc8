"""Each example, started as its own first lines say, and used — style §9."""

import ast
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests import servers
from tests.cli.serving import Demo, serving
from tests.flows.visitor import Visitor
from tests.house.project import ROOT
from tests.road import Road, a_road

EMAIL, PASSWORD = "me@example.com", "a password of your own"
Visit = Callable[[str], Visitor]


async def test_the_starlette_app_knows_its_user(road: Road, visit: Visit) -> None:
    road.walk(typed("starlette_app.py"))
    me = visit(road.url)
    await me.open("/")
    assert me.at == "/login?next=/"
    await me.press("login-submit", email=EMAIL, password=PASSWORD)
    assert (me.at, me.page.text) == ("/", f"Hello, {EMAIL}Account Sign out")
    await me.open("/staff")
    assert me.page.text == f"The staff room, {EMAIL}"
    road.run(f"login-bridge user logout {EMAIL}")
    assert (await me.get("/staff")).status_code == 403


@pytest.mark.slow
async def test_the_fastapi_app_knows_its_user(road: Road, visit: Visit) -> None:
    road.walk(typed("fastapi_app.py"))
    me = visit(road.url)
    assert (await me.get("/me")).status_code == 401
    assert (await me.get("/open")).json() == "no sign-in needed"
    await me.open("/login")
    await me.press("login-submit", email=EMAIL, password=PASSWORD)
    assert (await me.get("/me")).json()["email"] == EMAIL


@pytest.mark.slow
async def test_the_printed_client_signs_somebody_in_to_the_printed_app(demo: Demo, visit: Visit) -> None:
    """As `serve --demo` prints it: the program, its client, the person."""
    (line,) = [line.strip() for line in demo.printed.splitlines() if line.strip().startswith("ISSUER=")]
    command, _, url = line.partition("  # then open ")
    with servers.running(["bash", "-c", f"exec env {command}"], folder=demo.folder, ready=lambda: _listens(url)):
        app, issuer = visit(url), visit(demo.url)
        await app.open("/")
        assert "Sign in" in app.page.text
        await app.open("/login")
        await issuer.open(app.sent_to)
        await issuer.press("login-submit", email="demo@example.com", password=demo.value("demo@example.com, password"))
        assert "Demo App" in issuer.text
        await issuer.press("consent-deny")
        await app.open(issuer.sent_to)
        assert (app.reply.status_code, "access_denied" in app.page.text) == (400, True)

        await app.open("/login")
        await issuer.open(app.sent_to)
        await issuer.press("consent-allow")
        await app.open(issuer.sent_to)
        assert (app.at, "Hello, Demo User" in app.page.text) == ("/", True)

        await app.open("/logout")
        await issuer.open(app.sent_to)
        assert issuer.sent_to.startswith(f"{url}/")
        await issuer.open("/account")
        assert issuer.at.startswith("/login")
        await app.open("/")
        assert "Sign in" in app.page.text


@pytest.mark.slow
async def test_a_satellite_in_another_process_sees_the_session_and_its_end(
    tmp_path: Path, visit: Visit, valkey_server: servers.Server
) -> None:
    port, near = servers.free_port(), servers.free_port()
    store = {"BRIDGE__STORE__URL": valkey_server.url}
    with serving(tmp_path, "--demo", port=port, environment=store) as bridge, a_road(tmp_path) as road:
        road.environment |= store | {"BRIDGE_CONFIG": "var/demo/bridge.toml"}
        del road.environment["BRIDGE__SERVER__PORT"]
        keys = road.run("login-bridge session reader-keys").strip()
        (tmp_path / "examples").symlink_to(ROOT / "examples")
        road.environment |= {"REDIS_URL": valkey_server.url, "ISSUER": bridge.url, "RECORD_KEYS": keys}
        url = f"http://{servers.LOOPBACK}:{near}"
        line = f"exec uvicorn examples.satellite:app --no-proxy-headers --port {near}"
        given = [f"{name}={value}" for name, value in road.environment.items()]
        other = tmp_path / "other"
        other.mkdir()
        (other / "examples").symlink_to(ROOT / "examples")
        with servers.running(["env", "-i", *given, "bash", "-c", line], folder=other, ready=lambda: _listens(url)):
            me = visit(bridge.url)
            await me.sign_in("demo@example.com", bridge.value("demo@example.com, password"))
            there = Visitor(me.http, url, dict(me.jar))
            assert (await there.get("/")).json()["signed in"] is True
            road.run("login-bridge user logout demo@example.com")
            assert (await there.get("/")).json()["signed in"] is False
            reply = await there.get("/private")  # nothing answers sign_in_path(…) without an origin
            assert (reply.status_code, "set ORIGIN" in reply.text) == (403, True)


def test_the_php_call_validates_a_login(demo: Demo) -> None:
    php = servers.need("php", "apt install php-cli php-curl")
    fields = [part.partition("=") for part in demo.value("curl").split(" -d ")[1:]]
    curl = {name: value for name, _, value in fields}
    given = {
        "LOGIN_API": f"{demo.url}/includes/api.php",
        "LOGIN_IDENTIFIER": curl["identifier"],
        "LOGIN_SECRET": curl["secret"],
        "PATH": "/usr/bin:/bin",
    }
    command = [php, str(ROOT / "examples/php_curl/validate_login.php"), curl["email"], curl["password2"]]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"result":"success"' in done.stdout


def test_every_example_is_used_by_a_test() -> None:
    there = {path.name for path in (ROOT / "examples").iterdir() if not path.name.startswith("__")}
    assert there == {"starlette_app.py", "fastapi_app.py", "satellite.py", "oidc_client.py", "php_curl"}


def test_wherever_an_app_is_started_the_bridge_alone_decides_whom_a_forwarded_address_is_believed() -> None:
    """uvicorn believes everybody on this host by itself, whatever `server.trusted_proxies` says."""
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]
    started = re.findall(r"\buvicorn \S+:app\b.*", "\n".join(path.read_text("utf-8") for path in texts))
    assert len(started) >= 4
    assert [line for line in started if "--no-proxy-headers" not in line] == []


def typed(name: str) -> list[str]:
    """The commands in an example's first lines."""
    said = ast.get_docstring(ast.parse((ROOT / "examples" / name).read_text("utf-8"))) or ""
    return [line.strip() for line in said.splitlines() if line.startswith("    ")]


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    """A folder with the examples in it."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with a_road(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    (folder / "examples").symlink_to(ROOT / "examples")
    with serving(folder, "--demo", port=servers.free_port()) as running:
        yield running


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """Makes browsers."""
    async with httpx2.AsyncClient() as http:
        yield lambda url: Visitor(http, url)


def _listens(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
