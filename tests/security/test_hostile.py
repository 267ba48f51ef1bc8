"""Whatever is sent to any path of the bridge, the answer is a clear one, and never a 500 — issue 2, to survive.

The examples are drawn by hypothesis and sent straight into the app: no client library tidies them up.
"""

import asyncio
import itertools
import json
import string
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.mailbox import Mailbox
from tests.flows.oauth import CHALLENGE, VERIFIER
from tests.pages.reading import read
from tests.running import ADA, CALLBACK, CLIENT_SECRET, IDENTIFIER, PASSWORD, Furnished, Given, Site, in_process
from tests.security.holdings import Holdings, Visiting, gather

NAMES = [
    *("client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "prompt", "max_age"),
    *("claims", "id_token_hint", "request", "request_uri", "registration", "code_challenge", "code_challenge_method"),
    *("login_hint", "ui_locales", "acr_values", "post_logout_redirect_uri", "grant_type", "code", "code_verifier"),
    *("refresh_token", "client_secret", "client_assertion", "client_assertion_type", "token", "token_type_hint"),
    *("access_token", "interaction", "csrf", "email", "password", "next", "answer", "cancel", "confirm", "other"),
    *("reset", "lang", "nonce", "new_password", "new_password_again", "current_password", "end", "client"),
    *("action", "identifier", "secret", "username", "accesskey", "responsetype", "password2", "clientip", "id"),
    *("email[]", "email[a][b]", "action[", "é", "__proto__", "a" * 300, ""),
]
RIGHT = [
    *("notes", "spa", "robot", CALLBACK, "code", "openid email offline_access", "none", "login", "consent", "0", "-1"),
    *(CHALLENGE, VERIFIER, "S256", "plain", "query", "form_post", "fragment", "authorization_code", "refresh_token"),
    *("client_credentials", ADA, PASSWORD, CLIENT_SECRET, IDENTIFIER, "ValidateLogin", "ResetPassword", "WhmcsDetails"),
    *("json", "xml", "nvp", "allow", "deny", "logout", "stay", "continue", "all", "others", "/account", "//evil", "1"),
    *("zh-CN", "en;q=1", "203.0.113.9", "::1", "{}", '{"id_token":{"sub":null}}', "e30.e30.e30", "lba_" + "A" * 64),
]
HOSTILE = [
    *("\x00", "\r\nSet-Cookie: a=b", "\ud800", "\U0001f600" * 40, "%", "%zz", "'\"><script>", "../" * 20, "{{7*7}}"),
    *("9" * 400, "1e999", "-0", "NaN", "true", "null", "undefined", "[]", "\u202e\u200b", "ı", "x" * 9_000, "\u0130@b"),
    *("a@" + "b." * 130 + "c", "@", "a@b\x00c", "javascript:alert(1)", "http://[::1", "https://a\\@b", "\\\\evil"),
]
JSON = [
    *(b"{}", b"[]", b"null", b'{"token":1}', b'{"token":"x","identifier":null}', b'{"token":"\\ud800"}', b"{" * 5_000),
    *(
        b'{"token":"x","token":"y"}',
        b'{"token":"' + b"a" * 60_000 + b'"}',
        b"[" * 60_000,
        b'{"a":1e999}',
        b"\xff\xfe{}",
    ),
]
BROKEN = [b"%ff=%fe&a", b"&" * 300, b"a=" + b"b" * 70_000, b"=", b"%ed%a0%80=1", b"a=1&a=2", b"\xff"]
METHODS = ["GET", "POST", "HEAD", "POST", "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"]
TYPES = [
    *(b"application/x-www-form-urlencoded", b"application/x-www-form-urlencoded; charset=latin-1", b"application/json"),
    *(b"multipart/form-data; boundary=xyz", b"multipart/form-data", b"multipart/form-data; boundary=", b"text/plain"),
    *(b"", b"\xff/\xfe", b"application/json; charset=utf-7", b"a" * 4_000),
]
HEADERS = {
    b"accept": [b"text/html", b"*/*", b"application/json", b"\xff", b"text/html;q=x", b""],
    b"accept-language": [b"zh-CN,zh;q=0.9", b"*", b"x" * 3_000, b"en;q=\xff", b";;;,,,q=", b"e" * 8 + b"-" * 90],
    b"authorization": [
        *(b"Basic", b"Basic \xff", b"Basic Og==", b"Bearer", b"bearer x y", b"Digest a=b", b"Basic bm90ZXM6eA=="),
        *(b"Bearer \x00", b"Basic " + b"A" * 9_000, b"DPoP x"),
    ],
    b"origin": [b"null", b"https://login.example.com", b"https://evil.example", b"\xff", b"https://[::1"],
    b"sec-fetch-site": [b"same-origin", b"cross-site", b"none", b"\xff"],
    b"sec-purpose": [b"prefetch"],
    b"content-length": [b"5", b"-1", b"99999999999999999999", b"x", b"\xb2", b"0"],
    b"x-forwarded-for": [b"203.0.113.9", b"x, y", b"::1, 10.0.0.1", b"\xff", b"," * 500, b"fe80::1%eth0"],
    b"host": [b"login.example.com", b"evil.example", b"", b"\xff", b"[::1", b"a" * 300],
    b"user-agent": [b"\xff\xfe\x00", b"A" * 5_000, b"<script>"],
    b"referer": [b"https://login.example.com/login", b"\xff"],
}


@dataclass(frozen=True)
class Sent:
    """One request."""

    method: str
    path: str
    query: bytes
    body: tuple[bytes, ...]
    headers: tuple[tuple[bytes, bytes], ...]
    cut: bool
    client: tuple[str, int] | None


@pytest.fixture
async def site(database: Furnished, mailbox: Mailbox) -> AsyncIterator[Site]:
    more: Given = {
        ("mail", "url"): f"file:{mailbox.folder}",
        ("server", "trusted_proxies"): ["10.0.0.0/8"],
        ("legacy", "admin_md5_login"): True,
    }
    async with in_process(database, more=more) as site:
        yield site


def cases(site: Site, held: Holdings, count: int) -> list[Sent]:
    """So many requests, many of them nearly right; every path by every method in turn, the rest as it is drawn."""
    front = site.bridge._front
    paths = [*front.exact, *(prefix + end for prefix in front.prefixes for end in ("x", held["reset"], "a/b", "%00"))]
    odd = ["/", "//login", "/login/", "/login;x", "/x", "*", "/%2e%2e/login", "/ÿ", "/\x00", "/" + "a" * 3_000]
    values = st.sampled_from([*RIGHT, *held.tokens.values()]) | st.sampled_from(HOSTILE) | st.text(max_size=40)
    pairs = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=10)
    forms = pairs.map(_encoded)
    near = st.builds(_near, st.sampled_from(_requests(held)), pairs)
    broken = st.sampled_from(
        [b"%ff=%fe&a", b"&" * 300, b"a=" + b"b" * 70_000, b"=", b"%ed%a0%80=1", b"a=1&a=2", b"\xff"]
    )
    bodies = forms | near | broken | st.sampled_from(JSON) | st.binary(max_size=120) | pairs.map(_multipart)
    cookies = st.lists(st.tuples(st.sampled_from(list(held.browser.jar)), values), max_size=3)
    places = itertools.cycle(itertools.product(METHODS, [*paths, *odd]))
    drawn: list[Sent] = []

    @settings(
        max_examples=count,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        database=None,
    )
    @given(
        st.just(b"") | forms | near | broken,
        bodies,
        st.lists(st.sampled_from(list(HEADERS)).flatmap(_line), max_size=4),
        st.sampled_from(TYPES[:1] * 6 + TYPES),
        st.booleans(),
        cookies,
        st.data(),
    )
    def draw(query: bytes, body: bytes, lines: Any, kind: bytes, jar: bool, more: Any, data: Any) -> None:  # noqa: PLR0917
        method, path = next(places)
        chunk = data.draw(st.sampled_from([1, 7, 4_096, 100_000])) if len(body) < 2_000 else 100_000
        chunks = tuple(body[at : at + chunk] for at in range(0, len(body), chunk)) or (b"",)
        cookie = [*(held.browser.jar.items() if jar else ()), *more]
        headers = [*lines, (b"content-type", kind)]
        if cookie:
            line = "; ".join(f"{name}={value}" for name, value in cookie).encode("utf-8", "surrogatepass")
            headers.append((b"cookie", line))
        client = data.draw(st.sampled_from([("127.0.0.1", 1), ("10.0.0.1", 1), ("203.0.113.9", 1), ("", 0), None]))
        drawn.append(Sent(method, path, query, chunks, tuple(headers), data.draw(st.integers(0, 20)) == 0, client))

    draw()
    return drawn


