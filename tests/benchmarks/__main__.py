"""`make bench`: the table and the JSON of docs/benchmarks.md.

Sides take turns within one run, both warmed; what counts is completions per CPU second of the server, and only while
the server was the bottleneck.
"""

import argparse
import asyncio
import base64
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import growth, servers
from tests.benchmarks.measure import BUSY, Run, load, resident_megabytes
from tests.benchmarks.peer_login import VERIFIER, authorize_path, code_of, post, sent_to_sign_in, sign_in
from tests.benchmarks.setup import CLIENTS, PASSWORD, REDIRECT, Filled, address, fill, settings
from tests.servers import free_port

PEER_SECRET = "a-secret-for-the-benchmark-only-0123456789"
SESSIONS = 1_000
WAITING = (4, 16)
"""Threads and connections that ask for a page."""
VALIDATE_LOGIN = 0.108
"""2,000 calls a CPU second, on a machine on which the bare app answers 18,600 requests (docs/benchmarks.md)."""
Load = Callable[[float], Run]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison."""

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    target: float | None
    busy: float
    unit: str = "completions per CPU second"


def main() -> int:
    """Run everything; returns the exit status (1: somebody's run was not usable)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path, default=Path("var/benchmarks.json"))
    parser.add_argument("--growth", type=Path, metavar="SVG", help="instead: from 1,000 to 100,000 users and sessions")
    asked = parser.parse_args()
    if asked.growth:
        return growth.measure(asked.growth, rounds=asked.rounds, seconds=asked.seconds)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        bench = Bench(Path(folder), stack, rounds=asked.rounds, seconds=asked.seconds)
        rows = [row for name, run in bench.all().items() if asked.only in name for row in run()]
    print(f"Python {platform.python_version()} of {sys.base_prefix}", table(rows), sep="\n\n")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps({**circumstances(), "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    unusable = [row.name for row in rows if row.ratio is not None and row.busy < BUSY]
    for name in unusable:
        print(f"not usable: in {name} the server was not the bottleneck", file=sys.stderr)
    return 1 if unusable else 0


class Bench:
    """All comparisons, over servers that are started when they are first needed."""

    def __init__(self, folder: Path, stack: ExitStack, *, rounds: int, seconds: float) -> None:
        self._folder, self._stack = folder, stack
        self._rounds, self._seconds = rounds, seconds
        self._redis = stack.enter_context(servers.redis_on(folder))
        self._port = free_port()
        self._environment = settings(folder, port=self._port, redis=self._redis)
        self._filled: Filled | None = None

    def all(self) -> dict[str, Callable[[], list[Row]]]:
        """Name → measurement."""
        return {
            "middleware": self.middleware,
            "client-credentials": lambda: self.against_peer("client_credentials", self._own_token, 1.5),
            "introspection": lambda: self.against_peer("introspection", self._introspection, 3.0),
            "userinfo": lambda: self.against_peer("userinfo", self._userinfo, 3.0),
            "discovery": lambda: self.against_peer(
                "discovery", self._document("/.well-known/openid-configuration"), 1.0
            ),
            "jwks": lambda: self.against_peer("jwks", self._document("/oauth/jwks", "/jwks"), 1.0),
            "flow-es256": lambda: self.against_peer("code + PKCE flow, ES256", self._flow("bench-es256"), 3.0),
            "flow-rs256": lambda: self.against_peer("code + PKCE flow, RS256", self._flow("bench-rs256"), 2.0),
            "rotation": lambda: self.against_peer("refresh rotation, ES256", self._rotation, 3.0),
            "sign-in-page": self.sign_in_page,
            "validate-login": self.validate_login,
        }

    @property
    def filled(self) -> Filled:
        if self._filled is None:
            self._filled = asyncio.run(fill(self._environment, self._folder, sessions=SESSIONS))
        return self._filled

    def middleware(self) -> list[Row]:
        """1,000 different live sessions, no session cache: beside the bare app."""
        cookies = {"TARGET": "/", "COOKIES": str(self.filled.app_cookies), "EXPECTED": "hello"}
        ports = free_port(), free_port()
        with (
            servers.app("guarded", self._environment, ports[0]) as ours,
            servers.app("bare", {}, ports[1]) as bare,
        ):
            sides = [
                lambda seconds: load(ours, _url(ports[0]), "single.lua", seconds=seconds, env=cookies),
                lambda seconds: load(bare, _url(ports[1]), "single.lua", seconds=seconds, env=cookies),
            ]
            return [self._compared("middleware, 1,000 sessions / bare app", sides[0], sides[1], 0.5)]

    def against_peer(self, name: str, side: "Callable[[int, str, bool], Load]", target: float) -> list[Row]:
        """The bridge beside npm oidc-provider, both on this Redis."""
        peer_port = free_port()
        _ = self.filled
        with (
            servers.bridge(self._environment, self._port) as ours,
            servers.peer(self._redis, peer_port) as theirs,
        ):
            cookie = sign_in(_url(peer_port), list(CLIENTS), REDIRECT)
            return [
                self._compared(
                    name, side(ours, self.filled.op_cookie, True), side(theirs, cookie, False), target, peer_port
                )
            ]

    def sign_in_page(self) -> list[Row]:
        """How long somebody waits whom an app sends here and whom nobody knows: for the redirect that begins his visit,
        and for the page.  Beside them the bare app, by which a slow machine shows."""
        _, cookies = self.filled, self._folder / "visitor"
        begin = authorize_path("/oauth/authorize", "bench-es256", REDIRECT)
        bare_port = free_port()
        with servers.bridge(self._environment, self._port) as ours, servers.app("bare", {}, bare_port) as bare:
            page, cookie = sent_to_sign_in(_url(self._port) + begin)
            cookies.write_text(cookie + "\n")
            sides = {
                "authorization request without a session": (ours, self._port, {"TARGET": begin, "STATUS": "303"}),
                "sign-in page": (
                    ours,
                    self._port,
                    {"TARGET": page, "COOKIES": str(cookies), "EXPECTED": "login-submit"},
                ),
                "": (bare, bare_port, {"TARGET": "/", "EXPECTED": "hello"}),
            }
            runs: dict[str, list[Run]] = {name: [] for name in sides}
            for _ in range(self._rounds + 1):
                for name, (pid, port, env) in sides.items():
                    run = load(pid, _url(port), "single.lua", seconds=self._seconds, env=env, callers=WAITING)
                    runs[name].append(run)
        if failed := sum(run.failures for each in runs.values() for run in each):
            raise RuntimeError(f"{failed} requests failed")
        beside = statistics.median(run.p99 for run in runs.pop("")[1:])
        return [
            Row(
                f"{name}, p99 at {WAITING[1]} connections",
                round(statistics.median(run.p99 for run in each[1:]), 2),  # the first round warms up
                round(beside, 2),
                None,
                30.0,
                round(statistics.median(run.busy for run in each[1:]), 3),
                "ms, beside the bare app's",
            )
            for name, each in runs.items()
        ]

    def validate_login(self) -> list[Row]:
        """What surrounds the hash (throttle, audit, session), beside the bare app: by that a slow machine shows."""
        filled, bodies = self.filled, self._folder / "bodies"
        known = f"action=ValidateLogin&identifier={filled.identifier}&secret={filled.secret}&responsetype=json"
        password = PASSWORD.replace(" ", "+")
        bodies.write_text("".join(f"{known}&email={address(n)}&password2={password}\n" for n in range(SESSIONS)))
        call = {"METHOD": "POST", "TARGET": "/includes/api.php", "BODIES": str(bodies), "EXPECTED": "passwordhash"}
        hello = {"TARGET": "/", "EXPECTED": "hello"}
        bare_port = free_port()
        with servers.bridge(self._environment, self._port) as ours, servers.app("bare", {}, bare_port) as bare:
            idle = resident_megabytes(ours)
            row = self._compared(
                "ValidateLogin, hash included / bare app",
                lambda seconds: load(ours, _url(self._port), "single.lua", seconds=seconds, env=call),
                lambda seconds: load(bare, _url(bare_port), "single.lua", seconds=seconds, env=hello),
                VALIDATE_LOGIN,
            )
        return [
            row,
            Row(
                "ValidateLogin, hash included",
                1_000 / row.ours,
                None,
                None,
                1.0,
                row.busy,
                "ms of CPU per call, lower is better",
            ),
            Row("memory of an idle worker", idle, None, None, 120.0, 1.0, "MB, lower is better"),
        ]

    def _own_token(self, pid: int, cookie: str, ours: bool) -> Load:
        del cookie
        secret = self._secret(ours)
        env = {
            "METHOD": "POST",
            "TARGET": "/oauth/token" if ours else "/token",
            "BODY": "grant_type=client_credentials" + ("&scope=api" if ours else ""),
            "BASIC": _basic("bench-es256", secret),
            "EXPECTED": "access_token",
        }
        return self._to(pid, ours, "single.lua", env)

    def _introspection(self, pid: int, cookie: str, ours: bool) -> Load:
        """A token of the client's own, asked about by the client."""
        del cookie
        base, secret = _url(self._port if ours else _port_of(pid)), self._secret(ours)
        place, scope = ("/oauth/token", {"scope": "api"}) if ours else ("/token", {})
        grant = {"grant_type": "client_credentials", **scope}
        token = post(base + place, grant, _basic("bench-es256", secret))["access_token"]
        env = {
            "METHOD": "POST",
            "TARGET": "/oauth/introspect" if ours else "/token/introspection",
            "BODY": f"token={token}",
            "BASIC": _basic("bench-es256", secret),
            "EXPECTED": '"active":true',
        }
        return self._to(pid, ours, "single.lua", env)

    def _userinfo(self, pid: int, cookie: str, ours: bool) -> Load:
        """The access token of one sign-in, again and again."""
        base = _url(self._port if ours else _port_of(pid))
        code = code_of(base + authorize_path("/oauth/authorize" if ours else "/auth", "bench-es256", REDIRECT), cookie)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        place = "/oauth/token" if ours else "/token"
        token = post(base + place, form, _basic("bench-es256", self._secret(ours)))["access_token"]
        target = "/oauth/userinfo" if ours else "/me"
        env = {"TARGET": target, "BASIC": f"Bearer {token}", "EXPECTED": '"sub"'}
        return self._to(pid, ours, "single.lua", env)

    def _document(self, path: str, theirs: str | None = None) -> "Callable[[int, str, bool], Load]":
        def side(pid: int, cookie: str, ours: bool) -> Load:
            del cookie
            return self._to(pid, ours, "single.lua", {"TARGET": path if ours else theirs or path, "EXPECTED": "{"})

        return side

    def _secret(self, ours: bool) -> str:
        return self.filled.secrets["bench-es256"] if ours else PEER_SECRET

    def _flow(self, client: str) -> "Callable[[int, str, bool], Load]":
        def side(pid: int, cookie: str, ours: bool) -> Load:
            return self._to(pid, ours, "flow.lua", self._code_flow(client, cookie, ours))

        return side

    def _rotation(self, pid: int, cookie: str, ours: bool) -> Load:
        """Each connection signs in once, and then redeems the newest refresh token that it has."""
        return self._to(pid, ours, "rotation.lua", self._code_flow("bench-refresh", cookie, ours))

    def _code_flow(self, client: str, cookie: str, ours: bool) -> dict[str, str]:
        return {
            "AUTHORIZE": authorize_path("/oauth/authorize" if ours else "/auth", client, REDIRECT),
            "TOKEN": "/oauth/token" if ours else "/token",
            "USERINFO": "/oauth/userinfo" if ours else "/me",
            "COOKIE": cookie,
            "BASIC": _basic(client, self.filled.secrets[client] if ours else PEER_SECRET),
            "REDIRECT": REDIRECT.replace(":", "%3A").replace("/", "%2F"),
        }

    def _to(self, pid: int, ours: bool, script: str, env: dict[str, str]) -> Load:
        def run(seconds: float) -> Run:
            port = self._port if ours else _port_of(pid)
            return load(pid, _url(port), script, seconds=seconds, env=env)

        return run

    def _compared(self, name: str, ours: Load, theirs: Load, target: float, *_: object) -> Row:
        for side in (ours, theirs):
            side(3)  # node needs seconds until it is warm
        pairs = [(ours(self._seconds), theirs(self._seconds)) for _ in range(self._rounds)]
        for mine, other in pairs:
            if mine.failures or other.failures:
                raise RuntimeError(f"{name}: {mine.failures} of ours and {other.failures} of theirs failed")
        return Row(
            name,
            round(statistics.median(mine.rate for mine, _ in pairs), 1),
            round(statistics.median(other.rate for _, other in pairs), 1),
            round(statistics.median(mine.rate / other.rate for mine, other in pairs), 3),
            target,
            round(min(statistics.median(run.busy for run in side) for side in zip(*pairs, strict=True)), 3),
        )


def table(rows: list[Row]) -> str:
    """As docs/benchmarks.md has it."""
    lines = ["| what | ours | theirs | ratio | to reach | busy |", "|---|---|---|---|---|---|"]
    for row in rows:
        theirs, ratio = (f"{row.theirs:g}" if row.theirs else "–"), (f"{row.ratio:g}" if row.ratio else "–")
        lines.append(
            f"| {row.name} ({row.unit}) | {row.ours:.4g} | {theirs} | {ratio} | {row.target:g} | {row.busy:.0%} |"
        )
    return "\n".join(lines)


def circumstances() -> dict[str, Any]:
    """Date and versions."""
    names = (
        "login-bridge",
        "starlette",
        "uvicorn",
        "uvloop",
        "httptools",
        "redis",
        "hiredis",
        "cryptography",
        "msgspec",
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in names},
    }


def _basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _port_of(pid: int) -> int:
    """The port in a server's command line: `node server.mjs PORT REDIS_PORT`."""
    words: Iterator[str] = iter(Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
    return next(int(next(words)) for word in words if word.endswith("server.mjs"))


if __name__ == "__main__":
    sys.exit(main())
