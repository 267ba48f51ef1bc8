"""Whatever is sent to any endpoint, the answer is a clear one and never a 500 — issue 2, "What it must survive"."""

import string
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oidc.world import CALLBACK, CHALLENGE, World, basic, secret_of

PATHS = [
    "/oauth/authorize",
    "/oauth/logout",
    "/oauth/token",
    "/oauth/userinfo",
    "/oauth/revoke",
    "/oauth/introspect",
    "/oauth/jwks",
    "/.well-known/openid-configuration",
    "/oauth/authorize.php",
    "/oauth/token.php",
    "/oauth/userinfo.php",
]
NAMES = st.sampled_from(
    [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "prompt",
        "max_age",
        "claims",
        "acr_values",
        "id_token_hint",
        "request",
        "request_uri",
        "registration",
        "code_challenge",
        "code_challenge_method",
        "login_hint",
        "ui_locales",
        "interaction",
        "post_logout_redirect_uri",
        "grant_type",
        "code",
        "code_verifier",
        "refresh_token",
        "client_secret",
        "client_assertion",
        "token",
        "token_type_hint",
        "access_token",
        "extra",
        "é",
    ]
)
RIGHT = [
    "shop",
    "spa",
    "robot",
    CALLBACK,
    "code",
    "openid email",
    "none",
    "login",
    "0",
    CHALLENGE,
    "S256",
    "query",
    "form_post",
    "fragment",
    "front",
    "https://front.example/cb",
    "code id_token token",
    "id_token",
    '{"userinfo":{"name":null},"id_token":{"acr":{"essential":true,"values":["mfa"]}}}',
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "lba_" + "A" * 64,
    "lbc_" + "A" * 64,
    "e30.e30.e30",
    "{}",
    '{"id_token":{"sub":null}}',
]
VALUES = st.one_of(st.sampled_from(RIGHT), st.text(max_size=60), st.just("x" * 9000), st.just("\x00\r\n"))
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=12)
ENCODED = PAIRS.map(lambda pairs: "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in pairs).encode())
BODIES = st.one_of(ENCODED, st.binary(max_size=200), st.just(b"%ff=%fe&a"), st.just(b"&" * 300), st.just(b"a" * 70_000))
HEADERS = st.dictionaries(
    st.sampled_from([b"authorization", b"cookie", b"content-type", b"origin", b"content-length"]),
    st.one_of(
        st.sampled_from(
            [
                b"application/x-www-form-urlencoded",
                b"application/json",
                b"__Host-lb_op=" + b"A" * 40,
                b"__Host-lb_pre=" + b"B" * 22,
                b"__Host-lb_op=a; __Host-lb_op=b",
                b"Basic c2hvcDp4",
                b"Basic \xff",
                b"Bearer lba_x",
                b"bearer",
            ]
        ),
        st.text(alphabet=string.printable, max_size=40).map(str.encode),
        st.binary(max_size=40),
    ),
    max_size=3,
)


async def _sent(
    world: World,
    path: str,
    method: str,
    *,
    query: bytes = b"",
    body: bytes = b"",
    headers: dict[bytes, bytes] | None = None,
) -> int:
    """Straight into the ASGI app: no client library that would tidy the request up."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": query,
        "headers": list((headers or {}).items()),
        "client": ("127.0.0.1", 5000),
    }
    await world(scope, receive, send)
    start = sent[0]
    assert start["type"] == "http.response.start" and sent[-1]["type"] == "http.response.body"
    for name, value in start["headers"]:
        assert type(name) is bytes and type(value) is bytes and not {b"\r", b"\n", b"\0"} & {bytes([c]) for c in value}
    status: int = start["status"]
    return status


@pytest.mark.parametrize("path", PATHS)
async def test_hostile_input_is_never_a_500(open_world: World, path: str) -> None:
    await _bombard(open_world, path, examples=200)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
async def test_much_hostile_input_is_never_a_500(open_world: World, path: str) -> None:
    await _bombard(open_world, path, examples=5_000)


async def _bombard(world: World, path: str, *, examples: int) -> None:
    cases: list[tuple[str, bytes, bytes, dict[bytes, bytes]]] = []

    @settings(max_examples=examples, database=None)
    @given(method=st.sampled_from(["GET", "POST"]), query=BODIES, body=BODIES, headers=HEADERS)
    def sample(method: str, query: bytes, body: bytes, headers: dict[bytes, bytes]) -> None:
        cases.append((method, query, body, headers))

    sample()
    # An authorization that works, and a form that is one, so that the examples get past the first check.
    right = {b"content-type": b"application/x-www-form-urlencoded"}
    right |= {name.encode(): value.encode() for name, value in basic("shop", secret_of("shop")).items()}
    for method, query, body, headers in cases:
        for more in ({}, right):
            status = await _sent(world, path, method, query=query, body=body, headers={**headers, **more})
            assert status < 500, (method, query, body, headers)


@pytest.mark.parametrize("path", PATHS)
async def test_every_method_is_answered(world: World, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        assert await _sent(world, path, method) < 500