def _line(name: bytes) -> st.SearchStrategy[tuple[bytes, bytes]]:
    text = st.text(alphabet=string.printable, max_size=30).map(str.encode) | st.binary(max_size=30)
    return st.tuples(st.just(name), st.sampled_from(HEADERS[name]) | text)


def _encoded(pairs: Sequence[tuple[str, str]]) -> bytes:
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs).encode()


def _quoted(text: str) -> str:
    return quote_plus(text.encode("utf-8", "surrogatepass"))


def _near(right: dict[str, str], pairs: Sequence[tuple[str, str]]) -> bytes:
    """A request that is right, but for one or two things."""
    changed = dict(pairs[:2])
    return _encoded([*({**right, **changed}).items(), *pairs[2:3]])


def _requests(held: Holdings) -> list[dict[str, str]]:
    client = {"client_id": "notes", "client_secret": CLIENT_SECRET}
    visit = {"csrf": held["csrf"], "interaction": held["interaction"]}
    return [
        {
            "client_id": "notes",
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "openid",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        },
        {"grant_type": "refresh_token", "refresh_token": held["refresh"], **client},
        {"grant_type": "authorization_code", "code": held["code"], "code_verifier": VERIFIER, **client},
        {"token": held["access"], **client},
        {**visit, "email": ADA, "password": PASSWORD},
        {**visit, "answer": "allow"},
        {"action": "ValidateLogin", "identifier": IDENTIFIER, "secret": held["api-secret"], "email": ADA},
        {"id_token_hint": held["id_token"]},
    ]


