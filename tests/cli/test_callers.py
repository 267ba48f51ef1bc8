"""`login-bridge credential` and `client`: who may call, and what is printed once — DESIGN §10, RFC 7591 §3.2.1."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.app.rooms import Rooms
from bridge.secret import Secret
from tests.cli.conftest import Command, within

URI = "https://app.example.com/callback"


def test_a_credential_is_made_and_its_secret_printed_once(place: Path, command: Command) -> None:
    arguments = ("--allow-ip", "10.1.0.0/16", "--allow-ip", "::1", "--allow-action", "ValidateLogin")
    terms = ("--session-lifetime", "3600", "--session-idle", "600", "--session-cap", "3")
    said = command("credential", "add", "portal", *arguments, *terms, "--json").json
    assert within(lambda rooms: _opens(rooms, said["identifier"], said["secret"])) is True
    assert len(said["identifier"]) == len(said["secret"]) == 32
    assert said | {"identifier": "", "secret": "", "created_at": 0} == {
        "name": "portal",
        "kind": "identifier",
        "identifier": "",
        "secret": "",
        "allowed_ips": ["10.1.0.0/16", "::1/128"],
        "actions": ["validatelogin"],
        "roles": [],
        "sessions": {"lifetime": 3600, "idle": 600, "cap": 3},
        "error_on_2fa": None,
        "sso_without_2fa": False,
        "disabled": False,
        "created_at": 0,
    }
    for words in (["credential", "list"], ["credential", "list", "--json"], ["audit", "export", "--since", "1h"]):
        assert said["secret"] not in command(*words).out


def test_identifier_and_secret_may_be_brought_along(place: Path, command: Command) -> None:
    said = command("credential", "add", "old", "--identifier", "abc", "--secret-stdin", "--all-actions", stdin="hush\n")
    assert said.out == "added old\nidentifier  abc\n"
    assert within(lambda rooms: _opens(rooms, "abc", "hush")) is True
    assert within(lambda rooms: _opens(rooms, "abc", "loud")) is False


def test_a_role_is_made_given_changed_and_removed(place: Path, command: Command) -> None:
    made = command(
        "role", "add", "login", "--allow-action", "ValidateLogin", "--allow-action", "AddUser", "--json"
    ).json
    assert made | {"created_at": 0} == {
        "name": "login",
        "actions": ["adduser", "validatelogin"],
        "credentials": [],
        "created_at": 0,
    }
    assert command("role", "add", "all", "--all-actions").out == "added all\n"
    arguments = ("--role", "login", "--role", "all", "--lifetime", "60", "--idle", "30", "--cap", "2", "--error-on-2fa")
    said = command("credential", "add", "portal", *arguments, "--json").json
    assert (said["roles"], said["actions"], said["error_on_2fa"]) == (["all", "login"], [], True)
    assert said["sessions"] == {"lifetime": 60, "idle": 30, "cap": 2}
    assert within(lambda rooms: _may(rooms, said["identifier"], "adduser")) is True
    assert within(lambda rooms: _may(rooms, said["identifier"], "deleteclient")) is False
    assert [row["credentials"] for row in command("role", "list", "--json").json] == [["portal"], ["portal"]]
    assert command("role", "remove", "login").err == "login-bridge: the role login is that of portal\n"
    assert command("role", "set", "login", "--allow-action", "GetUsers", "--json").json == {
        "name": "login",
        "state": "set",
    }
    assert within(lambda rooms: _may(rooms, said["identifier"], "adduser")) is False
    assert command("credential", "roles", "portal", "--role", "all").out == "portal has all\n"
    assert command("credential", "roles", "portal", "--json").json == {"name": "portal", "roles": []}
    assert command("role", "remove", "login", "--json").json == {"name": "login", "state": "removed"}
    assert [row["name"] for row in command("role", "list", "--json").json] == ["all"]
    assert command("role", "add", "all", "--all-actions").err == "login-bridge: the role all is there already\n"


def test_what_is_done_to_roles_is_in_the_audit(place: Path, command: Command) -> None:
    command("role", "add", "login", "--allow-action", "ValidateLogin")
    command("role", "set", "login", "--all-actions")
    command("credential", "add", "portal", "--role", "login")
    command("credential", "roles", "portal")
    command("role", "remove", "login")
    lines = [json.loads(line) for line in command("audit", "export", "--since", "1h").out.splitlines()]
    told = [(line["kind"], line["reason"]) for line in lines if line["kind"] != "key.changed"]
    assert told == [
        ("role.changed", "made"),
        ("role.changed", "set"),
        ("credential.changed", "made"),
        ("credential.changed", "roles"),
        ("role.changed", "removed"),
    ]


def test_a_credential_need_not_say_anything_of_second_factors(place: Path, command: Command) -> None:
    for arguments, expected in (((), None), (("--no-error-on-2fa",), False)):
        said = command("credential", "add", str(expected), "--all-actions", *arguments, "--json").json
        assert said["error_on_2fa"] is expected


def test_an_admin_is_known_by_the_md5_of_his_password(place: Path, command: Command) -> None:
    arguments = ("--admin", "--identifier", "root", "--secret-stdin", "--all-actions", "--json")
    said = command("credential", "add", "root", *arguments, stdin="hush hush\n")
    md5 = hashlib.md5(b"hush hush").hexdigest()
    assert said.json["kind"] == "admin"
    assert within(lambda rooms: _opens(rooms, "root", md5)) is True
    assert "secret" not in said.json
    assert md5 not in said.out


def test_a_credential_is_disabled_enabled_and_removed(place: Path, command: Command) -> None:
    command("credential", "add", "portal", "--all-actions")
    assert command("credential", "disable", "portal").out == "disabled portal\n"
    assert command("credential", "list", "--json").json[0]["disabled"] is True
    assert command("credential", "enable", "portal", "--json").json == {"name": "portal", "state": "enabled"}
    assert command("credential", "list", "--json").json[0]["disabled"] is False
    assert command("credential", "remove", "portal").out == "removed portal\n"
    assert command("credential", "list", "--json").json == []


def test_a_client_is_registered_for_the_response_types_that_a_setting_offers(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registration 1.0 §2: and for no others."""
    grants = ("--grant-type", "authorization_code", "--grant-type", "implicit")
    add = ("client", "add", "--name", "App", "--redirect-uri", URI, *grants, "--response-type", "id_token code")
    assert "'implicit' is not offered; oidc.implicit and oidc.hybrid offer more" in command(*add).err
    monkeypatch.setenv("BRIDGE__OIDC__HYBRID", "true")
    assert command(*add, "--json").json["response_types"] == ["code id_token"]
    assert "'id_token' is not offered" in command(*add, "--response-type", "id_token").err


