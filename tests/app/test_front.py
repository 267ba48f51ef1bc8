"""Which path leads where, and what becomes of an exception — engine §11; DESIGN §11; security §27."""

import json
import logging
from typing import Any

import pytest

from bridge.app.admission import hosts_only, local_only
from bridge.app.telling import Teller
from bridge.asgi import ASGIApp, BadRequest, Receive, Reply, Scope, Send
from bridge.clock import SystemClock
from bridge.errors import Busy, Unavailable
from bridge.front import Front, HalfSent
from bridge.pages.options import PagesOptions
from bridge.pages.render import Pages
from bridge.pages.trouble import Troubles
from bridge.sessions.cookie import Cookies
from bridge.sessions.options import SessionOptions
from tests.app.scene import HTML, Answer, ask, request

TROUBLES = Troubles(
    pages=Pages(PagesOptions()),
    cookies=Cookies(SessionOptions(), plain=False),
    clock=SystemClock(),
    https=True,
)
SECRET = "sQ7vPlantedInTheException"


def says(text: str) -> ASGIApp:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await Reply(200, f"{text} {scope['root_path']}".encode())(scope, receive, send)

    return endpoint


def raises(error: Exception, *, after: int = 0) -> ASGIApp:
    """After so many messages of an answer."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        messages = [
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]},
            {"type": "http.response.body", "body": b"half", "more_body": True},
        ]
        for message in messages[:after]:
            await send(message)
        raise error

    return endpoint


def front(endpoint: ASGIApp | None = None, **more: Any) -> Front:
    given: dict[str, Any] = {
        "exact": {"/oauth/token": endpoint or says("token")},
        "prefixes": {"/reset/t/": endpoint or says("reset")},
        "trouble": TROUBLES,
        "tell": Teller(),
        "admit": hosts_only(()),
        **more,
    }
    return Front(**given)


def where(found: Any) -> str | None:
    return None if found is None else found.place


async def answered(front: Front, scope: dict[str, Any]) -> Answer:
    found = front.find(scope)
    assert found is not None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await front.answer(found, receive, send)

    answer = await ask(app, scope)
    assert answer.whole
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "//oauth/token",
        "/oauth//token",
        "/./oauth/token",
        "/oauth/./token",
        "/oauth/x/../token",
        "/oauth/token/",
        "/oauth/token;x",
        "/OAuth/token",
        "/oauth/%74oken",
        "/oauth%2Ftoken",
        "/oauth/token%00",
        "/oauth/token%20",
        "/oauth/tokens",
        "/reset/%2e%2e/oauth/token",
        "/",
        "",
        "*",
        "https://login.example.com/oauth/token",
    ],
)
@pytest.mark.parametrize(("root", "base"), [("", ""), ("/auth", ""), ("", "/auth"), ("/auth", "/auth")])
def test_only_the_path_as_it_is_registered_leads_there(path: str, root: str, base: str) -> None:
    door = front(base=base)
    mount = root or base
    right, wrong = request(f"{mount}/oauth/token", root_path=root), request(f"{mount}{path}", root_path=root)
    assert where(door.find(right)) == "/oauth/token"
    assert door.find(wrong) is None
    assert door.find_alone(wrong) is None


def test_a_prefix_leads_there_with_whatever_follows() -> None:
    assert where(front().find(request("/reset/t/eyJ1IjoxfQ.Zm9v"))) == "/reset/t/"
    assert where(front(base="/auth").find(request("/auth/reset/t/x"))) == "/reset/t/"
    assert front().find(request("/reset/t")) is None


@pytest.mark.parametrize(
    ("base", "root", "path", "found", "alone"),
    [
        ("", "", "/oauth/token", True, True),
        ("", "/svc", "/svc/oauth/token", True, True),  # mounted, or a server's own root_path
        ("/auth", "", "/auth/oauth/token", True, True),
        ("/auth", "/auth", "/auth/oauth/token", True, True),
        ("/svc/auth", "/svc", "/svc/auth/oauth/token", True, True),
        ("/auth", "", "/oauth/token", False, False),  # the host's own page
        ("/auth", "", "/authoauth/token", False, False),
        ("/auth", "/other", "/other/oauth/token", False, True),  # mounted where the issuer does not say
        ("/svc/auth", "/svc", "/svc/oauth/token", False, True),
    ],
)
async def test_the_issuers_path_is_where_the_bridge_is(
    base: str, root: str, path: str, found: bool, alone: bool
) -> None:
    door, scope = front(base=base), request(path, root_path=root)
    assert (door.find(scope) is not None, door.find_alone(scope) is not None) == (found, alone)
    if found:
        assert (await answered(door, scope)).body.decode() == f"token {base or root}"  # pages link below it


@pytest.mark.parametrize("root", ["", "/svc"])
def test_the_metadata_of_rfc_8414_is_at_the_root_of_the_host(root: str) -> None:
    """§12 no. 87."""
    known = "/.well-known/oauth-authorization-server"
    door = front(exact={known: says("metadata")}, base="/auth")
    assert where(door.find(request(f"{known}/auth", root_path=root))) == known
    assert where(door.find(request(f"/auth{known}"))) == known
    for other in (known, f"{known}/", f"{known}/authx", f"{known}/auth/", "/.well-known/openid-configuration/auth"):
        assert door.find(request(other)) is None
    assert front(base="/auth").find(request(f"{known}/auth")) is None  # no provider, no metadata


def test_more_paths_where_no_other_app_stands_behind() -> None:
    home = {"": says("home"), "/": says("home")}
    for base, root, path in [("", "", "/"), ("", "/sso", "/sso/"), ("/sso", "", "/sso"), ("/sso", "", "/sso/")]:
        door = front(base=base, alone=home)
        assert door.find(request(path, root_path=root)) is None
        assert door.find_alone(request(path, root_path=root)) is not None
    assert front(base="/sso", alone=home).find_alone(request("/")) is None


CASES = [
    (BadRequest("x must not be repeated"), 400, "invalid_request"),
    (BadRequest("", 404), 404, "not_found"),
    (BadRequest("", 405, ((b"allow", b"POST"),)), 405, "method_not_allowed"),
    (BadRequest("The request body is too large.", 413), 413, "invalid_request"),
    (BadRequest("The body must be a form.", 415), 415, "invalid_request"),
    (Unavailable(SECRET), 503, "temporarily_unavailable"),
    (Busy(SECRET), 503, "temporarily_unavailable"),
    (RuntimeError(SECRET), 500, "server_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), CASES, ids=str)
async def test_a_program_is_told_in_json(error: Exception, status: int, code: str) -> None:
    answer = await answered(front(raises(error)), request("/oauth/token", "POST"))
    said = json.loads(answer.body)
    assert (answer.status, said["error"], answer.header("content-type")) == (status, code, "application/json")
    assert answer.header("cache-control") == "no-store"
    assert (answer.header("retry-after") is not None) is (status == 503)
    assert ("reference" in said) is (status == 500)
    assert (answer.header("allow") == "POST") is (status == 405)
    if isinstance(error, BadRequest) and str(error):
        assert said["error_description"] == str(error)
    assert SECRET not in answer.body.decode()


@pytest.mark.parametrize(("error", "status", "code"), CASES, ids=str)
async def test_a_person_is_shown_a_page(error: Exception, status: int, code: str) -> None:
    answer = await answered(front(raises(error)), request("/oauth/token", "POST", headers={"accept": HTML}))
    page = answer.body.decode()
    assert (answer.status, answer.header("content-type")) == (status, "text/html; charset=utf-8")
    assert page.startswith("<!doctype html>") and "<h1" in page
    assert "default-src 'none'" in (answer.header("content-security-policy") or "")
    assert (answer.header("retry-after") is not None) is (status == 503)
    assert (answer.header("allow") == "POST") is (status == 405)
    assert SECRET not in page and "Traceback" not in page


@pytest.mark.parametrize("headers", [{}, {"accept": HTML}])
async def test_what_nobody_expected_is_found_again_by_its_reference(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    scope = request("/reset/t/theTokenOfTheLink", headers=headers, query="token=inTheQuery")
    answer = await answered(front(raises(RuntimeError("boom"))), scope)
    (record,) = caplog.records
    reference = record.getMessage().split()[1].rstrip(":")
    assert len(reference) == 10 and reference in answer.body.decode()
    assert record.levelno == logging.ERROR and record.exc_info is not None
    assert "theTokenOfTheLink" not in caplog.text and "inTheQuery" not in caplog.text


async def test_a_head_is_answered_without_a_body() -> None:
    for error in (BadRequest("", 404), Unavailable(), RuntimeError()):
        answer = await answered(front(raises(error)), request("/oauth/token", "HEAD"))
        assert answer.body == b"" and int(answer.header("content-length") or 0) > 0


@pytest.mark.parametrize("after", [1, 2])
@pytest.mark.parametrize("error", [RuntimeError("boom"), Unavailable("gone"), BadRequest("no")], ids=str)
async def test_half_an_answer_is_none(error: Exception, after: int, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is added to what was sent, and the server hears of it: it cuts the connection."""
    door, scope, sent = front(raises(error, after=after)), request("/oauth/token"), []
    found = door.find(scope)
    assert found is not None

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {"type": "http.request"}

    with pytest.raises(HalfSent) as raised:
        await door.answer(found, receive, send)
    assert raised.value.__cause__ is error
    assert sent == ["http.response.start", "http.response.body"][:after]
    assert [record.levelno for record in caplog.records] == [logging.WARNING if "gone" in str(error) else logging.ERROR]


