"""Which addresses a client may register — Registration 1.0 §2, RFC 8252 §7, RFC 9700 §4.1."""

import pytest

from bridge.clients.client import ApplicationType
from bridge.clients.redirects import ANSWERS, GOODBYES, clash_problem, link_problem, place_of, redirect_problem


@pytest.mark.parametrize(
    ("uri", "application_type"),
    [
        ("https://rp.example/cb", "web"),
        ("https://rp.example:8443/cb?tenant=1", "web"),
        ("http://127.0.0.1:8000/cb", "web"),
        ("http://[::1]/cb", "web"),
        ("http://localhost/cb", "web"),
        ("https://app.example/cb", "native"),
        ("https://xn--bcher-kva.example/cb", "web"),
        ("https://RP_1.example/cb", "web"),
        ("https://192.0.2.7/cb", "web"),
        ("https://[2001:db8::1]:8443/cb", "web"),
        ("com.example.app:/cb", "native"),
        ("com.example.app://cb", "native"),
    ],
)
def test_an_address_of_that_kind_of_client_is_taken(uri: str, application_type: ApplicationType) -> None:
    assert redirect_problem(uri, application_type) is None


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("https://rp.example/cb?a=b", "https://rp.example"),
        ("https://RP.example:443/other", "https://rp.example"),
        ("https://rp.example:8443/cb", "https://rp.example:8443"),
        ("https://[2001:db8::1]:8443/cb", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8000/cb", "http://127.0.0.1"),
        ("http://127.0.0.1:9/cb", "http://127.0.0.1"),
        ("https://localhost/cb", "https://localhost"),
        ("com.example.app://rp.example/cb", "com.example.app:"),
    ],
)
def test_a_place_is_what_a_person_sees_of_an_address(uri: str, place: str) -> None:
    """security §17."""
    assert place_of(uri) == place


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("https://rp.example/cb#part", "fragment"),
        ("https://rp.example/cb#", "fragment"),
        ("javascript:alert(1)", "scheme javascript:"),
        ("data:text/html,hello", "scheme data:"),
        ("http://rp.example/cb", "must use https"),
        ("com.example.app:/cb", "private scheme"),
        ("/cb", "absolute"),
        ("https:///cb", "no host"),
        ("https://user@rp.example/cb", "user name"),
        ("https://rp.example/c b", "percent-encoded"),
        ("https://rp.example/\N{LATIN SMALL LETTER E WITH ACUTE}", "percent-encoded"),
        ("https://rp.example\\@evil.example/", "percent-encoded"),
        ("https://rp.example:port/", "no URI"),
        ("https://rp.example;script-src/cb", "its host"),
        ("https://rp.example,b.example/cb", "its host"),
        ("https://'unsafe-inline'/cb", "its host"),
        ("https://*.example/cb", "its host"),
        ("https://bank.example%2f.evil.example/cb", "its host"),
        ("https://bank%2eexample/cb", "its host"),
        ("https://bank.example./cb", "its host"),
        ("https://-rp.example/cb", "its host"),
        ("https://2130706433/cb", "its host"),
        ("https://0x7f.1/cb", "its host"),
        ("https://127.1/cb", "its host"),
        ("https://0177.0.0.1/cb", "its host"),
        ("https://[fe80::1%25eth0]/cb", "its host"),
        ("https://rp.example/" + "a" * 2_000, "at most 2000"),
        ("", "percent-encoded"),
    ],
)
def test_any_other_address_of_a_web_client_is_refused(uri: str, why: str) -> None:
    assert why in (redirect_problem(uri, "web") or "")


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "JavaScript:alert(1)", "data:,x", "http://rp.example/cb"])
def test_a_native_client_may_not_register_everything_either(uri: str) -> None:
    assert redirect_problem(uri, "native")


def test_a_private_scheme_names_its_owners_domain_unless_it_is_imported() -> None:
    assert "domain" in (redirect_problem("myapp:/cb", "native") or "")
    assert redirect_problem("myapp:/cb", "native", reverse_domain=False) is None


def test_a_link_that_is_shown_leads_to_a_web_page() -> None:
    assert link_problem("http://rp.example/logo.png") is None
    assert link_problem("javascript:alert(1)")
    assert link_problem("/logo.png")
    assert link_problem("https://rp.example;frame-src/logo.png")


def test_an_address_that_is_called_uses_https() -> None:
    assert link_problem("https://rp.example/logout", https=True) is None
    assert link_problem("http://127.0.0.1/logout", https=True) is None
    assert link_problem("http://rp.example/logout", https=True)
    assert link_problem("https://rp.example/logout#x", https=True)


@pytest.mark.parametrize(
    ("query", "ours", "clash"),
    [
        *((f"{name}=1", ANSWERS, name) for name in sorted(ANSWERS)),
        ("state", ANSWERS, "state"),
        ("a=b&st%61te=", ANSWERS, "state"),
        ("a=state&codes=1&State=2", ANSWERS, None),
        ("dummy1=lorem&dummy2=ipsum", ANSWERS, None),
        ("", ANSWERS, None),
        ("state=1", GOODBYES, "state"),
        ("code=1&iss=2", GOODBYES, None),
    ],
)
def test_an_address_has_no_parameter_that_is_ours_to_add(query: str, ours: frozenset[str], clash: str | None) -> None:
    """RFC 6749 §3.1: none comes twice; RFC 9207 §2."""
    for place in ("https://rp.example/cb", "com.example.app:/cb"):
        why = clash_problem(f"{place}?{query}", ours)
        assert (why is None) == (clash is None)
        assert clash is None or f"parameter {clash}," in (why or "")