def test_a_client_is_registered_as_rfc_7591_answers(place: Path, command: Command) -> None:
    said = command("client", "add", "--name", "App", "--redirect-uri", URI, "--scope", "openid email", "--json").json
    assert within(lambda rooms: _client_opens(rooms, said["client_id"], said["client_secret"])) is True
    assert said | {"client_id": "", "client_secret": "", "client_id_issued_at": 0} == {
        "client_id": "",
        "client_secret": "",
        "client_secret_expires_at": 0,
        "client_id_issued_at": 0,
        "client_name": "App",
        "redirect_uris": [URI],
        "post_logout_redirect_uris": [],
        "application_type": "web",
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "openid email",
        "id_token_signed_response_alg": "RS256",
    }
    (listed,) = command("client", "list", "--json").json
    assert (listed["client_id"], listed["require_pkce"], listed["first_party"]) == (said["client_id"], True, False)
    for arguments in (("client", "list"), ("client", "list", "--json"), ("audit", "export", "--since", "1h")):
        assert said["client_secret"] not in command(*arguments).out


def test_a_public_client_has_no_secret(place: Path, command: Command) -> None:
    arguments = (
        "--name",
        "Phone",
        "--redirect-uri",
        "com.example.phone:/cb",
        "--public",
        "--native",
        "--client-id",
        "p",
    )
    said = command("client", "add", *arguments)
    assert said.out == "added Phone\nclient_id      p\n"
    (listed,) = command("client", "list", "--json").json
    assert listed["token_endpoint_auth_method"] == "none"


