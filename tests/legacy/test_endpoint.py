"""The endpoint: methods, bodies, statuses, the order of checks — whmcs-api §0, §1.4, §2.1."""

import json
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest

from bridge.clients.credential import Rights
from bridge.clients.credentials import Credentials
from bridge.errors import Unavailable
from bridge.legacy.options import LegacyOptions
from bridge.secret import Secret
from tests.legacy.desk import IDENTIFIER, PASSWORD, SECRET, Desk, desk

GOOD = {"identifier": IDENTIFIER, "secret": SECRET, "responsetype": "json"}
LOGIN = GOOD | {"action": "ValidateLogin", "email": "user@example.com", "password2": PASSWORD}
OUTSIDE = "203.0.113.9"


def error(reply: Any) -> str:
    """The message of a JSON error."""
    said = json.loads(reply.content)
    assert said["result"] == "error"
    return str(said["message"])


async def test_a_form_is_read_with_and_without_a_charset(door: Desk) -> None:
    raw = b"action=ValidateLogin&identifier=%b&secret=%b&email=user%%40example.com&responsetype=json&password2=" % (
        IDENTIFIER.encode(),
        SECRET.encode(),
    )
    raw += b"p+%26+%3C+%3E+%22+%3B+%3D+%2B+%C3%A9%E4%B8%AD"
    for kind in ("", ";charset=UTF-8", "; charset=iso-8859-1", ";charset=gbk"):
        reply = await door.send(raw, content_type=f"application/x-www-form-urlencoded{kind}")
        assert reply.json()["result"] == "success", kind


async def test_get_with_everything_in_the_query(door: Desk) -> None:
    reply = await door.send(method="GET", query="?" + urlencode(LOGIN))
    assert reply.json()["result"] == "success"


async def test_get_can_be_forbidden(credentials: Credentials) -> None:
    strict = desk(credentials, LegacyOptions(allow_get=False))
    reply = await strict.send(method="GET", query="?action=WhmcsDetails&responsetype=json")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert "not allowed" in error(reply)
    assert (await strict.call("WhmcsDetails")).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
async def test_another_method_is_refused(door: Desk, method: str) -> None:
    reply = await door.send(method=method, query=f"?action=WhmcsDetails&identifier={IDENTIFIER}&secret={SECRET}")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, POST")
    assert not door.heard.reasons or "method" in door.heard.reasons[0]


async def test_access_key_in_the_query_and_the_rest_in_the_body(credentials: Credentials) -> None:
    keyed = desk(credentials, LegacyOptions(access_key=Secret("Open!Sesame")))
    assert (await keyed.send(LOGIN, query="?accesskey=Open!Sesame", client=OUTSIDE)).json()["result"] == "success"
    refused = await keyed.send(LOGIN, query="?accesskey=open!sesame", client=OUTSIDE)
    assert (refused.status_code, error(refused)) == (403, f"Invalid IP {OUTSIDE}")
    assert "wrong accesskey" in keyed.heard.reasons[-1]


@pytest.mark.parametrize("key", ["", "undefined", "null"])
async def test_no_key_is_no_key_even_where_none_is_set(door: Desk, key: str) -> None:
    assert (await door.call("WhmcsDetails", client=OUTSIDE, accesskey=key)).status_code == 403


async def test_the_access_key_lifts_no_credentials(credentials: Credentials) -> None:
    keyed = desk(credentials, LegacyOptions(access_key=Secret("Open!Sesame")))
    reply = await keyed.call("WhmcsDetails", client=OUTSIDE, accesskey="Open!Sesame", secret="wrong")
    assert (reply.status_code, error(reply)) == (403, "Authentication Failed")


async def test_the_access_key_lifts_no_credentials_own_list(credentials: Credentials) -> None:
    await credentials.create(
        "office", Rights.parse(allowed_ips=["198.51.100.0/24"], actions=["*"]), identifier="office", secret=Secret("s")
    )
    keyed = desk(credentials, LegacyOptions(access_key=Secret("Open!Sesame")))
    ours = {"identifier": "office", "secret": "s", "accesskey": "Open!Sesame"}
    assert (await keyed.call("WhmcsDetails", client="198.51.100.7", **ours)).status_code == 200
    reply = await keyed.call("WhmcsDetails", client=OUTSIDE, **ours)
    assert (reply.status_code, error(reply)) == (403, f"Invalid IP {OUTSIDE}")
    assert "own list" in keyed.heard.reasons[-1]


@pytest.mark.parametrize(
    "action", ["validatelogin", "ValidateLogin", "validateLogin", "VALIDATELOGIN", " ValidateLogin "]
)
async def test_an_action_is_known_in_any_case(door: Desk, action: str) -> None:
    reply = await door.call(action, email="user@example.com", password2=PASSWORD)
    assert reply.json()["result"] == "success"


