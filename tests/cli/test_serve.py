"""`login-bridge serve`: the demo as printed, the server it becomes, and how it stops — DESIGN §3, §10; security §27."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from bridge.cli import demo as demo_of
from tests import servers
from tests.cli.conftest import Command
from tests.cli.serving import Demo, clean_environment, serve_command, serving
from tests.patience import PATIENCE

PASSWORD = "four rivers and a kettle"


def test_the_printed_curl_validates_a_login(demo: Demo) -> None:
    curl = servers.need("curl", "apt install curl")
    (line,) = [line.strip() for line in demo.printed.splitlines() if line.strip().startswith("curl ")]
    done = subprocess.run(
        ["bash", "-c", line.replace("curl ", f"{curl} -sS ")], capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert (answer["result"], answer["userid"], answer["twoFactorEnabled"]) == ("success", 1, False)
    assert len(answer["passwordhash"]) == 40


def test_the_printed_issuer_is_the_discovered_one(demo: Demo) -> None:
    issuer, discovery = demo.value("issuer"), demo.value("discovery")
    assert issuer == demo.url
    assert httpx2.get(discovery).json()["issuer"] == issuer


def test_the_printed_page_is_there_for_a_browser(demo: Demo) -> None:
    page = next(line.strip() for line in demo.printed.splitlines() if line.strip().endswith("/account"))
    with httpx2.Client(follow_redirects=True) as browser:
        reply = browser.get(page)
    assert (reply.status_code, reply.url.path) == (200, "/login")
    assert 'name="password"' in reply.text


def test_the_printed_client_may_ask_for_a_code_and_redeem_nothing_made_up(demo: Demo) -> None:
    sent = {"grant_type": "authorization_code", "code": "x", "redirect_uri": demo.value("redirect_uri")}
    client = (demo.value("client_id"), demo.value("client_secret"))
    reply = httpx2.post(f"{demo.url}/oauth/token", data=sent, auth=client)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_grant")
    reply = httpx2.post(f"{demo.url}/oauth/token", data=sent, auth=(client[0], "wrong"))
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_the_printed_command_works_on_the_demo(demo: Demo) -> None:
    """As it stands, wherever the command was installed."""
    (line,) = [line.strip() for line in demo.printed.splitlines() if "login-bridge user list" in line]
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=demo.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "demo@example.com" in done.stdout


def test_the_printed_app_brings_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation for serving has no library to call an issuer by."""
    monkeypatch.chdir(tmp_path)
    shown = demo_of.Demo(
        base_url="http://127.0.0.1:8000",
        port=8_000,
        kept=demo_of.Kept(password="p", identifier="i", secret="s", client_secret="c"),
    )
    assert shown.app is None, "no checkout"
    (tmp_path / "examples").mkdir()
    (tmp_path / demo_of.EXAMPLE).touch()
    assert shown.app is not None and shown.app.startswith("ISSUER=http://127.0.0.1:8000 CLIENT_ID=demo ")
    monkeypatch.setattr(demo_of, "find_spec", lambda _: None)
    assert shown.app is not None and shown.app.startswith(f"{sys.executable} -m pip install --quiet httpx2 && ISSUER=")


@pytest.mark.slow
def test_a_second_start_prints_the_same_and_it_is_true_again(
    demo: Demo, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.folder)
    monkeypatch.setenv("BRIDGE_CONFIG", "var/demo/bridge.toml")
    assert command("user", "disable", "demo@example.com").status == 0
    assert command("credential", "remove", "demo").status == 0
    assert command("client", "disable", "demo").status == 0
    with serving(demo.folder, "--demo", port=servers.free_port()) as again:
        for name in ("client_id", "client_secret"):
            assert again.value(name) == demo.value(name)
        assert again.value("curl").partition(" -d ")[2] == demo.value("curl").partition(" -d ")[2]
        test_the_printed_curl_validates_a_login(again)


def test_json_says_the_same(other: Demo) -> None:
    said = json.loads(other.printed.splitlines()[0])
    assert said["issuer"] == said["base_url"] == other.url
    assert said["discovery"] == f"{other.url}/.well-known/openid-configuration"
    port = int(other.url.rpartition(":")[2])
    assert said["client"]["redirect_uri"] == f"http://127.0.0.1:{port + 1}/callback"
    assert said["curl"].startswith(f"curl {other.url}/includes/api.php -d action=ValidateLogin")
    assert set(said["user"]) == {"email", "password"}