async def test_an_outage_is_told_once_and_not_for_each_request(caplog: pytest.LogCaptureFixture) -> None:
    now = [1_000.0]
    door = front(raises(Unavailable("the store does not take the connection")), tell=Teller(lambda: now[0]))
    for _ in range(50):
        assert (await answered(door, request("/oauth/token"))).status == 503
    (record,) = caplog.records
    assert record.getMessage() == "/oauth/token cannot be served: the store does not take the connection"
    now[0] += 11
    await answered(door, request("/oauth/token"))
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("host", "answered"),
    [
        ("localhost", True),
        ("localhost:8000", True),
        ("LOCALHOST:8000", True),
        ("127.0.0.1:8000", True),
        ("[::1]", True),
        ("[::1]:8000", True),
        ("login.example.com", False),
        ("localhost.example.com", False),
        ("localhost:8000@example.com", False),
        ("localhost:8000:9", False),
        ("localhost, example.com", False),
        ("[::1].example.com", False),
        ("[::1]example.com:1", False),
        ("127.0.0.1.example.com", False),
        ("127.0.0.2", False),
        ("[::ffff:127.0.0.1]", False),
        ("", False),
        ("localhost.", False),
    ],
)
def test_the_dev_profile_answers_to_local_names(host: str, answered: bool) -> None:
    assert (local_only(request("/", headers={"host": host})) is None) is answered