async def test_parameters_nobody_knows_are_ignored(door: Desk) -> None:
    said = await door.validate(serverUrl="https://x", timeout="30", **{"options[a]": "1"})
    assert said["result"] == "success"


async def test_empty_username_and_password_beside_an_identifier(door: Desk) -> None:
    assert (await door.validate(username="", password="", accesskey="undefined"))["result"] == "success"


async def test_username_and_password_may_hold_identifier_and_secret(door: Desk) -> None:
    for pair in (GOOD, {"identifier": "", "secret": ""}, {"identifier": "undefined", "secret": "null"}):
        values = {"username": IDENTIFIER, "password": SECRET, "identifier": "", "secret": ""} | pair
        assert (await door.call("WhmcsDetails", **values)).status_code == 200


async def test_the_first_pair_that_is_there_counts(door: Desk) -> None:
    reply = await door.call("WhmcsDetails", identifier="wrong", username=IDENTIFIER, password=SECRET)
    assert (reply.status_code, error(reply)) == (403, "Authentication Failed")


@pytest.mark.parametrize(
    ("form", "kind"),
    [("json", "application/json"), ("xml", "application/xml"), ("", "text/plain; charset=utf-8")],
)
@pytest.mark.parametrize("case", ["success", "error", "refused", "forbidden", "empty", "unknown"])
async def test_a_reply_always_has_its_type_and_is_never_stored(door: Desk, form: str, kind: str, case: str) -> None:
    changes: dict[str, dict[str, str]] = {
        "success": {},
        "error": {"password2": "wrong"},
        "refused": {"secret": "wrong"},
        "forbidden": {"action": "Powerful"},
        "empty": {"action": ""},
        "unknown": {"action": "MergeTicket"},
    }
    reply = await door.send(LOGIN | changes[case] | {"responsetype": form})
    assert reply.headers["content-type"] == kind
    assert reply.headers["cache-control"] == "no-store"
    statuses = {"success": 200, "error": 200, "refused": 403, "forbidden": 403, "empty": 400, "unknown": 400}
    assert reply.status_code == statuses[case]


@pytest.mark.parametrize(
    ("changes", "client", "status", "message"),
    [
        # Each row is wrong in everything that follows it: the first wrong thing is answered.
        ({"action": "", "secret": "x"}, OUTSIDE, 403, f"Invalid IP {OUTSIDE}"),
        ({"action": "", "secret": "x"}, "127.0.0.1", 400, "Empty action request"),
        ({"action": "Nonsense", "secret": "x"}, "127.0.0.1", 403, "Authentication Failed"),
        ({"action": "Nonsense"}, "127.0.0.1", 400, "The requested API Action could not be found"),
        (
            {"action": "Powerful", "email": ""},
            "127.0.0.1",
            403,
            'Invalid Permissions: API action "powerful" is not allowed',
        ),
        ({"action": "ValidateLogin", "email": ""}, "127.0.0.1", 200, "Email or Password Invalid"),
    ],
)
async def test_the_checks_come_in_their_order(
    door: Desk, changes: dict[str, str], client: str, status: int, message: str
) -> None:
    reply = await door.send(LOGIN | changes, client=client)
    assert (reply.status_code, error(reply)) == (status, message)


