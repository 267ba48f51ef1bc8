"""Where a browser may be sent: the very text that was registered — RFC 9700 §2.1; §12 no. 1, 2."""

import dataclasses
import posixpath
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.oidc.redirect import NotRegistered, RedirectTarget
from tests.oidc.near_misses import near_misses
from tests.oidc.world import CLIENTS

URI = "https://shop.example/cb"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "https://shop.example/cb/",
        "https://shop.example/cb?x=1",
        "https://shop.example/cb#",
        "https://shop.example/cb#frag",
        "https://shop.example/CB",
        "https://SHOP.example/cb",
        "https://shop.example:443/cb",
        "https://shop.example/%63b",
        "https://shop.example/./cb",
        "https://shop.example/x/%2e%2e/cb",
        "https://user@shop.example/cb",
        "https://shop.example@evil.example/cb",
        "https://shop.example.evil.example/cb",
        "http://shop.example/cb",
        "https://shop.example/cb ",
        " https://shop.example/cb",
        "https://shop.example/cb\n",
        "//shop.example/cb",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("native", [True, False])
def test_nothing_but_the_exact_text(wrong: str, native: bool) -> None:
    with pytest.raises(NotRegistered):
        RedirectTarget(wrong, (URI,), native)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("client", CLIENTS)
def test_whatever_is_almost_registered_is_not(client: str, native: bool) -> None:
    registered = [uri for uri in CLIENTS[client].get("redirect_uris", []) if not (native and uri.startswith("http:"))]
    for wrong in {wrong for uri in registered for wrong in near_misses(uri)} - {*registered}:
        with pytest.raises(NotRegistered):
            RedirectTarget(wrong, registered, native)


@pytest.mark.parametrize(
    "same",
    [
        lambda asked, ours: asked.startswith(ours),
        lambda asked, ours: ours.startswith(asked),
        lambda asked, ours: asked.endswith(ours),
        lambda asked, ours: ours in asked,
        lambda asked, ours: asked.lower() == ours.lower(),
        lambda asked, ours: asked.strip() == ours,
        lambda asked, ours: unquote(asked) == ours,
        lambda asked, ours: asked.partition("#")[0] == ours,
        lambda asked, ours: asked.partition("?")[0] == ours.partition("?")[0],
        lambda asked, ours: asked.rstrip("/") == ours.rstrip("/"),
        lambda asked, ours: asked.partition(":")[2] == ours.partition(":")[2],
        lambda asked, ours: urlsplit(asked).hostname == urlsplit(ours).hostname,
        lambda asked, ours: urlsplit(asked)._replace(netloc="") == urlsplit(ours)._replace(netloc=""),
        lambda asked, ours: _plain(asked) == _plain(ours),
    ],
)
def test_every_laxer_comparison_lets_one_of_these_in(same: Callable[[str, str], bool]) -> None:
    """Else the test above shows less than it says."""
    assert any(same(wrong, URI) for wrong in near_misses(URI)) and URI not in near_misses(URI)


def _plain(uri: str) -> tuple[str | None, str]:
    """Host and path without detours, as a server might see them."""
    parts = urlsplit(uri)
    return parts.hostname, posixpath.normpath(unquote(parts.path)).replace("//", "/")


def test_the_exact_text_may() -> None:
    assert RedirectTarget(URI, (URI, "https://other.example"), False).uri == URI


@pytest.mark.parametrize(
    ("registered", "asked", "may"),
    [
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", True),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1:51004/cb", True),
        ("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb", True),
        ("http://[::1]/cb", "http://[::1]:51004/cb", True),
        ("http://127.0.0.1", "http://127.0.0.1:5", True),
        ("http://127.0.0.1/cb?a=1", "http://127.0.0.1:5/cb?a=1", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/other", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?x", False),
        ("http://127.0.0.1/cb", "http://[::1]:51004/cb", False),
        ("http://localhost/cb", "http://localhost:51004/cb", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1:51004/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:5@evil.example/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:123456/cb", False),
        ("https://127.0.0.1/cb", "https://127.0.0.1:5/cb", False),
    ],
)
def test_an_app_on_the_device_may_choose_its_port(registered: str, asked: str, may: bool) -> None:
    """RFC 8252 §7.3, §8.3."""
    if may:
        assert RedirectTarget(asked, (registered,), True).uri == asked
    else:
        with pytest.raises(NotRegistered):
            RedirectTarget(asked, (registered,), True)
    with pytest.raises(NotRegistered):
        RedirectTarget(asked, (registered,), False)


LOOPBACK = "http://127.0.0.1:8080/cb"
BENT = st.builds(
    lambda uri, at, drop, more: uri[:at] + more + uri[at + drop :],
    st.sampled_from([URI, LOOPBACK]),
    st.integers(0, 30),
    st.integers(0, 8),
    st.one_of(
        st.text(max_size=6), st.sampled_from([":5", ":99999", "@evil.example", ".evil.example", "/..", "\\", "#"])
    ),
)
"""A registered address, with something taken out or put in."""


@given(uri=st.one_of(BENT, st.text(max_size=40)), native=st.booleans())
def test_whatever_is_asked_for_nobody_is_sent_elsewhere(uri: str, native: bool) -> None:
    """Property test; the judge takes addresses apart in a way of its own."""
    try:
        target = RedirectTarget(uri, (URI, LOOPBACK), native)
    except NotRegistered:
        assert uri not in (URI, LOOPBACK)
        return
    if target.uri not in (URI, LOOPBACK):
        found = urlsplit(target.uri)
        assert native and (found.scheme, found.hostname, found.path) == ("http", "127.0.0.1", "/cb")
        assert (found.username, found.password, found.query, found.fragment) == (None, None, "", "")


def test_a_target_cannot_be_bent_afterwards() -> None:
    target = RedirectTarget(URI, (URI,), False)
    with pytest.raises((ValueError, TypeError)):
        dataclasses.replace(target, uri="https://evil.example")  # type: ignore[call-arg]
    with pytest.raises(dataclasses.FrozenInstanceError):
        target.uri = "https://evil.example"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("uri", "with_code"),
    [
        ("https://a.example/cb", "https://a.example/cb?code=1"),
        ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code=1"),
        ("com.example.app:/cb", "com.example.app:/cb?code=1"),
    ],
)
def test_the_answer_is_added_to_what_was_registered(uri: str, with_code: str) -> None:
    target = RedirectTarget(uri, (uri,), False)
    assert target.with_query("code=1") == with_code and target.with_query("") == uri