def _multipart(pairs: Sequence[tuple[str, str]]) -> bytes:
    parts = [
        f'--xyz\r\ncontent-disposition: form-data; name="{quote(name)}"\r\n\r\n{value}\r\n' for name, value in pairs
    ]
    return ("".join(parts) + "--xyz--").encode("utf-8", "surrogatepass")


async def send(site: Site, sent: Sent) -> list[dict[str, Any]]:
    """What the app said."""
    chunks, said = list(sent.body), list[dict[str, Any]]()
    if sent.cut:
        chunks = chunks[: len(chunks) // 2]

    async def receive() -> dict[str, Any]:
        if not chunks:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks) or sent.cut}

    async def sending(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": sent.method,
        "scheme": "https",
        "path": sent.path,
        "raw_path": quote(sent.path, safe="/*;").encode(),
        "root_path": "",
        "query_string": sent.query,
        "headers": list(sent.headers),
        "client": sent.client,
    }
    async with asyncio.timeout(20):
        await site.bridge(scope, receive, sending)
    return said


def complaint(sent: Sent, said: list[dict[str, Any]]) -> str | None:
    """What is wrong with an answer; None: it is a clear one."""
    if [message["type"] for message in said] != ["http.response.start", "http.response.body"]:
        return f"not one whole answer: {said}"
    status, headers, body = said[0]["status"], said[0]["headers"], said[1].get("body", b"")
    if not 200 <= status < 500:
        return f"status {status}: {body[:300]!r}"
    for name, value in headers:
        if not (type(name) is bytes and type(value) is bytes and name == name.lower()):
            return f"header {name!r}: {value!r}"
        if {b"\r", b"\n", b"\0"} & {bytes([letter]) for letter in value}:
            return f"a header that is two: {name!r}: {value!r}"
    told = dict(headers)
    if sent.method != "HEAD" and int(told.get(b"content-length", b"0")) != len(body):
        return "a wrong length"
    if sent.method == "HEAD":
        return "a body" if body else None
    return _unreadable(told.get(b"content-type", b""), status, body)


def _unreadable(kind: bytes, status: int, body: bytes) -> str | None:
    try:
        if kind.startswith(b"application/json"):
            json.loads(body)
        elif kind.startswith(b"text/html"):
            read(body)
            return None if b"<h1" in body or status < 400 else "a page that says nothing"
        elif status >= 400 and not body:
            return "an error that says nothing"
    except (ValueError, AssertionError) as error:
        return f"cannot be read: {error}: {body[:300]!r}"
    return None


@pytest.mark.parametrize(
    "count", [pytest.param(600, id="some"), pytest.param(12_000, id="many", marks=pytest.mark.slow)]
)
async def test_whatever_is_sent_the_answer_is_a_clear_one(
    site: Site, visit: Visiting, mailbox: Mailbox, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    held = await gather(site, visit, mailbox)
    statuses: dict[int, int] = {}
    for sent in cases(site, held, count):
        said = await send(site, sent)
        assert complaint(sent, said) is None, (complaint(sent, said), sent, caplog.text[-3_000:])
        statuses[said[0]["status"]] = statuses.get(said[0]["status"], 0) + 1
    assert {200, 303, 400, 401, 404, 405} <= statuses.keys(), statuses  # they come past the first check
    assert "Traceback" not in caplog.text


async def test_the_biggest_that_may_be_sent_is_answered_in_time(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """At every path, at the limits: 64 KiB, a hundred parameters, the longest of each."""
    biggest = [
        b"&".join(b"p%d=%s" % (at, b"x" * 600) for at in range(100)),
        b"password=" + b"p" * 8_000 + b"&email=" + b"e" * 8_000,
        b"csrf=" + b"c" * 8_000 + b"&interaction=" + b"i" * 8_000,
        b"[" * 65_000,
        b'{"token":"' + b"t" * 60_000 + b'"}',
        b"--xyz\r\ncontent-disposition: form-data; name=a\r\n\r\n" + b"y" * 60_000 + b"\r\n--xyz--",
    ]
    for path in site.bridge._front.exact:
        for body in biggest:
            for kind in (b"application/x-www-form-urlencoded", b"application/json", TYPES[3]):
                sent = Sent("POST", path, b"", (body,), ((b"content-type", kind),), cut=False, client=("127.0.0.1", 1))
                start = time.process_time()  # what the bridge takes, not what the machine gives to others
                assert complaint(sent, await send(site, sent)) is None, (path, kind, body[:40])
                assert time.process_time() - start < 2, (path, kind, body[:40])