async def test_a_bare_request_from_elsewhere_is_told_its_address(door: Desk) -> None:
    for client, shown in (
        (OUTSIDE, OUTSIDE),
        ("2405:201:2023:685C:111F:4195:BB4A:3575", "2405:201:2023:685c:111f:4195:bb4a:3575"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ):
        reply = await door.send({}, client=client)
        assert (reply.status_code, reply.content) == (403, f"result=error;message=Invalid IP {shown}".encode())


async def test_addresses_and_networks_may_be_allowed(credentials: Credentials) -> None:
    networks = (ip_network("203.0.113.0/24"), ip_network("2001:db8::7/128"))
    open_door = desk(credentials, LegacyOptions(allowed_ips=networks))
    for client, status in ((OUTSIDE, 200), ("2001:db8::7", 200), ("2001:db8::8", 403), ("127.0.0.1", 403)):
        assert (await open_door.call("WhmcsDetails", client=client)).status_code == status, client


async def test_only_a_trusted_proxy_is_believed_about_addresses(credentials: Credentials) -> None:
    plain = desk(credentials, LegacyOptions())
    spoofed = await plain.send(LOGIN, client=OUTSIDE, x_forwarded_for="127.0.0.1")
    assert error(spoofed) == f"Invalid IP {OUTSIDE}"
    behind = desk(credentials, LegacyOptions(), proxies=(ip_network("10.0.0.1"),))
    assert error(await behind.send(LOGIN, client="10.0.0.1", x_forwarded_for=OUTSIDE)) == f"Invalid IP {OUTSIDE}"
    leftmost = await behind.send(LOGIN, client="10.0.0.1", x_forwarded_for=f"127.0.0.1, {OUTSIDE}")
    assert error(leftmost) == f"Invalid IP {OUTSIDE}"
    honest = await behind.send(LOGIN, client="10.0.0.1", x_forwarded_for="1.2.3.4, 127.0.0.1")
    assert honest.json()["result"] == "success"


@pytest.mark.parametrize("name", ["x_forwarded_for", "forwarded", "x_real_ip"])
@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_what_an_unnamed_proxy_on_this_machine_passes_on_is_not_from_here(
    credentials: Credentials, name: str, client: str
) -> None:
    door = desk(credentials, LegacyOptions())
    for said in (OUTSIDE, "127.0.0.1", "for=127.0.0.1", ""):
        reply = await door.send(LOGIN, client=client, **{name: said})
        assert (reply.status_code, error(reply)) == (403, "Invalid IP unknown")
    assert "server.trusted_proxies" in door.heard.reasons[-1]
    named = desk(credentials, LegacyOptions(), proxies=(ip_network("127.0.0.1"), ip_network("::1")))
    assert error(await named.send(LOGIN, client=client, x_forwarded_for=OUTSIDE)) == f"Invalid IP {OUTSIDE}"


async def test_a_credentials_own_list_does_not_take_it_for_this_machine_either(credentials: Credentials) -> None:
    await credentials.create(
        "here", Rights.parse(actions=["Echo"], allowed_ips=["127.0.0.1"]), identifier="here", secret=Secret("s")
    )
    door = desk(credentials, LegacyOptions(access_key=Secret("Open!Sesame")))
    call = {"action": "Echo", "identifier": "here", "secret": "s", "accesskey": "Open!Sesame", "responsetype": "json"}
    assert (await door.send(call)).status_code == 200
    assert error(await door.send(call, x_forwarded_for=OUTSIDE)) == "Invalid IP unknown"


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("action", 400, "The requested API Action could not be found"),
        ("identifier", 403, "Authentication Failed"),
        ("secret", 403, "Authentication Failed"),
        ("email", 200, "Email or Password Invalid"),
        ("password2", 200, "Email or Password Invalid"),
    ],
)
async def test_what_query_and_body_disagree_on_is_as_good_as_wrong(
    door: Desk, name: str, status: int, message: str
) -> None:
    """A proxy, a log or a filter in between may have looked at the other one."""
    reply = await door.send(LOGIN, query=f"?{name}=other")
    assert (reply.status_code, error(reply)) == (status, message)
    assert name in door.heard.reasons[-1] and "differ" in door.heard.reasons[-1]
    assert not door.login.attempts


async def test_a_conflicting_access_key_opens_nothing(credentials: Credentials) -> None:
    keyed = desk(credentials, LegacyOptions(access_key=Secret("Open!Sesame")))
    body = LOGIN | {"accesskey": "Open!Sesame"}
    assert (await keyed.send(body, query="?accesskey=guess", client=OUTSIDE)).status_code == 403
    assert (await keyed.send(body, query="?accesskey=Open!Sesame", client=OUTSIDE)).status_code == 200


async def test_the_last_of_two_values_counts(door: Desk) -> None:
    raw = b"action=Echo&action=WhmcsDetails&identifier=%b&secret=%b&responsetype=xml&responsetype=json" % (
        IDENTIFIER.encode(),
        SECRET.encode(),
    )
    reply = await door.send(raw, content_type="application/x-www-form-urlencoded")
    assert "whmcs" in reply.json()


async def test_multipart_is_read_like_a_form(door: Desk) -> None:
    transport_body, kind = _multipart(LOGIN)
    reply = await door.send(transport_body, content_type=kind)
    assert reply.json()["result"] == "success"
    assert door.login.attempts[0].password.matches(PASSWORD)


@pytest.mark.parametrize("form", ["json", "xml", "nvp"])
async def test_a_body_that_is_too_large_is_a_clear_error(door: Desk, form: str) -> None:
    reply = await door.send(b"x=" + b"y" * 70_000, query=f"?responsetype={form}")
    assert reply.status_code == 413 and b"too large" in reply.content
    assert reply.headers["content-type"].startswith(
        {"json": "application/json", "xml": "application/xml"}.get(form, "text")
    )


async def test_a_chunked_body_is_limited_too(door: Desk) -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"y" * 10_000, "more_body": True}

    replies: list[Any] = []

    async def send(message: Any) -> None:
        replies.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/includes/api.php",
        "headers": [],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
    }
    await door.api(scope, receive, send)
    assert replies[0]["status"] == 413 and sent <= 7