def test_demo_secrets_are_random_and_private(demo: Demo, other: Demo) -> None:
    ours, theirs = ((each.folder / "var/demo/demo.json").read_text() for each in (demo, other))
    assert not set(json.loads(ours).values()) & set(json.loads(theirs).values())
    for path in (demo.folder / "var/demo").glob("*[!l]"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_demo_writes_into_no_database_of_others(other: Demo) -> None:
    assert (other.folder / "var/demo/bridge.db").exists()
    assert (other.folder / "var/demo/store.db").exists()
    assert not (other.folder / "others.db").exists()


@pytest.mark.slow
def test_the_demo_leaves_alone_what_is_served_from_the_same_folder(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(place, "--demo", port=servers.free_port()) as demo:
        assert demo.value("issuer") == demo.url
    assert command("user", "list", "--json").json == []
    monkeypatch.setenv("BRIDGE__SERVER__TRUSTED_PROXIES", "127.0.0.1")
    assert command("check").status == 0


@pytest.mark.slow
@pytest.mark.parametrize(("proxies", "told"), [("", True), ("127.0.0.1", False)])
def test_the_log_begins_with_a_tls_proxy_that_is_not_named(place: Path, proxies: str, told: bool) -> None:
    given = {"BRIDGE__SERVER__TRUSTED_PROXIES": proxies, "BRIDGE__MAIL__URL": "file:mail"}
    with serving(place, port=servers.free_port(), environment=given) as server:
        assert ("server.trusted_proxies is empty" in server.log()) is told


def test_the_demo_has_settings_of_its_own(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = command("serve", "--demo", "--config", "bridge.toml")
    assert (said.status, list(tmp_path.iterdir())) == (1, [])
    assert said.err == "login-bridge: --demo has settings of its own: --config does not go with it\n"


def test_the_demo_answers_this_machine_alone(demo: Demo) -> None:
    for headers in ({"Host": "login.example.com"}, {"X-Forwarded-For": "10.0.0.1"}):
        assert httpx2.get(f"{demo.url}/login", headers=headers).status_code == 421


def test_the_server_tells_nobody_what_it_is(demo: Demo) -> None:
    headers = httpx2.get(f"{demo.url}/healthz").headers
    assert "server" not in headers


def test_no_query_is_logged(demo: Demo) -> None:
    httpx2.get(f"{demo.url}/includes/api.php?action=ValidateLogin&password2=PLANTED&identifier=PLANTED")
    httpx2.get(f"{demo.url}/reset/t/PLANTED")
    time.sleep(0.2)
    assert "PLANTED" not in demo.log()
    assert "GET " not in demo.log()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_who_is_refused_again_and_again_fills_no_disk_and_all_of_it_is_counted(tmp_path: Path, workers: int) -> None:
    """Events of ours, and what the server below says of requests that are none."""
    given = {"BRIDGE__EVENTS__LOG_REFUSALS": "5", "BRIDGE__EVENTS__LOG_FORMAT": "json"}
    options, count = ("--demo", "--workers", str(workers)), 40
    with serving(tmp_path, *options, port=servers.free_port(), environment=given) as demo:
        began = time.monotonic()
        for number in range(count):
            with socket.create_connection((servers.LOOPBACK, int(demo.url.rpartition(":")[2])), timeout=10) as client:
                client.sendall(b"nonsense %d\r\n\r\n" % number)
                while client.recv(1_000):
                    pass
        with httpx2.Client(base_url=demo.url, auth=("demo", "wrong")) as http:
            replies = [http.post("/oauth/token", data={"grant_type": "refresh_token"}) for _ in range(count)]
        assert {reply.status_code for reply in replies} == {401}
        minutes = int((time.monotonic() - began) // 60) + 2
        assert demo.stop() == 0
        lines = [json.loads(line) for line in demo.log().splitlines() if line.startswith("{")]
    refused = [line for line in lines if line["event"] == "token.refused"]
    invalid = [line["event"] for line in lines if "Invalid HTTP request" in line["event"]]
    told = {
        "token.refused": [int(line["details"]["rows"]) for line in refused if line["reason"] == "too-many"],
        "invalid": [int(text.partition(" more left out")[0]) for text in invalid if "left out" in text],
    }
    for written, left_out in ((len(refused), told["token.refused"]), (len(invalid), told["invalid"])):
        itself = written - len(left_out)
        assert 5 <= itself <= 5 * workers * minutes and itself + sum(left_out) == count, lines


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server((servers.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            serve_command("--demo", "--port", str(port)),
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"login-bridge: 127.0.0.1:{port}: Address already in use; --port takes another\n"


def test_production_serves_what_init_made_and_stops_in_good_order(place: Path) -> None:
    with serving(place, port=servers.free_port()) as server:
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
        assert httpx2.get(f"{server.url}/readyz").status_code == 200
        assert (
            httpx2.get(f"{server.url}/.well-known/openid-configuration").json()["issuer"] == "https://login.example.com"
        )
        assert server.stop() == 0
    assert "Traceback" not in server.log()
    for line in server.log().splitlines():
        json.loads(line)


def test_production_without_tables_names_the_remedy(place: Path, command: Command) -> None:
    (place / "var/bridge.db").unlink()
    said = command("serve", "--port", str(servers.free_port()))
    assert said.status == 1
    assert said.err.endswith("login-bridge migrate\n")
    assert said.err.count("\n") == 1


def test_a_worker_has_nothing_of_the_command_line(place: Path, tmp_path: Path) -> None:
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import signal, sys, pathlib\n"
        "def tell(*_):\n"
        f"    written = pathlib.Path({str(spy / 'begun')!r})\n"
        "    written.write_text('\\n'.join(sorted(sys.modules)))\n"
        "    written.rename(written.with_name('modules'))\n"
        "signal.signal(signal.SIGUSR1, tell)\n"
    )
    environment = {"PYTHONPATH": str(spy)}
    with serving(place, port=servers.free_port(), environment=environment) as server:
        httpx2.get(f"{server.url}/login")
        os.kill(server.process.pid, signal.SIGUSR1)
        assert servers.within(PATIENCE, (spy / "modules").exists)
        modules = {name.partition(".")[0] for name in (spy / "modules").read_text().splitlines()}
    assert {"bridge", "uvicorn", "sqlalchemy"} <= modules
    assert modules & {"alembic", "typer", "rich"} == set()


@pytest.mark.slow
def test_two_workers_share_the_work_and_stop_together(place: Path) -> None:
    with serving(place, "--workers", "2", port=servers.free_port()) as server:
        children = _children(server.process.pid)
        assert len(children) >= 2
        assert httpx2.get(f"{server.url}/readyz").status_code == 200
        assert server.stop() == 0
        assert servers.within(PATIENCE, lambda: not [pid for pid in children if _lives(pid)])
    assert "Traceback" not in server.log()


def test_who_is_asked_to_stop_before_it_serves_stops() -> None:
    asked = (
        "import os, signal, time; from bridge.cli import worker; signal.signal(signal.SIGTERM, worker._asked_to_stop)"
    )
    begun = time.monotonic()
    told = subprocess.run([sys.executable, "-c", f"{asked}; os.kill(os.getpid(), 15); time.sleep(60)"], check=False)
    assert told.returncode == 0 and time.monotonic() - begun < 50


@pytest.mark.slow
def test_workers_that_are_slow_to_begin_are_waited_for(place: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text(
        "import sys, time\nif '--multiprocessing-fork' in sys.orig_argv:\n    time.sleep(8)\n"
    )
    with serving(place, "--workers", "2", port=servers.free_port(), environment={"PYTHONPATH": str(slow)}) as server:
        assert "died" not in server.log()


@pytest.mark.slow
def test_it_serves_tls_by_itself(place: Path, tmp_path: Path) -> None:
    openssl = servers.need("openssl", "apt install openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*request, "-out", cert, "-keyout", key], capture_output=True, check=True)
    with serving(place, "--tls-cert", str(cert), "--tls-key", str(key), port=servers.free_port(), tls=True) as server:
        assert httpx2.get(f"{server.url}/healthz", verify=False).status_code == 200


@pytest.mark.slow
def test_sigterm_under_load_leaves_nothing_done_without_its_answer(place: Path, command: Command) -> None:
    command("user", "add", "jo@example.com", "--password-stdin", stdin=f"{PASSWORD}\n")
    caller = command("credential", "add", "portal", "--all-actions", "--json").json
    sent = {"action": "ValidateLogin", "identifier": caller["identifier"], "secret": caller["secret"]}
    sent |= {"email": "jo@example.com", "password2": PASSWORD, "responsetype": "json"}
    answers: list[httpx2.Response] = []
    broken: list[Exception] = []
    with serving(place, port=servers.free_port()) as server:
        threads = [Thread(target=_knock, args=(server.url, sent, answers, broken)) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert servers.within(20, lambda: len(answers) > 20)
        status = server.stop()
        for thread in threads:
            thread.join(20)
    assert status == 0
    assert broken == []
    assert {(answer.status_code, answer.json()["result"]) for answer in answers} == {(200, "success")}
    told = [json.loads(line) for line in command("audit", "export", "--since", "1h").out.splitlines()]
    assert sum(row["kind"] == "session.created" for row in told) == len(answers)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all who only look."""
    with serving(tmp_path_factory.mktemp("demo"), "--demo", port=servers.free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Another demo, told as JSON, where the environment is set for something else."""
    folder = tmp_path_factory.mktemp("other")
    others = {"DATABASE_URL": f"sqlite:///{folder}/others.db", "REDIS_URL": "redis://127.0.0.1:1"}
    with serving(folder, "--demo", "--json", port=servers.free_port(), environment=others) as running:
        yield running


def _knock(url: str, sent: dict[str, str], answers: list[httpx2.Response], broken: list[Exception]) -> None:
    """Ask again and again until nobody listens."""
    with httpx2.Client(timeout=20) as client:
        while True:
            try:
                answers.append(client.post(f"{url}/includes/api.php", data=sent))
            except (httpx2.ConnectError, httpx2.ReadError, httpx2.WriteError):
                return  # the connection was closed between two requests
            except httpx2.HTTPError as error:
                if "without sending a response" not in str(error):  # half an answer is what must not happen
                    broken.append(error)
                return


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
