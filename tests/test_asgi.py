"""Reading requests once and strictly, and whose address is believed — DESIGN §11, sessions-and-accounts §8.3."""

import ipaddress
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.asgi import (
    BadRequest,
    Message,
    Proxies,
    Reply,
    content_type,
    header,
    json_reply,
    once,
    parse_ip,
    parse_pairs,
    path_of,
    query,
    read_body,
    read_form,
    see_other,
)

FORM = (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8")


def scope(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/", "headers": list(headers), **more}


def body(*chunks: bytes) -> Callable[[], Any]:
    """A `receive` that brings these pieces."""
    messages = [
        {"type": "http.request", "body": chunk, "more_body": n < len(chunks) - 1} for n, chunk in enumerate(chunks)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    return receive


async def test_a_body_comes_in_pieces() -> None:
    assert await read_body(scope(), body(b"ab", b"", b"c")) == b"abc"


async def test_a_body_beyond_the_limit_is_not_read_to_its_end() -> None:
    with pytest.raises(BadRequest) as caught:
        await read_body(scope(), body(b"x" * 60, b"x" * 60, b"never read"), limit=100)
    assert caught.value.status == 413
    with pytest.raises(BadRequest) as caught:
        await read_body(scope((b"content-length", b"101")), body(), limit=100)
    assert caught.value.status == 413
    assert await read_body(scope((b"content-length", b"100")), body(b"x" * 100), limit=100) == b"x" * 100


async def test_a_client_that_goes_away_is_no_server_error() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(BadRequest):
        await read_body(scope(), receive)


def test_pairs_keep_their_order_and_their_repetition() -> None:
    assert parse_pairs(b"b=1&a=%C3%BC+x&b=&&c") == [("b", "1"), ("a", "ü x"), ("b", ""), ("c", "")]
    assert parse_pairs(b"") == []


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=\xff", b"a=\xc3\xbc", b"%ed%a0%80=1"])
def test_what_is_not_utf8_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest, match="UTF-8"):
        parse_pairs(raw)


def test_too_many_and_too_long_parameters_are_refused() -> None:
    assert len(parse_pairs(b"&".join([b"a=1"] * 100))) == 100
    with pytest.raises(BadRequest, match="too many"):
        parse_pairs(b"&".join([b"a=1"] * 101))
    assert parse_pairs(b"a=" + b"x" * 8190)
    with pytest.raises(BadRequest, match="too long"):
        parse_pairs(b"a=" + b"x" * 8191)


def test_a_parameter_comes_once() -> None:
    assert once([("a", "1"), ("b", "2")]) == {"a": "1", "b": "2"}
    with pytest.raises(BadRequest, match="a must not be repeated"):
        once([("a", "1"), ("a", "1")])
    for name in ("<script>", "\xe9", "\u547c\u53eb", "x" * 41):
        with pytest.raises(BadRequest, match="a parameter must not be repeated"):
            once([(name, ""), (name, "")])


@given(st.binary(max_size=300))
def test_no_query_breaks_the_parser(raw: bytes) -> None:
    try:
        pairs = parse_pairs(raw)
    except BadRequest:
        return
    assert sum(len(name) + len(value) for name, value in pairs) <= len(raw)


async def test_a_form_is_read_from_its_media_type_only() -> None:
    assert await read_form(scope(FORM), body(b"a=1&b=2")) == {"a": "1", "b": "2"}
    for headers in ([], [(b"content-type", b"application/json")], [(b"content-type", b"multipart/form-data")]):
        with pytest.raises(BadRequest) as caught:
            await read_form(scope(*headers), body(b"a=1"))
        assert caught.value.status == 415
    assert content_type(scope(FORM)) == "application/x-www-form-urlencoded"


def test_a_query_is_read_once() -> None:
    assert query(scope(query_string=b"a=1")) == {"a": "1"}
    assert query(scope()) == {}
    with pytest.raises(BadRequest):
        query(scope(query_string=b"a=1&a=2"))


def test_a_header_in_several_lines_is_one() -> None:
    assert header(scope((b"a", b"1"), (b"b", b"2"), (b"a", b"\xfc")), b"a") == "1, ü"
    assert header(scope(), b"a") is None


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/login", "", "/login"),
        ("/sso/login", "/sso", "/login"),
        ("/sso", "/sso", ""),
        ("/ssologin", "/sso", "/ssologin"),
        ("/login", "/sso", "/login"),
        ("//login", "", "//login"),
        ("/sso//login", "/sso", "//login"),
    ],
)
def test_the_path_below_the_mount_point(path: str, root: str, expected: str) -> None:
    assert path_of({"path": path, "root_path": root}) == expected


NEAR, FAR = ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # nobody we trust wrote it
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # never the leftmost: anybody can write that
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),  # several lines are one list
        ("10.0.0.1", ["203.0.113.9, 10.0.0.2"], "203.0.113.9"),  # two proxies of ours
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["203.0.113.9, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.9:4711"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("fd00::1", ["[2001:db8::1]"], "2001:db8::1"),
    ],
)
def test_whose_address_it_is(peer: str, forwarded: Sequence[str], client: str) -> None:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    assert str(Proxies([NEAR, FAR]).client(scope(*headers, client=(peer, 1)))) == client


def test_without_a_peer_no_address_is_known() -> None:
    """A unix socket has none; it is no trusted proxy."""
    assert Proxies([NEAR]).client(scope((b"x-forwarded-for", b"203.0.113.9"), client=None)) is None
    assert Proxies([NEAR]).client(scope((b"x-forwarded-for", b"203.0.113.9"))) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.01", None),
        ("192.0.2.1 ", None),
        ("localhost", None),
        ("", None),
        ("3221225985", None),
    ],
)
def test_an_address_has_one_plain_form(text: str, expected: str | None) -> None:
    found = parse_ip(text)
    assert (None if found is None else str(found)) == expected


async def sent(reply: Reply, method: str = "GET") -> list[Message]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("an answer reads nothing")

    await reply({"type": "http", "method": method}, receive, send)
    return messages


async def test_a_reply_says_how_long_it_is() -> None:
    start, rest = await sent(json_reply({"a": "ü"}, 400))
    assert start["status"] == 400
    assert dict(start["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": str(len(rest["body"])).encode(),
        b"cache-control": b"no-store",
        b"pragma": b"no-cache",
    }
    assert json.loads(rest["body"]) == {"a": "ü"}


async def test_a_head_request_gets_everything_but_the_body() -> None:
    start, rest = await sent(json_reply({"a": 1}), "HEAD")
    assert dict(start["headers"])[b"content-length"] == b"7"
    assert rest["body"] == b""


async def test_a_redirect_after_a_post_is_303_and_not_stored() -> None:
    start, _ = await sent(see_other("/next", headers=((b"x", b"y"),)))
    headers = dict(start["headers"])
    assert (start["status"], headers[b"location"], headers[b"cache-control"]) == (303, b"/next", b"no-store")
    assert headers[b"x"] == b"y"


def test_a_redirect_to_what_is_no_header_value_is_not_made() -> None:
    with pytest.raises(UnicodeEncodeError):
        see_other("/ü")