async def test_what_is_wrong_with_a_body_is_told_to_allowed_addresses_only(door: Desk) -> None:
    body = b"&".join([b"a=1"] * 101)
    kind = "application/x-www-form-urlencoded"
    inside = await door.send(body, query="?responsetype=json", content_type=kind)
    assert (inside.status_code, error(inside)) == (400, "There are too many parameters.")
    outside = await door.send(body, query="?responsetype=json", content_type=kind, client=OUTSIDE)
    assert (outside.status_code, error(outside)) == (403, f"Invalid IP {OUTSIDE}")


async def test_a_json_body_is_not_this_api(door: Desk) -> None:
    reply = await door.send(json.dumps(LOGIN).encode(), content_type="application/json", query="?responsetype=json")
    assert (reply.status_code, error(reply)) == (400, "Empty action request")


async def test_what_is_away_is_503_and_never_a_wrong_password(door: Desk) -> None:
    for form in ("json", "xml", "nvp"):
        reply = await door.send(LOGIN | {"action": "Broken", "responsetype": form})
        assert reply.status_code == 503 and int(reply.headers["retry-after"]) > 0
        assert b"Service Temporarily Unavailable" in reply.content
        assert b"Invalid" not in reply.content and b"success" not in reply.content
    assert door.heard.reasons[-1] == "what it stands on is away"


async def test_credentials_that_cannot_be_read_are_503(door: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(identifier: str) -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(door.credentials, "find", away)
    assert (await door.call("WhmcsDetails")).status_code == 503


@pytest.mark.parametrize("status", [200, 403])
async def test_the_status_of_an_unknown_action_can_be_set(credentials: Credentials, status: Any) -> None:
    other = desk(credentials, LegacyOptions(unknown_action_status=status))
    assert (await other.call("MergeTicket")).status_code == status


async def test_refusals_can_be_name_value_pairs_for_everybody(credentials: Credentials) -> None:
    old = desk(credentials, LegacyOptions(nvp_refusals=True))
    reply = await old.call("WhmcsDetails", client=OUTSIDE)
    assert (reply.status_code, reply.content) == (403, f"result=error;message=Invalid IP {OUTSIDE}".encode())
    assert (await old.call("Powerful")).content.startswith(b"result=error;message=Invalid Permissions")
    assert (await old.call("WhmcsDetails")).headers["content-type"] == "application/json"
    assert (await old.call("")).headers["content-type"] == "application/json"  # 400 is no refusal


async def test_the_text_for_bad_credentials_can_be_set(credentials: Credentials) -> None:
    old = desk(credentials, LegacyOptions(auth_failed_text="Invalid or missing credentials"))
    assert error(await old.call("WhmcsDetails", secret="x")) == "Invalid or missing credentials"


async def test_a_disabled_credential_is_refused_as_a_wrong_one(door: Desk) -> None:
    await door.credentials.disable("portal")
    reply = await door.call("WhmcsDetails")
    assert (reply.status_code, error(reply)) == (403, "Authentication Failed")
    assert door.heard.reasons == ["the credential is disabled"]


async def test_an_action_of_the_operators_own_is_called_like_any_other(door: Desk) -> None:
    assert (await door.call("echo", text="a/b")).content == b'{"result":"success","text":"a\\/b","caller":"portal"}'


async def test_the_log_names_action_caller_and_address_and_no_secret(door: Desk) -> None:
    await door.call("validatelogin", email="user@example.com", password2=PASSWORD)
    await door.call("WhmcsDetails", secret="wrong-secret")
    (call, refused) = door.heard.events
    assert (call.kind, call.actor, call.details["action"], str(call.ip)) == (
        "legacy.call",
        "portal",
        "ValidateLogin",
        "127.0.0.1",
    )
    assert (refused.kind, refused.actor, refused.reason) == ("credential.refused", "portal", "wrong secret")
    shown = repr(door.heard.events)
    assert PASSWORD not in shown and SECRET not in shown and "wrong-secret" not in shown


@pytest.mark.parametrize("place", ["query", "body"])
async def test_credentials_in_a_query_are_counted(door: Desk, place: str) -> None:
    query = f"?secret={SECRET}" if place == "query" else ""
    await door.send(GOOD | {"action": "WhmcsDetails"}, query=query)
    assert door.heard.events[0].details["credentials"] == place


async def test_an_action_that_is_none_cannot_write_into_the_log(door: Desk) -> None:
    await door.call("x\r\nlogin.ok user=1" + "y" * 100)
    assert door.heard.events[0].details["action"].isalnum() and len(door.heard.events[0].details["action"]) <= 40


def _multipart(values: dict[str, str]) -> tuple[bytes, str]:
    boundary = "----------------------------d74496d66958873e"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in values.items()
    ]
    return ("".join(parts) + f"--{boundary}--\r\n").encode(), f"multipart/form-data; boundary={boundary}"


async def test_the_path_is_whmcss(door: Desk) -> None:
    assert door.api.endpoints() == {"/includes/api.php": door.api}
