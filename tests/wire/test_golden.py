"""Every byte of every kind of answer, in each form — whmcs-api §1.2, §1.3.  A golden file changes by hand only."""

from pathlib import Path

import pytest

from bridge.legacy.options import LegacyOptions
from bridge.legacy.wire import Content, Format, reply

GOLDEN = Path(__file__).parent / "golden"
HASH = "0123456789abcdef0123456789abcdef01234567"
SAID: dict[str, tuple[str, Content]] = {
    "validate_login": (
        "ValidateLogin",
        {"result": "success", "userid": 1, "passwordhash": HASH, "twoFactorEnabled": False},
    ),
    "two_factor": ("ValidateLogin", {"result": "success", "userid": 1, "twoFactorEnabled": True}),
    "two_factor_shown": (
        "ValidateLogin",
        {"result": "success", "userid": 1, "passwordhash": HASH, "twoFactorEnabled": True},
    ),
    "wrong": ("ValidateLogin", {"result": "error", "message": "Email or Password Invalid"}),
    "invalid_ip": ("validatelogin", {"result": "error", "message": "Invalid IP 203.0.113.9"}),
    "permissions": (
        "MergeTicket",
        {"result": "error", "message": 'Invalid Permissions: API action "mergeticket" is not allowed'},
    ),
    "create_sso_token": (
        "CreateSsoToken",
        {
            "result": "success",
            "access_token": HASH,
            "redirect_url": f"https://login.example.com/oauth/singlesignon.php?access_token={HASH}",
        },
    ),
    "create_oauth_credential": (
        "CreateOAuthCredential",
        {
            "result": "success",
            "credentialId": 1,
            "clientIdentifier": "COMPANY-NAME.SQxOYrZOUTQC8YTkLQuQ0w==",
            "clientSecret": "k3/+ZpQ7x1mVb9Lw7A==",
        },
    ),
    "list_oauth_credentials": (
        "ListOAuthCredentials",
        {
            "result": "success",
            "clients": [
                {
                    "credentialId": 1,
                    "name": "",
                    "description": "",
                    "grantTypes": "single_sign_on",
                    "scope": "clientarea:sso clientarea:invoices",
                    "clientIdentifier": "COMPANY-NAME.SQxOYrZOUTQC8YTkLQuQ0w==",
                    "clientSecret": "",
                    "uuid": None,
                    "serviceId": 1,
                    "logoUri": "",
                    "redirectUri": [],
                    "rsaKeyPairId": 0,
                    "createdAt": "18th November 2016 9:32:24am",
                    "updatedAt": "18th November 2016 9:32:24am",
                }
            ],
        },
    ),
    "reset_password": ("ResetPassword", {"result": "success"}),
    "whmcs_details": (
        "WhmcsDetails",
        {"result": "success", "whmcs": {"version": "8.13.1", "canonicalversion": "8.13.1-release.1"}},
    ),
    "lists": (
        "GetUsers",
        {
            "result": "success",
            "totalresults": 2,
            "users": [{"id": 1, "clients": [{"id": 7, "isOwner": True}]}, {"id": 2, "clients": []}],
            "products": {"product": [{"id": 3}, {"id": 4}]},
            "tags": ["a", "b"],
        },
    ),
    "hostile": (
        "echo",
        {
            "result": "success",
            "name": 'a;result=error\r\n\u00e9\u4e2d\U0001f600 <&> "\\ / \ufffd',
            "empty": "",
            "nothing": None,
            "no": False,
        },
    ),
}
TYPES: dict[Format, bytes] = {
    "json": b"application/json",
    "xml": b"application/xml",
    "nvp": b"text/plain; charset=utf-8",
}


@pytest.mark.parametrize("form", ["json", "xml", "nvp"])
@pytest.mark.parametrize("name", SAID)
def test_the_answer_is_the_golden_one(name: str, form: Format) -> None:
    action, content = SAID[name]
    made = reply(action, content, form, LegacyOptions())
    assert made.body == (GOLDEN / f"{name}.{form}").read_bytes()
    assert made.content_type == TYPES[form]


def test_every_golden_file_is_compared() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{form}" for name in SAID for form in TYPES}