@pytest.mark.parametrize(
    "name",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Server",
        "X-Real-IP",
        "Via",
        "CF-Connecting-IP",
        "True-Client-IP",
    ],
)
async def test_the_dev_profile_stands_behind_no_proxy(name: str) -> None:
    scope = request("/oauth/token", headers={"host": "localhost", name: "203.0.113.9"})
    assert (await answered(front(admit=local_only), scope)).status == 421


def test_who_has_no_host_is_not_local() -> None:
    scope = request("/")
    scope["headers"] = []
    assert local_only(scope) is not None
    scope["headers"] = [(b"host", b"localhost"), (b"host", b"localhost")]
    assert local_only(scope) is not None


@pytest.mark.parametrize(("host", "answered"), [("a.example", True), ("B.EXAMPLE:444", True), ("c.example", False)])
def test_allowed_hosts_are_answered_and_no_others(host: str, answered: bool) -> None:
    admit = hosts_only(["a.example", "b.example:8443"])
    assert (admit(request("/", headers={"host": host})) is None) is answered
    assert hosts_only(())(request("/", headers={"host": "anything at all"})) is None


@pytest.mark.parametrize("headers", [{}, {"accept": HTML}])
async def test_nothing_is_tried_for_whom_is_not_answered(headers: dict[str, str]) -> None:
    door = front(raises(AssertionError("it was tried")), admit=hosts_only(["a.example"]))
    answer = await answered(door, request("/oauth/token", headers=headers))
    assert answer.status == 421 and b"does not answer to that name" in answer.body

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        await door.refuse(scope, receive, send)

    assert (await ask(elsewhere, request("/nowhere"))).status == 421
