"""Whatever is sent, the answer is one of this API's: never a 500, and the same in each form — whmcs-api §0, §1.2."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote_from_bytes, urlencode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clients.credential import Credential
from bridge.clients.credentials import Credentials
from bridge.legacy.options import LegacyOptions
from bridge.secret import Secret
from tests.legacy.desk import IDENTIFIER, PASSWORD, RIGHTS, SECRET, Desk, desk

STATUSES = {200, 400, 403, 405, 413, 503}
NAMES = [
    "action", "identifier", "secret", "username", "password", "accesskey", "email", "password2", "id", "clientip",
    "responsetype", "email[]", "email[a][b]", "action[", "[x]", "", "\x00", "\u00e9", "x" * 50,
]  # fmt: skip
VALUES = [
    "", "null", "undefined", "ValidateLogin", "resetpassword", "WhmcsDetails", "echo", "Powerful", "broken",
    IDENTIFIER, SECRET, "user@example.com", "totp@example.com", "down@example.com", "a@" + "\U0001f600" * 10, PASSWORD,
    "json", "xml", "1", "-1", "9" * 40, "127.0.0.1", "::1%eth0", "a;result=success", "\r\n\x00\x1b<>&", "\ud800",
    "x" * 9_000,
]  # fmt: skip
ODD = st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=20)
KNOWN = st.sampled_from([value.encode("utf-8", "surrogatepass") for value in VALUES])
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), KNOWN | ODD), max_size=12)
GOOD = [("identifier", IDENTIFIER.encode()), ("secret", SECRET.encode())]
KINDS = [
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded;charset=utf-16", "multipart/form-data",
    "multipart/form-data; boundary=b", 'multipart/form-data; boundary="', "application/json", "text/plain", "\u00e9",
    "",
]  # fmt: skip


class OneCredential:
    """Stands for the table: hypothesis does not wait for databases."""

    _portal = Credential(name="portal", identifier=IDENTIFIER, actions=RIGHTS.actions)

    async def find(self, identifier: str) -> Credential | None:
        return self._portal if identifier == IDENTIFIER else None

    async def check(self, credential: Credential, secret: Secret) -> bool:
        return secret.matches(SECRET)


class Open:
    """One loop and one door for all examples."""

    def __init__(self) -> None:
        self._loop = asyncio.Runner()
        self.door: Desk = desk(cast("Credentials", OneCredential()), LegacyOptions(look_ups_per_minute=1_000_000))

    def send(self, body: bytes, *, query: bytes = b"", method: str = "POST", kind: str = KINDS[0]) -> Any:
        messages: list[Any] = []
        pieces = [body[:7], body[7:]]

        async def receive() -> Any:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http", "method": method, "path": "/includes/api.php", "query_string": query,
            "headers": [(b"content-type", kind.encode("utf-8"))], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        self._loop.run(self.door.api(scope, receive, send))
        return messages

    def close(self) -> None:
        self._loop.close()


@pytest.fixture(scope="module")
def opened() -> Iterator[Open]:
    door = Open()
    yield door
    door.close()


def encoded(pairs: list[tuple[str, bytes]]) -> bytes:
    return "&".join(
        f"{quote_from_bytes(name.encode('utf-8', 'surrogatepass'))}={quote_from_bytes(value)}" for name, value in pairs
    ).encode()


def parts(pairs: list[tuple[str, bytes]]) -> bytes:
    return (
        b"".join(
            b'--b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name.encode(), value)
            for name, value in pairs
        )
        + b"--b--\r\n"
    )


@settings(max_examples=300)
@given(
    pairs=PAIRS | PAIRS.map(lambda pairs: GOOD + pairs),
    query=PAIRS,
    kind=st.sampled_from(KINDS),
    method=st.sampled_from(["POST", "POST", "GET", "HEAD", "BREW"]),
)
def test_no_parameters_are_too_strange(opened: Open, pairs: Any, query: Any, kind: str, method: str) -> None:
    body = parts(pairs) if "boundary=b" in kind else encoded(pairs)
    assert_an_answer(opened.send(body, query=encoded(query), method=method, kind=kind))


@settings(max_examples=300)
@given(body=st.binary(max_size=300), query=st.binary(max_size=100), kind=st.sampled_from(KINDS))
def test_no_bytes_are_too_strange(opened: Open, body: bytes, query: bytes, kind: str) -> None:
    assert_an_answer(opened.send(body, query=query, kind=kind))


@settings(max_examples=50)
@given(head=st.binary(max_size=60), size=st.integers(1, 90_000), kind=st.sampled_from(KINDS))
def test_no_size_is_too_strange(opened: Open, head: bytes, size: int, kind: str) -> None:
    assert_an_answer(opened.send((head * size)[:100_000], kind=kind))


@settings(max_examples=300)
@given(
    action=st.sampled_from(["ValidateLogin", "ResetPassword", "WhmcsDetails", "Echo", "Nothing", ""]),
    values=st.dictionaries(
        st.sampled_from(["email", "password2", "id", "text", "clientip", "secret"]),
        st.sampled_from([value for value in VALUES if len(value) < 100 and "\ud800" not in value])
        | st.text(st.characters(codec="utf-8"), max_size=20),
    ),
)
def test_each_form_means_the_same(opened: Open, action: str, values: dict[str, str]) -> None:
    fields = {"identifier": IDENTIFIER, "secret": SECRET} | values | {"action": action}
    replies = {
        form: opened.send(urlencode(fields | {"responsetype": form}).encode()) for form in ("json", "xml", "nvp")
    }
    assert len({messages[0]["status"] for messages in replies.values()}) == 1
    said = json.loads(replies["json"][1]["body"])
    said.pop("passwordhash", None)  # another one each time
    root = ET.fromstring(replies["xml"][1]["body"])
    assert {element.tag: element.text or "" for element in list(root)[1:] if element.tag != "passwordhash"}.keys() == (
        said.keys()
    )
    nvp = replies["nvp"][1]["body"].decode()
    assert [part.partition("=")[0] for part in nvp.split(";") if part and "passwordhash" not in part] == [
        name for key in said for name in _flat(key, said[key])
    ]
    assert root.findtext("result") == said["result"] == nvp.partition(";")[0].removeprefix("result=")
    if "message" in said:
        assert root.findtext("message") == said["message"] == nvp.partition("message=")[2]


def assert_an_answer(messages: Any) -> None:
    """A status of this API, with a type, not stored, and a `result` in it unless it was HEAD."""
    start, body = messages
    assert start["status"] in STATUSES
    headers = dict(start["headers"])
    assert headers[b"cache-control"] == b"no-store"
    kind = headers[b"content-type"]
    text = body["body"].decode()
    if kind == b"application/json" and text:
        assert json.loads(text)["result"] in ("success", "error")
    elif kind == b"application/xml" and text:
        assert ET.fromstring(text).findtext("result") in ("success", "error")
    elif text:
        assert text.startswith(("result=success;", "result=error;"))


def _flat(key: str, value: Any) -> list[str]:
    return [f"{key}[{inner}]" for inner in value] if isinstance(value, dict) else [key]