def test_a_member_in_another_language_is_set_by_the_rule_of_the_member(place: Path, command: Command) -> None:
    """RFC 7591 §2.2."""
    add = ("client", "add", "--name", "App", "--redirect-uri", URI, "--client-id", "app", "--set")
    said = command(*add, "logo_uri#de=javascript:alert(1)")
    assert (said.status, said.err) == (1, "login-bridge: logo_uri#de: must be an https address\n")
    assert command(*add, "client_name#de=Laden", "--json").json["client_name#de"] == "Laden"
    assert "client_name#de" not in command("client", "set", "app", "client_name#de=", "--json").json


def test_what_is_registered_is_shown_and_changed(place: Path, command: Command) -> None:
    """Members by their names in RFC 7591, each of its type."""
    bye = "backchannel_logout_uri=https://app.example/bye"
    made = command(
        "client", "add", "--name", "App", "--redirect-uri", URI, "--client-id", "app", "--set", bye, "--json"
    )
    secret = made.json["client_secret"]
    assert made.json["backchannel_logout_uri"] == "https://app.example/bye"
    more = [f"redirect_uris={URI}", f"redirect_uris={URI}2", "default_max_age=60", "require_auth_time=true"]
    known = {"keys": [{"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 43, "kid": "one"}]}
    keys = f"jwks={json.dumps(known)}"
    said = command("client", "set", "app", *more, keys, "backchannel_logout_uri=", "scope=openid email", "--json").json
    assert "client_secret" not in said and "backchannel_logout_uri" not in said
    shown = command("client", "show", "app", "--json").json
    assert said.items() <= shown.items()
    assert (shown["redirect_uris"], shown["default_max_age"], shown["require_auth_time"]) == (
        [URI, URI + "2"],
        60,
        True,
    )
    assert (shown["scope"], shown["require_pkce"], shown["jwks"]) == ("openid email", True, known)
    text = command("client", "show", "app").out
    assert f"redirect_uris                 {URI}, {URI}2\n" in text and secret not in text
    assert within(lambda rooms: _client_opens(rooms, "app", secret)) is True
    events = command("audit", "export", "--since", "1h").out
    assert "backchannel_logout_uri default_max_age jwks" in events


def test_a_secret_is_renewed_and_shown_once(place: Path, command: Command) -> None:
    """Openid-provider §12 no. 46: the one before it is good for as long as is said."""
    old = command("client", "add", "--name", "App", "--redirect-uri", URI, "--client-id", "app", "--json").json
    new = command("client", "new-secret", "app", "--keep-old", "3600", "--json").json
    assert new["client_secret"] != old["client_secret"]
    for secret in (old["client_secret"], new["client_secret"]):
        assert within(lambda rooms, secret=secret: _client_opens(rooms, "app", secret)) is True  # type: ignore[misc]
    third = command("client", "new-secret", "app").out
    assert third.startswith("renewed the secret of app\nclient_id      app\nclient_secret  ")
    assert within(lambda rooms: _client_opens(rooms, "app", new["client_secret"])) is False
    for arguments in (("client", "list"), ("client", "show", "app"), ("audit", "export", "--since", "1h")):
        assert third.split()[-1] not in command(*arguments).out


def test_a_client_is_disabled_enabled_and_removed(place: Path, command: Command) -> None:
    command("client", "add", "--name", "App", "--redirect-uri", URI, "--client-id", "app")
    assert command("client", "disable", "app", "--json").json == {"client_id": "app", "state": "disabled"}
    assert command("client", "list", "--json").json[0]["disabled"] is True
    assert command("client", "enable", "app").out == "enabled app\n"
    assert command("client", "remove", "app").out == "removed app\n"
    assert command("client", "list", "--json").json == []


def test_clients_are_imported_with_ids_and_secrets(place: Path, command: Command) -> None:
    one = {"client_id": "one", "client_secret": "first secret", "client_name": "One", "redirect_uris": [URI]}
    two = {**one, "client_id": "two", "client_secret": "second secret"}
    (place / "one.json").write_text(json.dumps(one))
    (place / "both.json").write_text(json.dumps([one, two]))
    assert command("client", "import", "one.json").out == "added  one\n"
    assert command("client", "import", "both.json", "--json").json == [
        {"client_id": "one", "state": "was there"},
        {"client_id": "two", "state": "added"},
    ]
    assert within(lambda rooms: _client_opens(rooms, "two", "second secret")) is True
    assert [row["require_pkce"] for row in command("client", "list", "--json").json] == [False, False]


def test_of_an_import_with_a_mistake_nothing_is_taken(place: Path, command: Command) -> None:
    good = {"client_id": "one", "client_secret": "PLANTED", "redirect_uris": [URI]}
    (place / "c.json").write_text(json.dumps([good, {**good, "client_id": "two", "redirect_uris": ["javascript:x"]}]))
    said = command("client", "import", "c.json")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("login-bridge: c.json: client 2 of the import: redirect_uris: ")
    assert "PLANTED" not in said.err
    assert command("client", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "stdin", "why"),
    [
        (["credential", "add", "x"], "", "it could call nothing: name actions by --allow-action, --all-actions or --role"),  # noqa: E501
        (["credential", "add", "x", "--role", "none"], "", "there is no role none"),
        (["credential", "roles", "x", "--role", "none"], "", "there is no credential x"),
        (["role", "add", "x"], "", "it would allow nothing: name actions by --allow-action, or --all-actions"),
        (["role", "add", "x y", "--all-actions"], "", "the name must have 1 to 100 of A-Z a-z 0-9 . _ -"),
        (["role", "add", "x", "--allow-action", "do it"], "", "'do it' is no name of an action"),
        (["role", "set", "x", "--all-actions"], "", "there is no role x"),
        (["role", "remove", "x"], "", "there is no role x"),
        (["credential", "add", "x", "--all-actions", "--allow-ip", "1.2.3.400"], "", "'1.2.3.400' is neither an address nor CIDR"),  # noqa: E501
        (["credential", "add", "x", "--allow-action", "Validate it"], "", "'validate it' is no name of an action"),
        (["credential", "add", "x", "--all-actions", "--secret-stdin"], "", "no secret came on standard input"),
        (["credential", "add", "x", "--all-actions", "--admin"], "", "--admin needs --identifier and --secret-stdin"),
        (["credential", "remove", "x"], "", "there is no credential x"),
        (["client", "remove", "x"], "", "there is no client x"),
        (["client", "disable", "x"], "", "there is no client x"),
        (["client", "show", "x"], "", "there is no client x"),
        (["client", "set", "x", "client_name=y"], "", "there is no client x"),
        (["client", "set", "x", "client_name"], "", "client_name: must be MEMBER=VALUE"),
        (["client", "set", "x", "backchannel_uri=y"], "", "backchannel_uri: no such member; did you mean backchannel_logout_uri?"),  # noqa: E501
        (["client", "set", "x", "first_party=true"], "", "first_party: no such member"),
        (["client", "set", "x", "logo_uri=a", "logo_uri=b"], "", "logo_uri: is one value, and was given 2 times"),
        (["client", "set", "x", "require_auth_time=perhaps"], "", "require_auth_time: Expected `bool`, got `str`"),
        (["client", "new-secret", "x"], "", "there is no client x"),
        (["client", "add", "--name", "n"], "", "redirect_uris: at least one is needed"),
        (["client", "import", "none.json"], "", "none.json: No such file or directory"),
        (["client", "import", "bridge.toml"], "", "bridge.toml: not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_one_line(
    place: Path, command: Command, arguments: list[str], stdin: str, why: str
) -> None:
    for as_json in ([], ["--json"]):
        said = command(*arguments, *as_json, stdin=stdin)
        assert (said.status, said.out, said.err) == (1, "", f"login-bridge: {why}\n")


def test_a_name_or_an_id_is_taken_once(place: Path, command: Command) -> None:
    command("credential", "add", "portal", "--all-actions")
    again = command("credential", "add", "portal", "--all-actions")
    assert again.err == "login-bridge: a credential of that name or identifier is there already\n"
    client = ("client", "add", "--name", "App", "--redirect-uri", URI, "--client-id", "app")
    command(*client)
    assert command(*client).err == "login-bridge: client_id: is taken\n"


def test_a_secret_reaches_its_owner_though_the_store_does_not_answer(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE__STORE__URL", "redis://127.0.0.1:1")
    said = command("client", "add", "--name", "App", "--redirect-uri", URI, "--json").json
    assert within(lambda rooms: _client_opens(rooms, said["client_id"], said["client_secret"])) is True
    assert command("credential", "add", "portal", "--all-actions", "--json").json["secret"]


async def _opens(rooms: Rooms, identifier: str, secret: str) -> bool:
    found = await rooms.credentials.find(identifier)
    return found is not None and await rooms.credentials.check(found, Secret(secret))


async def _may(rooms: Rooms, identifier: str, action: str) -> bool:
    found = await rooms.credentials.find(identifier)
    return found is not None and found.may_call(action, powerful=True)


async def _client_opens(rooms: Rooms, client_id: str, secret: str) -> Any:
    found = await rooms.clients.get(client_id)
    return found is not None and await rooms.clients.check_secret(found, Secret(secret))


def test_an_initial_access_token_is_shown_once_listed_and_removed(place: Path, command: Command) -> None:
    """RFC 7591 §1.2."""
    said = command("registration", "add", "them", "--uses", "3", "--scope", "openid email", "--json").json
    token, who = said.pop("initial_access_token"), said.pop("registration")
    assert who == "off" and 'oidc.registration is "off"' in command("registration", "add", "early").out
    assert command("registration", "remove", "early").status == 0
    assert token.startswith("lbi_") and (said["uses_left"], said["scope"]) == (3, "openid email")
    assert said["expires_at"] == said["created_at"] + 86_400
    assert command("registration", "list", "--json").json == [said]
    for arguments in (("registration", "list"), ("audit", "export", "--since", "1h")):
        assert token not in command(*arguments).out
    assert command("registration", "add", "them").status == 1
    endless = command("registration", "add", "us", "--uses", "0", "--lifetime", "0", "--json").json
    assert (endless["uses_left"], endless["expires_at"]) == (None, None)
    assert command("registration", "remove", "them").out == "removed them\n"
    assert [each["name"] for each in command("registration", "list", "--json").json] == ["us"]
    assert "there is no initial access token them" in command("registration", "remove", "them").err


def test_a_client_that_signs_has_no_secret_to_print(place: Path, command: Command) -> None:
    """`--jwks` is a file of public keys; one with a private key never gets in."""
    known = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 43, "kid": "one"}
    (place / "jwks.json").write_text(json.dumps({"keys": [known]}))
    options = ("--auth-method", "private_key_jwt", "--auth-alg", "ES256", "--jwks", "jwks.json", "--json")
    made = command("client", "add", "--name", "Signer", "--redirect-uri", "https://rp.example/cb", *options).json
    assert "client_secret" not in made
    assert made["jwks"] == {"keys": [known]} and made["token_endpoint_auth_signing_alg"] == "ES256"
    (place / "jwks.json").write_text(json.dumps({"keys": [{**known, "d": "C" * 43}]}))
    refused = command("client", "add", "--name", "Signer", "--redirect-uri", "https://rp.example/cb", *options)
    assert refused.status == 1 and refused.err == "login-bridge: jwks: holds a key that is not public\n"


def test_what_a_client_asks_for_where_it_does_not_say_is_an_option(place: Path, command: Command) -> None:
    add = ("client", "add", "--name", "App", "--redirect-uri", URI, "--json")
    said = command(*add, "--default-max-age", "600", "--default-acr", "phr", "--default-acr", "mfa").json
    assert (said["default_max_age"], said["default_acr_values"]) == (600, ["phr", "mfa"])
    assert not {"default_max_age", "default_acr_values"} & command(*add).json.keys()
    refused = command(*add, "--default-acr", "phr mfa")
    assert refused.status == 1 and refused.err == "login-bridge: default_acr_values: must be values without spaces\n"


def test_a_resource_server_is_made_by_an_option_of_its_own(place: Path, command: Command) -> None:
    options = ("--resource-server", "--grant-type", "client_credentials", "--json")
    assert command("client", "add", "--name", "Files", *options).json["resource_server"] is True
