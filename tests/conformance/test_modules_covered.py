"""Every module of the plans has a test of our own that does what it demands — openid-provider §3, §4."""

import re
from collections.abc import Mapping
from typing import Final

import pytest

from tests.house.project import ROOT

_BASIC: Final = "tests/conformance/test_modules_basic.py"
_FRONT: Final = "tests/conformance/test_modules_front_channel.py"
_DYNAMIC: Final = "tests/conformance/test_modules_dynamic.py"
_LOGOUT: Final = "tests/conformance/test_modules_logout.py"
_WISH: Final = f"{_BASIC}::test_what_is_a_wish_or_unknown_changes_nothing"
_SCOPE: Final = f"{_BASIC}::test_each_scope_is_accepted_and_its_claims_have_the_right_types"
_NONE: Final = f"{_BASIC}::test_prompt_none_returns_at_once_with_the_same_person_or_an_error"
_TWICE: Final = f"{_BASIC}::test_a_code_that_is_used_again_is_refused_and_its_tokens_are_dead"
_OBJECT: Final = f"{_BASIC}::test_request_objects_are_processed_or_refused_and_never_ignored"
_SHOWN: Final = f"{_DYNAMIC}::test_the_login_page_shows_what_was_registered"
_WHOEVER: Final = f"{_DYNAMIC}::test_whoever_registers_signs_people_in"
_QUERY: Final = f"{_DYNAMIC}::test_redirect_uri_query_ok_and_neither_added_nor_changed"
_SECTOR: Final = "tests/oidc/test_registration.py::test_a_sector_s_document_lists_every_address"
_WRONG: Final = f"{_LOGOUT}::test_what_is_wrong_leads_nowhere_and_is_named_on_a_page"
_TOLD: Final = f"{_LOGOUT}::test_without_an_address_the_person_is_told_that_he_is_signed_out"
_BACK: Final = f"{_LOGOUT}::test_it_leads_back_with_the_state_and_ends_the_session"
_UNREGISTERED: Final = f"{_BASIC}::test_ensure_registered_redirect_uri_is_a_page_that_names_it"

