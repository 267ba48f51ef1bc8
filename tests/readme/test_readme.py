"""The README is true: its program protects an app, its commands run in their order, its links lead somewhere — §9."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests import servers
from tests.house.project import ROOT
from tests.road import Road, a_road, listens

README = (ROOT / "README.md").read_text("utf-8")
PASSWORD = "four rivers and a kettle"
ROADS = ("I have a Starlette or FastAPI app", "I want an OpenID Provider", "I run WHMCS")


def section(title: str) -> str:
    """The text below a heading, up to the next."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def commands(text: str) -> list[str]:
    """What is typed: every line after a prompt."""
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def program() -> str:
    """The program at the top."""
    (found,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return str(found)


def test_it_forks_at_once_and_each_road_is_short() -> None:
    first_screen = README.splitlines()[:12]
    for title in ROADS:
        anchor = re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-")
        assert f"- [{title}](#{anchor})" in first_screen
        assert len(commands(section(title))) <= 12
    assert len(program().splitlines()) <= 12


def test_nobody_needs_to_know_whmcs_but_who_runs_it() -> None:
    before = README.partition("## I run WHMCS\n")[0]
    assert [line for line in before.splitlines() if "whmcs" in line.lower()] == ["- [I run WHMCS](#i-run-whmcs)"]


def test_it_says_what_must_be_said() -> None:
    assert "Not affiliated with WHMCS" in section("I run WHMCS")
    assert "libpass, the maintained fork of passlib" in README
    assert "never install both" in README
    order = ["## I have a", "## I want an", "## I run", "## What speaks what", "## How fast", "## Your own users"]
    places = [README.index(part) for part in [*order, "## Security", "CHANGELOG.md"]]
    assert places == sorted(places)


def test_every_link_leads_to_a_file() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(targets) > 20
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_what_is_there_has_its_code_and_its_tests() -> None:
    rows = [line.strip("|").split("|") for line in section("What speaks what").splitlines() if line.startswith("| ")][
        1:
    ]
    assert len(rows) > 10
    for what, state, where, tests in ([cell.strip() for cell in row] for row in rows):
        assert state in {"there", "not yet"}, what
        assert (state == "there") == ("](bridge/" in where) == ("](tests/" in tests), what


def test_every_command_is_run_by_a_test_or_told_why_not() -> None:
    elsewhere = {
        "pip install 'login-bridge[server]'",  # needs a published package
        "make serve",  # test_make_serve_in_a_clone_serves_the_demo
        "make test",  # runs this test
        "make check",  # runs this test
    }
    on_roads = {command for title in ROADS for command in commands(section(title))}
    assert set(commands(README)) - on_roads == elsewhere - {"pip install 'login-bridge[server]'"}


@pytest.mark.slow
def test_the_first_road_ends_in_an_app_that_knows_its_user(road: Road) -> None:
    (road.folder / "app.py").write_text(program())
    road.walk(commands(section(ROADS[0])))
    with httpx2.Client(follow_redirects=True) as browser:
        page = browser.get(road.url)
        assert page.url.path == "/login"
        reply = browser.post(page.url, data=_filled(page.text))
        assert (reply.status_code, reply.text) == (200, "Hello, me@example.com")
        road.run("login-bridge user logout me@example.com")  # the sentence below the commands
        assert browser.get(road.url).url.path == "/login"


@pytest.mark.slow
def test_the_second_road_ends_in_a_provider(road: Road) -> None:
    road.walk(commands(section(ROADS[1])))
    metadata = httpx2.get(f"{road.url}/.well-known/openid-configuration").json()
    assert metadata["issuer"] == "https://login.example.com"
    printed = dict(re.findall(r"^(client_\w+)\s+(\S+)$", road.printed, re.MULTILINE))
    asked = {
        "response_type": "code",
        "client_id": printed["client_id"],
        "redirect_uri": "https://wiki.example.com/callback",
        "scope": "openid",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    reply = httpx2.get(f"{road.url}/oauth/authorize", params=asked)
    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/login?interaction=")


def test_the_third_road_ends_in_a_validated_login(road: Road) -> None:
    road.walk(commands(section(ROADS[2])))
    assert '"result":"success","userid":1,"passwordhash":"' in road.printed


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with a_road(tmp_path) as found:
        yield found


@pytest.mark.slow
def test_make_serve_in_a_clone_serves_the_demo(tmp_path: Path) -> None:
    """On a machine with nothing but Python and make: it makes its environment, installs, prints and serves."""
    make = servers.need("make", "apt install make")
    clone, port = tmp_path / "clone", servers.free_port()
    with _cloned(clone):
        ours = ("BRIDGE_", "REDIS_URL", "DATABASE_URL", "VIRTUAL_ENV", "PYTHONPATH")
        given = [f"{name}={value}" for name, value in os.environ.items() if not name.startswith(ours)]
        command = ["env", "-i", *given, make, "serve", f"PYTHON={sys.executable}", f"ARGS=--port {port}"]
        url = f"http://{servers.LOOPBACK}:{port}"
        with _running_for_minutes(command, clone, ready=lambda: listens(url)) as log:
            assert httpx2.get(f"{url}/.well-known/openid-configuration").json()["issuer"] == url
            printed = log.read_text()
            assert f"{url}/account" in printed
            (curl,) = [line.strip() for line in printed.splitlines() if line.strip().startswith("curl ")]
            done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
            assert '"result":"success"' in done.stdout


@contextmanager
def _cloned(folder: Path) -> Iterator[None]:
    """The files that git has, without its history and without what is ignored."""
    git = servers.need("git", "apt install git")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    yield


@contextmanager
def _running_for_minutes(command: list[str], folder: Path, ready: object) -> Iterator[Path]:
    """As `servers.running`, but its beginning may take as long as an installation."""
    assert callable(ready)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, start_new_session=True)
    try:
        end = time.monotonic() + 600
        while not ready():
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.5)
        yield log
    finally:
        os.killpg(process.pid, 15)  # make, and the server below it
        process.wait(30)


def _filled(page: str) -> dict[str, str]:
    """The form of a page: its hidden fields as they are, and who we are."""
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return dict(hidden) | {"email": "me@example.com", "password": PASSWORD}
