"""Client metadata is checked once, when it comes in — RFC 7591 §2."""

from typing import Any

import pytest

from bridge.clients.client import DEFAULT_SCOPES
from bridge.clients.metadata import InvalidMetadata, Offered, check_identifier, check_metadata, read_metadata

CALLBACK = {"redirect_uris": ["https://rp.example/cb"]}
IMPLICIT = Offered(
    grant_types=frozenset({"authorization_code", "implicit"}),
    response_types=frozenset({"code", "id_token", "id_token token", "code id_token"}),
)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "redirect_uris"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": "https://rp.example/cb"}, "redirect_uris"),
        ({"redirect_uris": [7]}, "redirect_uris"),
        ({"redirect_uris": ["https://rp.example/cb", "data:,x"]}, "redirect_uris"),
        (CALLBACK | {"post_logout_redirect_uris": ["javascript:x"]}, "post_logout_redirect_uris"),
        ({"redirect_uris": ["https://rp.example/cb?iss=x"]}, "redirect_uris"),
        (CALLBACK | {"post_logout_redirect_uris": ["https://rp.example/?state=x"]}, "post_logout_redirect_uris"),
        (CALLBACK | {"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method"),
        (CALLBACK | {"grant_types": ["authorization_code", "password"]}, "grant_types"),
        (CALLBACK | {"grant_types": ["refresh_token"], "response_types": ["code"]}, "response_types"),
        (CALLBACK | {"response_types": ["token"]}, "response_types"),
        (CALLBACK | {"response_types": []}, "response_types"),
        ({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"}, "grant_types"),
        (CALLBACK | {"application_type": "desktop"}, "application_type"),
        (CALLBACK | {"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
        (CALLBACK | {"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        (CALLBACK | {"grant_types": ["implicit"]}, "grant_types"),
        (CALLBACK | {"logo_uri": "javascript:x"}, "logo_uri"),
        (CALLBACK | {"backchannel_logout_uri": "http://rp.example/out"}, "backchannel_logout_uri"),
        (CALLBACK | {"default_max_age": -1}, "default_max_age"),
        (CALLBACK | {"default_acr_values": "mfa"}, "default_acr_values"),
        (CALLBACK | {"default_acr_values": ["mfa pwd"]}, "default_acr_values"),
        (CALLBACK | {"default_acr_values": [""]}, "default_acr_values"),
        (CALLBACK | {"scope": 'openid "all"'}, "scope"),
        (CALLBACK | {"client_name": 7}, "client_name"),
    ],
)
def test_what_no_client_may_register_is_refused_by_name(document: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidMetadata) as caught:
        check_metadata(read_metadata(document))
    assert caught.value.field == field


def test_what_is_left_out_has_the_defaults_of_the_specification() -> None:
    metadata = read_metadata(CALLBACK)
    assert metadata.token_endpoint_auth_method == "client_secret_basic"
    assert metadata.grant_types == ("authorization_code",)
    assert metadata.responses == ("code",)
    assert metadata.scopes == DEFAULT_SCOPES
    assert metadata.id_token_signed_response_alg == "RS256"


def test_a_client_of_its_own_tokens_needs_no_address() -> None:
    metadata = read_metadata({"grant_types": ["client_credentials"]})
    check_metadata(metadata)
    assert metadata.responses == ()


def test_null_is_as_good_as_absent() -> None:
    assert read_metadata({"client_name": None, "redirect_uris": ["https://rp.example/cb"]}).client_name == ""


def test_a_client_without_a_secret_shares_no_key() -> None:
    symmetric = {"id_token_signed_response_alg": "HS256", "token_endpoint_auth_method": "none"}
    with pytest.raises(InvalidMetadata, match="shares no key"):
        check_metadata(read_metadata(CALLBACK | symmetric), offered=Offered(id_token_algs=frozenset({"HS256"})))


def test_response_types_compare_without_regard_to_order() -> None:
    metadata = read_metadata(CALLBACK | {"response_types": ["token id_token"], "grant_types": ["implicit"]})
    check_metadata(metadata, offered=IMPLICIT)
    assert metadata.responses == ("id_token token",)


@pytest.mark.parametrize("uri", ["http://localhost:8080/cb", "https://localhost/cb", "http://127.0.0.1/cb"])
def test_a_web_application_gets_nothing_in_a_fragment_at_an_address_that_is_not_its_own(uri: str) -> None:
    """Registration 1.0 §2."""
    code = read_metadata({"redirect_uris": [uri]})
    implicit = read_metadata({"redirect_uris": [uri], "grant_types": ["implicit"], "response_types": ["id_token"]})
    check_metadata(code)
    check_metadata(implicit, offered=IMPLICIT, imported=True)
    with pytest.raises(InvalidMetadata, match="implicit") as caught:
        check_metadata(implicit, offered=IMPLICIT)
    assert caught.value.field == "redirect_uris"


@pytest.mark.parametrize(
    ("response_types", "grant_types"),
    [
        (["id_token"], ["authorization_code"]),
        (["code", "id_token token"], ["authorization_code"]),
        (["code id_token"], ["authorization_code"]),
        (["code id_token"], ["implicit"]),
    ],
)
def test_response_types_need_the_grant_types_that_stand_for_them(
    response_types: list[str], grant_types: list[str]
) -> None:
    """Registration 1.0 §2; RFC 7591 §2.1."""
    document = CALLBACK | {"response_types": response_types, "grant_types": grant_types}
    with pytest.raises(InvalidMetadata) as caught:
        check_metadata(read_metadata(document), offered=IMPLICIT)
    assert caught.value.field == "response_types"
    check_metadata(read_metadata(document | {"grant_types": ["authorization_code", "implicit"]}), offered=IMPLICIT)


def test_an_imported_address_keeps_its_parameters() -> None:
    """What people are sent to today goes on."""
    addresses = {
        "redirect_uris": ["https://rp.example/cb?state=x"],
        "post_logout_redirect_uris": ["https://rp.example/?state=x"],
    }
    check_metadata(read_metadata(addresses), imported=True)


@pytest.mark.parametrize("uri", ["https://rp.example:port/", "https://[rp/"])
@pytest.mark.parametrize(
    "more",
    [
        {"grant_types": ["authorization_code", "implicit"]},
        {"frontchannel_logout_uri": "https://rp.example/out"},
        {"subject_type": "pairwise"},
    ],
)
def test_what_is_no_address_is_refused_before_it_is_compared_with_anything(uri: str, more: dict[str, Any]) -> None:
    with pytest.raises(InvalidMetadata) as caught:
        check_metadata(read_metadata({"redirect_uris": [uri], **more}), offered=IMPLICIT)
    assert caught.value.field == "redirect_uris"


@pytest.mark.parametrize(
    ("grant_types", "response_types", "right"),
    [
        (["implicit"], None, False),
        (["implicit"], [], False),
        (["authorization_code"], [], False),
        (["authorization_code", "implicit"], [], False),
        (["authorization_code"], None, True),
        (["authorization_code", "implicit"], None, True),
        (["implicit"], ["id_token"], True),
        ([], [], True),
    ],
)
def test_a_grant_that_starts_in_the_browser_needs_a_response_type(
    grant_types: list[str], response_types: list[str] | None, right: bool
) -> None:
    """RFC 7591 §2, §2.1: left out it is code, which `implicit` alone contradicts."""
    metadata = read_metadata(CALLBACK | {"grant_types": grant_types, "response_types": response_types})
    if right:
        check_metadata(metadata, offered=IMPLICIT)
        return
    with pytest.raises(InvalidMetadata, match="at least one") as caught:
        check_metadata(metadata, offered=IMPLICIT)
    assert caught.value.field == "response_types"


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ({"kty": "RSA", "n": "n" * 342, "e": "AQAB"}, True),
        ({"kty": "RSA", "n": "!" * 342, "e": "AQAB"}, False),
        ({"kty": "RSA", "n": "n" * 341 + "+", "e": "AQAB"}, False),
        ({"kty": "RSA", "n": "n" * 342, "e": "AQ=="}, False),
        ({"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "!!!!"}, False),
        ({"kty": "OKP", "crv": "Ed25519", "x": "A" * 42 + "\N{FULLWIDTH DIGIT ONE}"}, False),
        ({"kty": "new", "x": "!!!!"}, True),
    ],
)
def test_the_numbers_of_a_key_are_base64url(key: dict[str, str], right: bool) -> None:
    """RFC 7518 §2, §6: a decoder that skips other characters would make some key of them, and nobody has that one."""
    metadata = read_metadata(CALLBACK | {"jwks": {"keys": [key]}})
    if right:
        check_metadata(metadata)
        return
    with pytest.raises(InvalidMetadata, match="base64url") as caught:
        check_metadata(metadata)
    assert caught.value.field == "jwks"


@pytest.mark.parametrize("client_id", ["ACME-INC.SQxOYrZOUTQC8YTkLQuQ0w==", "a", "x" * 255])
def test_an_imported_id_is_taken_as_it_is(client_id: str) -> None:
    check_identifier(client_id)


@pytest.mark.parametrize("client_id", ["", "x" * 256, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "a\nb"])
def test_what_is_no_client_id_is_refused(client_id: str) -> None:
    with pytest.raises(InvalidMetadata, match="client_id"):
        check_identifier(client_id)


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("https://app.example/out", True),
        ("https://app.example:443/out?x=y", True),
        ("http://127.0.0.1:9000/out", True),
        ("https://app.example:8443/out", False),
        ("http://app.example/out", False),
        ("https://other.example/out", False),
        ("https://app.example.evil.example/out", False),
        ("https://app.example/out#f", False),
        ("javascript:alert(1)", False),
        ("/out", False),
    ],
)
def test_fcl_2_a_page_for_frames_is_where_the_browser_is_sent_anyhow(uri: str, right: bool) -> None:
    document = {
        "redirect_uris": ["https://app.example/cb", "http://127.0.0.1:9000/cb"],
        "frontchannel_logout_uri": uri,
        "frontchannel_logout_session_required": True,
    }
    if right:
        check_metadata(read_metadata(document))
        return
    with pytest.raises(InvalidMetadata, match="frontchannel_logout_uri"):
        check_metadata(read_metadata(document))