TESTS: Final[Mapping[str, str]] = {
    "discovery-endpoint-verification": "tests/oidc/test_discovery.py::test_the_document_is_complete_and_valid",
    "server": f"{_FRONT}::test_server_brings_what_was_asked_for_of_one_person",
    "server-client-secret-post": f"{_BASIC}::test_server_client_secret_post",
    "ensure-post-request-succeeds": f"{_BASIC}::test_ensure_post_request_succeeds",
    "request-uri-unsigned-supported-correctly-or-rejected-as-unsupported": _OBJECT,
    "response-type-missing": f"{_BASIC}::test_response_type_missing_goes_back_with_an_error",
    "idtoken-signature": f"{_BASIC}::test_idtoken_signature_is_rs256_where_nothing_was_asked_for",
    "idtoken-rs256": _WHOEVER,
    "idtoken-unsigned": "tests/oidc/test_registration.py::test_what_may_not_be_registered_is_refused_by_its_name",
    "userinfo-get": f"{_BASIC}::test_server_and_the_three_ways_to_ask_userinfo",
    "userinfo-post-header": f"{_BASIC}::test_server_and_the_three_ways_to_ask_userinfo",
    "userinfo-post-body": f"{_BASIC}::test_server_and_the_three_ways_to_ask_userinfo",
    "ensure-request-without-nonce-succeeds-for-code-flow": (
        f"{_BASIC}::test_ensure_request_without_nonce_succeeds_for_the_code_flow"
    ),
    "ensure-request-without-nonce-fails": (
        f"{_FRONT}::test_ensure_request_without_nonce_fails_where_an_id_token_comes_back"
    ),
    "scope-profile": _SCOPE,
    "scope-email": f"{_FRONT}::test_an_id_token_that_comes_alone_tells_what_its_scopes_tell",
    "scope-address": _SCOPE,
    "scope-phone": _SCOPE,
    "scope-all": _SCOPE,
    "claims-essential": f"{_FRONT}::test_claims_essential_succeeds_and_tells_the_name",
    "alternate-happy-flow": f"{_BASIC}::test_the_order_of_scopes_and_of_parameters_is_irrelevant",
    "display-page": _WISH,
    "display-popup": _WISH,
    "ui-locales": _WISH,
    "claims-locales": _WISH,
    "login-hint": _WISH,
    "ensure-request-with-acr-values-succeeds": f"{_FRONT}::test_acr_values_that_were_advertised_are_said_to_be_met",
    "ensure-request-with-unknown-parameter-succeeds": _WISH,
    "ensure-request-with-valid-pkce-succeeds": (
        f"{_BASIC}::test_ensure_request_with_valid_pkce_succeeds_for_a_confidential_client"
    ),
    "prompt-login": f"{_BASIC}::test_prompt_login_asks_again_and_says_so",
    "prompt-none-logged-in": _NONE,
    "prompt-none-not-logged-in": _NONE,
    "max-age-1": f"{_BASIC}::test_max_age_1_asks_again_after_a_second",
    "max-age-10000": f"{_BASIC}::test_max_age_10000_asks_nothing_and_tells_when_it_was",
    "id-token-hint": f"{_BASIC}::test_id_token_hint_with_prompt_none_returns_at_once",
    "unsigned-request-object-supported-correctly-or-rejected-as-unsupported": _OBJECT,
    "ensure-request-object-with-redirect-uri": _OBJECT,
    "request-uri-unsigned": _OBJECT,
    "request-uri-signed-rs256": (
        "tests/oidc/test_request_objects.py::test_an_object_by_reference_is_read_where_it_was_registered"
    ),
    "refresh-token": f"{_BASIC}::test_refresh_token_works_and_is_its_own_clients",
    "refresh-token-rp-key-rotation": ("tests/oidc/test_assertions.py::test_the_suite_swaps_the_key_behind_the_address"),
    "codereuse": _TWICE,
    "codereuse-30seconds": _TWICE,
    "ensure-registered-redirect-uri": _UNREGISTERED,
    "ensure-redirect-uri-in-authorization-request": f"{_DYNAMIC}::test_ensure_redirect_uri_in_authorization_request",
    "redirect-uri-query-OK": _QUERY,
    "redirect-uri-query-added": _QUERY,
    "redirect-uri-query-mismatch": _QUERY,
    "redirect-uri-regfrag": f"{_DYNAMIC}::test_redirect_uri_with_a_fragment_is_not_registered",
    "registration-jwks-uri": "tests/oidc/test_assertions.py::test_keys_behind_an_address_are_asked_for_once",
    "registration-logo-uri": _SHOWN,
    "registration-policy-uri": _SHOWN,
    "registration-tos-uri": _SHOWN,
    "registration-sector-uri": _SECTOR,
    "registration-sector-bad": _SECTOR,
    "server-rotate-keys": f"{_DYNAMIC}::test_after_a_rotation_there_is_a_new_key_and_still_the_old_one",
    "ensure-client-assertion-with-iss-aud-succeeds": (
        f"{_DYNAMIC}::test_a_client_that_signs_is_taken_by_the_issuer_as_audience"
    ),
    "rp-initiated-logout-discovery-endpoint-verification": (f"{_LOGOUT}::test_the_metadata_names_where_a_session_ends"),
    "rp-initiated-logout": _BACK,
    "rp-initiated-logout-no-state": _BACK,
    "rp-initiated-logout-bad-post-logout-redirect-uri": _WRONG,
    "rp-initiated-logout-query-added-to-post-logout-redirect-uri": _WRONG,
    "rp-initiated-logout-modified-id-token-hint": _WRONG,
    "rp-initiated-logout-bad-id-token-hint": _WRONG,
    "rp-initiated-logout-no-id-token-hint": _WRONG,
    "rp-initiated-logout-no-params": _TOLD,
    "rp-initiated-logout-no-post-logout-redirect-uri": _TOLD,
    "rp-initiated-logout-only-state": _TOLD,
    "backchannel-logout-discovery-endpoint-verification": (
        "tests/flows/test_backchannel_logout.py::test_it_is_said_of_itself"
    ),
    "backchannel-rp-initiated-logout": (
        "tests/flows/test_backchannel_logout.py::test_the_app_is_called_before_the_browser_is_sent_back"
    ),
    "3rd_party-init-login": f"{_DYNAMIC}::test_third_party_init_login_is_echoed_and_can_be_read_again",
    "3rd_party-init-login-nohttps": f"{_DYNAMIC}::test_third_party_init_login_without_https_is_refused",
}
"""By module, without `oidcc-`: where its demand is tested.  `userinfo-rs256`, front-channel logout and session
management come with what they demand."""


@pytest.mark.parametrize("place", sorted({*TESTS.values()}))
def test_a_test_that_is_named_is_there(place: str) -> None:
    file, _, name = place.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)
