"""A request and its answer are to the byte what uvicorn's protocol makes of them, but where the tests say why not."""

import asyncio
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bridge.asgi import ASGIApp, Message, Receive, Scope, Send
from bridge.cli.exchange import ENOUGH, STATUS_LINE
from bridge.cli.protocol import BoundedProtocol
from tests.cli.wire import BODY, Logged, Speaks, Talk, Wire, begun, talked

GET, HEADERS = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", [(b"content-length", b"2"), (b"x-a", b"a\tb\xff")]
HEAD = GET.replace(b"GET", b"HEAD")
CLOSING = GET.replace(b"Host", b"Connection: close\r\nHost")
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


def _get(target: bytes, *lines: bytes, version: bytes = b"1.1", method: bytes = b"GET") -> bytes:
    return b"%b %b HTTP/%b\r\nHost: a\r\n%b\r\n" % (method, target, version, b"".join(line + b"\r\n" for line in lines))


def _post(body: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    return _get(b"/form", *lines, method=b"POST", version=version) + body


CHUNKED = _post(b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n", b"Transfer-Encoding: chunked")

ANSWERS: list[tuple[bytes, list[Message]]] = [
    (GET, [begun(200, *HEADERS), BODY]),
    (GET, [begun(303, (b"location", b"/a"), (b"content-length", b"0")), {"type": "http.response.body"}]),
    (GET * 2, [begun(200, *HEADERS), BODY]),
    (HEAD, [begun(200, *HEADERS), {**BODY, "body": b""}]),
    (HEAD, [begun(200, *HEADERS), BODY]),
    (HEAD, [begun(200), BODY]),
    (HEAD + GET, [begun(200, *HEADERS), BODY]),
    (GET.replace(b"1.1", b"1.0"), [begun(200, *HEADERS), BODY]),
    (GET.replace(b"1.1", b"1.0"), [begun(200), BODY]),
    (CLOSING, [begun(200, *HEADERS), BODY]),
    (CLOSING, [begun(200, *HEADERS, (b"connection", b"close")), BODY]),
    (POST, [begun(200, *HEADERS), BODY]),
    (GET, [begun(200, *HEADERS, (b"connection", b"close")), BODY]),
    (GET, [begun(200, *HEADERS, (b"Connection", b"upgrade, Close")), BODY]),
    (GET, [begun(200, *HEADERS, (b"connection", b"keep-alive")), BODY]),
    (GET, [begun(200, (b"transfer-encoding", b"chunked")), BODY]),
    (GET, [begun(200, (b"Transfer-Encoding", b"Chunked"), (b"content-length", b"7")), BODY]),
    (GET, [begun(200, (b"content-length", b"7"), (b"transfer-encoding", b"chunked")), BODY]),
    (GET, [begun(200, (b"x-a", b"b")), BODY]),
    (GET, [begun(200, (b"x-a", b"b")), {**BODY, "more_body": True}, {**BODY, "body": b""}]),
    (GET, [begun(200), {**BODY, "body": b"", "more_body": True}, BODY]),
    (GET, [begun(200, *HEADERS), {**BODY, "body": b"h", "more_body": True}, {**BODY, "body": b"i"}]),
    (GET, [begun(200, *HEADERS), {**BODY, "body": b"much"}]),
    (GET, [begun(200, *HEADERS), {**BODY, "body": b""}]),
    (GET, [begun(200, *HEADERS), {**BODY, "body": b"h", "more_body": True}, {**BODY, "body": b"much"}]),
    (GET, [begun(200, (b"content-length", b"7"), (b"content-length", b"2")), BODY]),
    (GET, [begun(200, (b"content-length", b"two")), BODY]),
    (GET, [begun(200, (b"content-length", b"-1")), BODY]),
    (GET, [begun(200, (b"Content-Length", b"2"), (b"X-A%B", b"%d%b")), BODY]),
    (GET, [begun(200, *HEADERS, (b"x-a", b"a\r\nx-b: b")), BODY]),
    (GET, [begun(200, *HEADERS, (b"x-a", b"a\0")), BODY]),
    (GET, [begun(200, *HEADERS, (b"x a", b"a")), BODY]),
    (GET, [begun(200, *HEADERS, (b"x-a", b"a\x7f")), BODY]),
    (GET, [begun(200, *HEADERS, (b"x-a: b\r\nx-b", b"a")), BODY]),
    (GET, [begun(200, *HEADERS), BODY, BODY]),
    (GET, [begun(200, *HEADERS), BODY, begun(200, *HEADERS), BODY]),
    (GET, [begun(200, *HEADERS), {**BODY, "more_body": True}, {**BODY, "body": b""}]),
    (GET, [begun(204, (b"content-length", b"0")), begun(204, (b"content-length", b"0"))]),
    (GET, [begun(204), {"type": "http.response.body"}]),
    (GET, [begun(304, (b"etag", b'"a"')), {"type": "http.response.body"}]),
    (GET, [begun(304), BODY]),
    (GET, [begun(299, *HEADERS), BODY]),
    (GET, [begun(600, *HEADERS), BODY]),
    (GET, [{"type": "http.response.start", "status": 200}, BODY]),
    (GET, [{"type": "http.response.start"}, BODY]),
    (GET, [begun(200, *HEADERS), {"type": "http.response.trailers"}]),
    (GET, [BODY]),
    (GET, []),
]


@dataclass
class Answers:
    """An app that says just that, and what it was not allowed to."""

    messages: list[Message]
    refused: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            for message in self.messages:
                await send(dict(message))
        except RuntimeError as error:
            self.refused.append(str(error))
            raise


@pytest.mark.parametrize(("request_", "messages"), ANSWERS)
async def test_an_answer_is_to_the_byte_what_uvicorn_makes_of_it(request_: bytes, messages: list[Message]) -> None:
    refused: list[str] = []

    app = Answers(messages, refused)
    ours, theirs = [
        (await talked(speaks, [request_], app), refused.copy()) for speaks in (BoundedProtocol, HttpToolsProtocol)
    ]
    assert (ours[0], ours[1] * 2) == theirs


@dataclass
class Seen:
    """An app that keeps what it was asked, and says how much it read."""

    scopes: list[Scope] = field(default_factory=list[Scope])
    bodies: list[bytes] = field(default_factory=list[bytes])
    ends: list[str] = field(default_factory=list[str])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append({**scope, "headers": list(scope["headers"])})
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        self.bodies.append(body)
        self.ends.append(message["type"])
        said = b"%b %d" % (scope["raw_path"], len(body))
        await send(begun(200, (b"content-length", b"%d" % len(said))))
        await send({**BODY, "body": said})


@pytest.fixture
def logged() -> Iterator[list[str]]:
    handler, log = Logged(), logging.getLogger("uvicorn.error")
    log.addHandler(handler)
    yield handler.lines
    log.removeHandler(handler)


UPGRADES = b"Unsupported upgrade request."
REQUESTS: dict[str, bytes] = {
    "plain": GET,
    "query": _get(b"/a/b?c=d&e=%41?f"),
    "empty query": _get(b"/a?"),
    "percent": _get(b"/a%2Fb%20c/%E4%BD%A0%ff%zz%"),
    "two slashes": _get(b"//evil.example/a"),
    "fragment": _get(b"/a?b#c"),
    "fragment without query": _get(b"/a#b?c"),
    "odd letters": _get(b"/a;b=c,d'(e)*!$&@:~_-.^|{}[]`\"<>\\"),
    "high bytes": _get(b"/\xe4\xbd\xa0"),
    "tab in the target": _get(b"/a\tb"),
    "control in the target": _get(b"/a\x01b"),
    "nul in the target": _get(b"/a\0b"),
    "delete in the target": _get(b"/a\x7fb"),
    "absolute": _get(b"http://b:81/c?d"),
    "absolute without path": _get(b"http://b"),
    "absolute with query only": _get(b"http://b?c"),
    "absolute with user": _get(b"http://u@b/c"),
    "absolute, bad port": _get(b"http://b:99999/c"),
    "asterisk": _get(b"*", method=b"OPTIONS"),
    "no slash": _get(b"a/b"),
    "no target": b"GET  HTTP/1.1\r\n\r\n",
    "connect": _get(b"b:443", method=b"CONNECT"),
    "connect to a path": _get(b"/b", method=b"CONNECT"),
    "long target": _get(b"/" + b"a" * 9_000 + b"?" + b"b" * 9_000),
    "longest target": _get(b"/" + b"a" * 65_400),
    "head": HEAD,
    "head, pipelined": HEAD + GET,
    "put": _get(b"/a", method=b"PUT"),
    "unknown method": _get(b"/a", method=b"BREW-IT"),
    "lower-case method": _get(b"/a", method=b"get"),
    "closing": CLOSING,
    "closing in capitals": _get(b"/", b"CONNECTION: Close"),
    "closing among others": _get(b"/", b"Connection: foo, close"),
    "closing, pipelined": CLOSING + GET,
    "1.0": _get(b"/", version=b"1.0"),
    "1.0, keep-alive": _get(b"/", b"Connection: keep-alive", version=b"1.0") + GET,
    "1.0 with a body": _post(b"hi", b"Content-Length: 2", version=b"1.0"),
    "0.9": b"GET /\r\n\r\n",
    "0.9 named": _get(b"/", version=b"0.9"),
    "2.0": _get(b"/", version=b"2.0"),
    "1.2": _get(b"/", version=b"1.2"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "empty lines first": b"\r\n\r\n" + GET,
    "pipelined": GET + POST + _get(b"/b") + CHUNKED + HEAD,
    "pipelined, then nonsense in pieces": GET + b"GE",
    "body": POST,
    "body in capitals": _post(b"hi", b"CONTENT-LENGTH: 2"),
    "empty body": _post(b"", b"Content-Length: 0"),
    "post without length": _post(b""),
    "body too short": _post(b"h", b"Content-Length: 2"),
    "body of a GET": _get(b"/", b"Content-Length: 2") + b"hi",
    "chunked": CHUNKED,
    "chunked in capitals": _post(b"A\r\n0123456789\r\n0\r\n\r\n", b"Transfer-Encoding: Chunked"),
    "chunked, bad size": _post(b"x\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "chunked, huge size": _post(b"ffffffffffffffffff\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "chunked, longer than said": _post(b"2\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "chunked, bare LF": _post(b"3\nabc\n0\n\n", b"Transfer-Encoding: chunked"),
    "chunked, space after size": _post(b"3 \r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    "chunked, without end": _post(b"3\r\nabc\r\n", b"Transfer-Encoding: chunked"),
    "gzip, chunked": _post(b"3\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: gzip, chunked"),
    "chunked, gzip": _post(b"3\r\nabc\r\n0\r\n\r\n", b"Transfer-Encoding: chunked, gzip"),
    "identity": _post(b"abc", b"Transfer-Encoding: identity"),
    "chunked twice": _post(b"0\r\n\r\n", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "length twice, equal": _post(b"hi", b"Content-Length: 2", b"Content-Length: 2"),
    "length twice, different": _post(b"hi", b"Content-Length: 2", b"Content-Length: 3"),
    "length in a list": _post(b"hi", b"Content-Length: 2, 2"),
    "length negative": _post(b"hi", b"Content-Length: -2"),
    "length with a sign": _post(b"hi", b"Content-Length: +2"),
    "length in hexadecimal": _post(b"hi", b"Content-Length: 0x2"),
    "length too large": _post(b"hi", b"Content-Length: 99999999999999999999999"),
    "length empty": _post(b"hi", b"Content-Length:"),
    "length, then chunked": _post(b"0\r\n\r\n" + GET, b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "chunked, then length": _post(b"0\r\n\r\n" + GET, b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "chunked, hidden": _post(b"0\r\n\r\n", b"Transfer-Encoding: \x0bchunked", b"Content-Length: 5"),
    "space before the colon": _get(b"/", b"X-A : b"),
    "space before the name": _get(b"/", b" X-A: b"),
    "no colon": _get(b"/", b"X-A"),
    "no name": _get(b"/", b": b"),
    "no value": _get(b"/", b"X-A:", b"X-B: b"),
    "spaces around the value": _get(b"/", b"X-A: \t b c \t"),
    "folded": _get(b"/", b"X-A: b", b" c"),
    "bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "bare CR": b"GET / HTTP/1.1\rHost: a\r\r",
    "CR in a value": _get(b"/", b"X-A: b\rX-B: c"),
    "LF in a value": _get(b"/", b"X-A: b\nX-B: c"),
    "nul in a value": _get(b"/", b"X-A: b\0c"),
    "control in a value": _get(b"/", b"X-A: b\x01c"),
    "high byte in a value": _get(b"/", b"X-A: \xe4\xbd\xa0"),
    "nul in a name": _get(b"/", b"X\0A: b"),
    "high byte in a name": _get(b"/", b"X\xe4A: b"),
    "capitals in a name": _get(b"/", b"X-AbC: DeF", b"x-abc: g"),
    "many headers": _get(b"/", *(b"X-%d: %d" % (i, i) for i in range(500))),
    "expect": _post(b"hi", b"Content-Length: 2", b"Expect: 100-continue"),
    "expect in capitals": _post(b"hi", b"Content-Length: 2", b"EXPECT: 100-Continue"),
    "expect something else": _post(b"hi", b"Content-Length: 2", b"Expect: cake"),
    "expect, pipelined": _post(b"hi", b"Content-Length: 2", b"Expect: 100-continue") * 2,
    "websocket": _get(b"/", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: YQ=="),
    "h2c": _get(b"/", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
    "upgrade without connection": _get(b"/", b"Upgrade: websocket") + GET,
    "connection without upgrade": _get(b"/", b"Connection: upgrade") + GET,
}


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_to_the_app_what_uvicorn_makes_of_it(
    request_: bytes, logged: list[str], *, whole: bool
) -> None:
    if not whole and len(request_) > 1_000:
        request_ = request_[:500]
    packets = [request_] if whole else [request_[i : i + 1] for i in range(len(request_))]
    known = []
    for speaks in (BoundedProtocol, HttpToolsProtocol):
        app = Seen()
        said = await talked(speaks, packets, app, limit_concurrency=3, root_path="")
        lines = [line for line in logged if "WebSocket library" not in line]
        logged.clear()
        known.append((said, app, lines))
    assert known[0] == known[1]


@pytest.mark.parametrize("text", [GET * 2, POST + GET, CHUNKED + CLOSING, REQUESTS["expect"] + HEAD], ids=range(4))
async def test_where_a_request_is_cut_in_packets_makes_no_difference(text: bytes) -> None:
    for at in range(1, len(text)):
        known = []
        for speaks in (BoundedProtocol, HttpToolsProtocol):
            app = Seen()
            known.append((await talked(speaks, [text[:at], text[at:]], app), app))
        assert known[0] == known[1], at
        whole = Seen()
        await talked(BoundedProtocol, [text], whole)
        assert whole == known[0][1], at


_REQUEST = st.one_of(
    st.sampled_from([GET, HEAD, CHUNKED, REQUESTS["query"], REQUESTS["percent"], REQUESTS["absolute"]]),
    st.binary(max_size=300).map(lambda body: _post(body, b"Content-Length: %d" % len(body))),
    st.lists(st.binary(min_size=1, max_size=40), max_size=4).map(
        lambda chunks: _post(
            b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n",
            b"Transfer-Encoding: chunked",
        )
    ),
)


@given(requests=st.lists(_REQUEST, min_size=1, max_size=6), cuts=st.lists(st.integers(1, 2_000), max_size=12))
def test_a_conversation_is_the_same_however_it_comes(requests: list[bytes], cuts: list[int]) -> None:
    text = b"".join(requests)
    places = sorted({0, *(cut % len(text) for cut in cuts), len(text)})
    packets = [text[begin:end] for begin, end in pairwise(places)]

    async def talk() -> None:
        cut, one_by_one, whole = Seen(), Seen(), Seen()
        said = await talked(BoundedProtocol, packets, cut)
        assert said == await talked(BoundedProtocol, requests, one_by_one)
        assert said == await talked(BoundedProtocol, [text], whole)
        assert cut == one_by_one == whole
        assert len(whole.scopes) == len(requests)

    asyncio.run(talk())


@pytest.mark.parametrize("byte", range(256))
async def test_no_byte_makes_two_headers_of_one_or_another_path(byte: int) -> None:
    """Each byte in a name, in a value, and in a target: as in uvicorn, but that names are tokens (RFC 9110 §5.1)."""
    letter = bytes([byte])
    for header, name in (((b"x" + letter, b"a"), True), ((b"x-a", b"b" + letter + b"c"), False)):

        async def app(_scope: Scope, _receive: Receive, send: Send, header: tuple[bytes, bytes] = header) -> None:
            await send(begun(200, header, (b"content-length", b"2")))
            await send(BODY)

        ours, theirs = [await talked(speaks, [GET], app) for speaks in (BoundedProtocol, HttpToolsProtocol)]
        assert ours == theirs or (name and ours == b" closed")
        assert ours.count(b"\r\n") in (0, 5)
    seen = [Seen(), Seen()]
    for speaks, reads in zip((BoundedProtocol, HttpToolsProtocol), seen, strict=True):
        await talked(speaks, [_get(b"/a" + letter + b"b?c" + letter + b"d")], reads)
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("extra", "options"),
    [
        ({"sockname": ("127.0.0.1", 8000), "peername": ("127.0.0.1", 51000)}, {}),
        ({"sockname": ("::1", 8000, 0, 0), "peername": ("::1", 51000, 0, 0)}, {}),
        ({"sockname": "/run/login.sock", "peername": ""}, {}),
        ({"sslcontext": object()}, {}),
        ({}, {"root_path": "/login"}),
    ],
    ids=["IPv4", "IPv6", "a file", "TLS", "root path"],
)
async def test_who_talks_to_whom_is_told_as_uvicorn_does(extra: dict[str, object], options: dict[str, str]) -> None:
    seen = [Seen(), Seen()]
    for speaks, app in zip((BoundedProtocol, HttpToolsProtocol), seen, strict=True):
        talk = Talk(speaks, app, Wire(**extra), **options)
        await talk.say([REQUESTS["percent"], REQUESTS["absolute"]])
        await talk.end()
    assert seen[0] == seen[1]
    first, second = seen[0].scopes
    for shared in ("headers", "state", "asgi"):
        assert first[shared] is not second[shared]


def _raising(messages: list[Message], error: BaseException) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        raise error

    return app


async def _returns(_scope: Scope, _receive: Receive, send: Send) -> Any:
    await send(begun(200, *HEADERS))
    await send(BODY)
    return "something"


FAILING: dict[str, ASGIApp] = {
    "before the head": _raising([], ValueError("a")),
    "in the body": _raising([begun(200, *HEADERS), {**BODY, "body": b"h", "more_body": True}], ValueError("a")),
    "after the answer": _raising([begun(200, *HEADERS), BODY], ValueError("a")),
    "cancelled": _raising([], asyncio.CancelledError("a")),
    "returns something": _returns,
    "returns in the body": Answers([begun(200, *HEADERS), {**BODY, "body": b"h", "more_body": True}]),
    "returns at once": Answers([]),
}


@pytest.mark.parametrize("request_", [GET, HEAD, POST, GET * 2], ids=["GET", "HEAD", "POST", "pipelined"])
@pytest.mark.parametrize("app", FAILING.values(), ids=FAILING)
async def test_an_app_that_fails_is_answered_for_and_logged_as_uvicorn_does(
    request_: bytes, app: ASGIApp, logged: list[str]
) -> None:
    known = []
    for speaks in (BoundedProtocol, HttpToolsProtocol):
        talk = Talk(speaks, app)
        await talk.say([request_])
        known.append((await talk.end(), logged.copy(), talk.state.total_requests))
        logged.clear()
    assert known[0] == known[1]
    assert known[0][1], "it is told"


async def test_one_too_many_is_told_so_as_uvicorn_does(logged: list[str]) -> None:
    known = []
    for speaks in (BoundedProtocol, HttpToolsProtocol):
        app = Seen()
        known.append((await talked(speaks, [GET], app, limit_concurrency=1), logged.copy(), app))
        logged.clear()
    assert known[0] == known[1]
    assert (known[0][0][:13], known[0][2]) == (b"HTTP/1.1 503 ", Seen())


@dataclass
class Step:
    """An app that does nothing until it is let."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    heard: list[Message] = field(default_factory=list[Message])
    sent: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads until there is no more to come, answers, and reads once more."""
        await self.let.wait()
        while not self.heard or self.heard[-1].get("more_body"):
            self.heard.append(await receive())
        for message in (begun(200, (b"content-length", b"2")), {**BODY, "body": b"h", "more_body": True}):
            await send(message)
            self.sent += 1
        await send({**BODY, "body": b"i"})
        self.sent += 1
        self.heard.append(await receive())


BOTH = pytest.mark.parametrize("speaks", [BoundedProtocol, HttpToolsProtocol], ids=["ours", "uvicorn's"])


@BOTH
async def test_of_a_large_body_no_more_is_read_than_the_app_takes(speaks: Speaks) -> None:
    app = Step()
    talk = Talk(speaks, app)
    body = b"a" * ENOUGH
    await talk.say([_post(body, b"Content-Length: %d" % (2 * ENOUGH))])
    assert talk.wire.reading
    await talk.say([b"b"])
    assert not talk.wire.reading
    app.let.set()
    await talk.wait()
    assert talk.wire.reading
    await talk.say([body[1:]])
    assert [len(heard.get("body", b"")) for heard in app.heard] == [ENOUGH + 1, ENOUGH - 1, 0]
    assert app.heard[-1] == {"type": "http.disconnect"}
    await talk.end()


@BOTH
async def test_what_a_client_does_not_read_is_not_written(speaks: Speaks) -> None:
    app = Step()
    app.let.set()
    talk = Talk(speaks, app)
    talk.connection.pause_writing()
    await talk.say([GET])
    assert (app.sent <= 1, talk.wire.said()) == (True, b"")
    talk.connection.resume_writing()
    await talk.wait()
    assert (app.sent, talk.wire.said()[-6:]) == (3, b"\r\n\r\nhi")
    await talk.end()


@BOTH
async def test_who_waits_for_a_client_that_is_gone_is_told(speaks: Speaks) -> None:
    for ends in (True, False):  # while it sends, while it receives
        app = Step()
        app.let.set()
        talk = Talk(speaks, app)
        if ends:
            talk.connection.pause_writing()
        await talk.say([GET if ends else POST[:-1]])
        assert talk.state.tasks
        await talk.end()
        assert app.heard[-1] == {"type": "http.disconnect"}
        assert talk.wire.said() == b""


async def test_who_is_gone_with_requests_behind_is_gone_for_all_of_them() -> None:
    app = Step()
    talk = Talk(BoundedProtocol, app)
    await talk.say([GET * 3])
    assert not talk.wire.reading
    assert len(talk.state.tasks) == 1
    talk.connection.connection_lost(None)
    assert not talk.connection._pipeline
    app.let.set()
    await asyncio.wait_for(asyncio.gather(*talk.state.tasks), 5)
    assert app.heard == [{"type": "http.disconnect"}] * 2
    await talk.wait()
    assert (talk.state.tasks, talk.state.connections, talk.wire.heard) == (set(), set(), [])


@BOTH
async def test_requests_at_once_are_answered_one_after_the_other(speaks: Speaks) -> None:
    under_way, most, order = 0, 0, list[bytes]()

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5 - int(scope["query_string"])):  # the first takes longest
            await asyncio.sleep(0)
        under_way -= 1
        order.append(scope["query_string"])
        await send(begun(200, (b"content-length", b"1")))
        await send({**BODY, "body": scope["query_string"]})

    talk = Talk(speaks, app)
    await talk.say([b"".join(_get(b"/?%d" % i) for i in range(5))])
    said = await talk.end()
    assert most == 1
    assert [said[at + 4 : at + 5] for at in range(len(said)) if said[at : at + 4] == b"\r\n\r\n"] == order
    assert order == [b"%d" % i for i in range(5)]
    assert (talk.wire.reading, talk.state.total_requests) == (True, 5)


@BOTH
async def test_who_has_read_all_is_told_when_the_client_goes(speaks: Speaks) -> None:
    heard: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        heard.extend([await receive(), await receive(), await receive()])

    talk = Talk(speaks, app)
    await talk.say([POST])
    assert heard == []
    await talk.end()
    assert heard == [{"type": "http.request", "body": b"hi", "more_body": False}, *[{"type": "http.disconnect"}] * 2]


async def test_two_may_wait_for_one_request_and_one_may_stop() -> None:
    heard: list[Message] = []

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        first, second, third = [asyncio.ensure_future(receive()) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        heard.extend([await second, await third])
        await send(begun(200, *HEADERS))
        await send(BODY)

    talk = Talk(BoundedProtocol, app)
    await talk.say([POST[:-2], b"hi"])
    assert [message["body"] for message in heard] == [b"hi", b""]
    assert b"200 OK" in await talk.end()


@BOTH
async def test_an_answer_before_the_body_leaves_the_body_unread(speaks: Speaks) -> None:
    app = Answers([begun(413, *HEADERS), BODY])
    talk = Talk(speaks, app)
    await talk.say([POST[:-2], b"h", b"i" + GET])
    assert (await talk.end()).count(b"413") == 2
    assert talk.wire.reading


@BOTH
async def test_a_server_that_stops_waits_for_what_is_under_way(speaks: Speaks) -> None:
    for packets in ([], [GET[:5]], [GET, GET[:5]]):
        talk = Talk(speaks, Seen())
        await talk.say(packets)
        talk.connection.shutdown()
        assert talk.wire.is_closing()
        await talk.end()
    app = Step()
    talk = Talk(speaks, app)
    await talk.say([POST[:-1]])
    talk.connection.shutdown()
    assert not talk.wire.is_closing()
    await talk.say([b"i"])
    app.let.set()
    await talk.wait()
    assert talk.wire.heard[-1] == "closed"
    assert b"\r\nconnection: close\r\n" in talk.wire.said()
    await talk.end()


async def test_wherever_a_client_breaks_off_nothing_of_it_stays() -> None:
    random = Random(242)
    text = POST + GET + CHUNKED + REQUESTS["expect"] + HEAD * 3 + CLOSING
    for _ in range(100):
        app = Step()
        talk = Talk(BoundedProtocol, app)
        end = random.randrange(len(text))
        for at in range(0, end, 40):
            talk.connection.data_received(text[at : min(at + 40, end)])
            for step in range(random.randrange(3)):
                await asyncio.sleep(0)
                if step:
                    app.let.set()
                    random.choice([talk.connection.pause_writing, talk.connection.resume_writing])()
        talk.connection.connection_lost(random.choice([None, ConnectionResetError()]))
        app.let.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*talk.state.tasks)
            await talk.wait()
        assert (talk.state.tasks, talk.state.connections) == (set(), set())
        assert talk.connection._clock is None or talk.connection._clock.cancelled()


@pytest.mark.parametrize(("request_", "most"), [(GET, 17), (POST, 22)], ids=["GET", "POST"])
async def test_a_request_costs_no_more_than_it_did(request_: bytes, most: int) -> None:
    """Functions of ours entered, from the packet to the answer's; as in tests/flows/test_cost_of_flows.py."""
    entered: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith(("cli/protocol.py", "cli/exchange.py")):
            entered.append(frame.f_code.co_name)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await receive()
        await send(begun(200, *HEADERS))
        await send(BODY)

    talk = Talk(BoundedProtocol, app)
    before = sys.getprofile()
    for _ in range(2):  # the names of its headers are known then
        entered.clear()
        sys.setprofile(note)
        try:
            await talk.say([request_])
        finally:
            sys.setprofile(before)
    assert len(entered) <= most, entered
    await talk.end()


# Where it is not to be as in uvicorn.


async def test_of_requests_at_once_no_more_are_read_than_are_soon_answered() -> None:
    app, smallest, sent = Step(), b"GET / HTTP/1.1\r\n\r\n", 3_000
    talk = Talk(BoundedProtocol, app)
    talk.connection.data_received(smallest * sent)
    assert not talk.wire.reading
    assert len(talk.connection._pipeline) < 250
    app.let.set()
    most = 0
    for _ in range(10 * sent):
        await asyncio.sleep(0)
        most = max(most, len(talk.connection._pipeline))
        assert talk.connection._pipeline or talk.connection._later or talk.wire.reading
    assert (most < 250, talk.state.total_requests) == (True, sent)
    assert talk.wire.reading
    await talk.end()


async def test_what_comes_though_it_is_not_read_keeps_its_place() -> None:
    app = Seen()
    talk = Talk(BoundedProtocol, app)
    talk.connection.data_received(b"".join(_get(b"/%d" % i) for i in range(500)))
    assert not talk.wire.reading
    talk.connection.data_received(_get(b"/500"))  # TLS may have had it already
    for _ in range(501):
        await talk.wait()
    assert [scope["path"] for scope in app.scopes] == [f"/{i}" for i in range(501)]
    await talk.end()


async def test_who_asks_much_and_reads_nothing_is_not_read_any_more() -> None:
    app = Seen()
    talk = Talk(BoundedProtocol, app)
    await talk.say([GET * 3])
    talk.connection.pause_writing()
    before = len(app.scopes)
    for _ in range(20):
        if talk.wire.reading:
            await talk.say([GET * 1_000])
    assert not talk.wire.reading
    assert len(app.scopes) == before + 1
    assert len(talk.connection._later) < len(GET) * 1_000
    await talk.end()


async def test_an_app_that_fails_between_head_and_body_is_answered_for(logged: list[str]) -> None:
    for app in (_raising([begun(200, *HEADERS)], ValueError("a")), Answers([begun(200, *HEADERS)])):
        said = await talked(BoundedProtocol, [GET], app)
        assert said.startswith(STATUS_LINE[500])
        assert said.endswith(b"Internal Server Error closed")
    assert logged == ["Exception in ASGI application\n", "ASGI callable returned without starting response."]


async def test_a_trailer_is_no_header() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        while (await receive())["more_body"]:
            pass
        await send(begun(200, *HEADERS))
        await send(BODY)

    trailer = b"0\r\nAuthorization: Bearer a\r\nExpect: 100-continue\r\n\r\n"
    text = CHUNKED.replace(b"0\r\n\r\n", trailer) + POST
    for packets in ([text], [text[i : i + 1] for i in range(len(text))]):
        assert (await talked(BoundedProtocol, packets, app)).count(b"HTTP/1.1 200") == 2
    names = [[name for name, _ in scope["headers"]] for scope in scopes]
    assert names == [[b"host", b"transfer-encoding"], [b"host", b"content-length"]] * 2


@pytest.mark.parametrize(
    "first", [CLOSING, POST.replace(b"Host", b"Connection: close\r\nHost"), _get(b"/", version=b"1.0")]
)
@pytest.mark.parametrize("more", [b"nonsense", b"\0" * 100_000, GET, b"\r\n\r\n", b"GE"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_after_a_request_that_is_the_last_nothing_is_read(first: bytes, more: bytes, *, at_once: bool) -> None:
    app = Seen()
    talk = Talk(BoundedProtocol, app)
    talk.connection.data_received(first + more if at_once else first)
    if not at_once:
        talk.connection.data_received(more)
    assert (await talk.end()).startswith(STATUS_LINE[200])
    assert (len(app.scopes), talk.wire.is_closing()) == (1, True)


@pytest.mark.parametrize("times", [1, 300])
async def test_what_follows_a_request_for_an_upgrade_is_answered_too(times: int) -> None:
    app = Seen()
    talk = Talk(BoundedProtocol, app)
    await talk.say([(REQUESTS["h2c"] + POST + REQUESTS["websocket"]) * times])
    for _ in range(3 * times):
        await talk.wait()
    assert [len(body) for body in app.bodies] == [0, 2, 0] * times
    assert (await talk.end()).count(b"200 OK") == 3 * times


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("body", [[b"Content-Length: %d" % len(GET)], [b"Transfer-Encoding: chunked"]])
async def test_the_body_of_what_asks_for_an_upgrade_is_never_the_next_request(
    body: list[bytes], *, at_once: bool
) -> None:
    app = Seen()
    head = _post(b"", b"Connection: Upgrade", b"Upgrade: h2c", *body)
    talk = Talk(BoundedProtocol, app)
    await talk.say([head + GET] if at_once else [head, GET])
    assert (await talk.end()).endswith(b" closed")
    assert len(app.scopes) == 1
