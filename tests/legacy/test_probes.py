"""GetConfigurationValue and GetAdminDetails — whmcs-api §3.7."""

import pytest

from bridge.clients.credential import Credential
from bridge.legacy.actions import Caller
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import of_mapping
from bridge.legacy.probes import GetAdminDetails, GetConfigurationValue

CALLER = Caller(name="portal")
OPTIONS = LegacyOptions(advertised_version="9.0.1")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Version", {"result": "success", "setting": "Version", "value": "9.0.1-release.1"}),
        ("systemurl", {"result": "success", "setting": "SystemURL", "value": "https://login.example.com/sso/"}),
        ("", {"result": "error", "message": "Parameter setting is required"}),
        (" ", {"result": "error", "message": "Parameter setting is required"}),
        ("CCEncryptionHash", {"result": "error", "message": "Invalid name for parameter setting"}),
        ("undefined", {"result": "error", "message": "Invalid name for parameter setting"}),
    ],
)
async def test_two_settings_are_told_and_no_other(asked: str, told: dict[str, str]) -> None:
    value = GetConfigurationValue(options=OPTIONS, base_url="https://login.example.com/sso")
    assert (await value(of_mapping({"setting": asked}), CALLER)).content == told


async def test_a_caller_learns_who_he_is_and_what_he_may_do() -> None:
    credential = Credential(
        name="portal", identifier="i", actions=frozenset({"*"}), roles={"desk": frozenset({"adduser", "updateuser"})}
    )
    caller = Caller(name="portal", credential=credential)
    assert (await GetAdminDetails(options=OPTIONS)(of_mapping({}), caller)).content == {
        "result": "success",
        "adminid": 1,
        "name": "portal",
        "notes": "",
        "signature": "",
        "allowedpermissions": "*,adduser,updateuser",
        "departments": ",",
        "whmcs": {"version": "9.0.1", "canonicalversion": "9.0.1-release.1"},
    }


async def test_a_call_within_the_process_has_no_credential() -> None:
    content = (await GetAdminDetails(options=OPTIONS)(of_mapping({}), CALLER)).content
    assert content["allowedpermissions"] == ""
