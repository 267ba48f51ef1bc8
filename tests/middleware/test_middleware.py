"""Who is there? — DESIGN §6, §7; security §2, §13; S7, S16, S17, S18."""

import ipaddress
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.errors import Unavailable
from bridge.middleware import BridgeMiddleware
from bridge.sessions.birth import Birth, Born
from bridge.sessions.options import SessionOptions
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Store
from bridge.tokens import LoginToken
from tests.middleware.scene import Header, Login, ask, connect, cookie, says_nothing, says_who
from tests.sessions.world import ANN, SLOTS, World

NOBODY = {"name": "", "scopes": []}
SOMEBODY = {"name": "Ann Example", "scopes": ["authenticated", "staff"]}


async def told(login: Login, *headers: Header, **more: Any) -> Any:
    """What an app behind the middleware learns of who is there."""
    return (await ask(BridgeMiddleware(says_who, login), headers=headers, **more)).json


async def test_the_person_behind_the_cookie_is_the_user(store: Store) -> None:
    login = Login(store)
    born = await login.world.login()
    assert await told(login, cookie(born.child)) == SOMEBODY


async def test_without_our_cookie_nobody_is_there_and_nothing_is_asked(login: Login) -> None:
    login.world.store.read = fails  # type: ignore[method-assign]
    assert await told(login) == NOBODY
    assert await told(login, (b"cookie", b"theme=dark")) == NOBODY


async def test_a_token_of_validate_login_is_the_user(login: Login) -> None:
    assert await told(login, cookie((await login.world.legacy()).token)) == SOMEBODY


async def test_2_an_issuers_token_is_nobody_in_an_app(login: Login) -> None:
    born = await login.world.login()
    assert await told(login, cookie(born.token)) == NOBODY
    assert login.world.heard.events[-1].reason == "wrong-place"
    assert born.token.text.reveal() not in repr(login.world.heard.events)


async def test_s7_a_cookie_of_an_ended_session_is_nobody(login: Login) -> None:
    born = await login.world.login()
    await login.world.sessions.end(ANN, born.token.tag, born.record.id, "you")
    assert await told(login, cookie(born.child)) == NOBODY


async def test_an_app_may_tell_why_nobody_is_there(login: Login) -> None:
    born = await login.world.login()
    await login.world.sessions.end_all(ANN, born.token.tag, "password")
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["user"])
        await says_nothing(scope, receive, send)

    await ask(BridgeMiddleware(app, login), headers=[cookie(born.child)])
    assert seen[0].ended == "password-changed"
    assert not seen[0]


@pytest.mark.parametrize(
    "value",
    ["", "x", "0" * 39, "0" * 41, '"' + "0" * 40 + '"', "0" * 39 + "-", "0" * 39 + "é", "%30" * 40],
)
async def test_what_has_not_a_tokens_form_is_never_looked_up(login: Login, value: str) -> None:
    login.world.store.read = fails  # type: ignore[method-assign]
    assert await told(login, (b"cookie", f"__Host-login_auth_tk={value}".encode("latin-1"))) == NOBODY


async def test_13_a_cookie_that_comes_twice_is_nobody_and_logged(login: Login) -> None:
    mine, other = cookie((await login.world.login()).child), cookie((await login.world.login()).child)
    assert await told(login, mine, other) == NOBODY
    assert login.world.heard.events[-1].reason == "cookie-twice"
    assert await told(login, mine, mine) == NOBODY


@pytest.mark.parametrize(
    "prefix", [b"\xa0", b"\x0b", b"\x00", b"x", b"__Secure-", b"\xc2\xa0", b"\x85"], ids=lambda prefix: prefix.hex()
)
async def test_13_a_name_that_only_looks_like_ours_is_another(login: Login, prefix: bytes) -> None:
    name, value = cookie((await login.world.login()).child)
    assert await told(login, (name, value.replace(b"__Host-", prefix + b"__Host-"))) == NOBODY


@pytest.mark.parametrize("name", ["login_auth_tk", "__Secure-login_auth_tk", "__host-login_auth_tk", "__Host-lb_op"])
async def test_13_there_is_one_name_and_no_fallback(login: Login, name: str) -> None:
    assert await told(login, cookie((await login.world.login()).child, name)) == NOBODY


@pytest.mark.parametrize(
    ("options", "plain", "name"),
    [
        (SessionOptions(shared_domain="example.org"), False, "__Secure-login_auth_tk"),
        (SessionOptions(cookie_name="acme"), False, "__Host-acme"),
        (SessionOptions(), True, "login_auth_tk"),
    ],
)
async def test_each_configuration_has_its_one_name(options: SessionOptions, plain: bool, name: str) -> None:
    login = Login(MemoryStore(SystemClock()), options, plain=plain)
    born = await login.world.login()
    assert await told(login, cookie(born.child, name)) == SOMEBODY
    assert await told(login, cookie(born.child, "__Host-login_auth_tk")) == NOBODY


async def test_13_only_the_cookie_is_looked_at_unless_a_setting_says_so(login: Login) -> None:
    born = await login.world.legacy()
    text = born.token.text.reveal()
    assert await told(login, bearer(born)) == NOBODY
    assert await told(login, session={"login_auth_tk": text}) == NOBODY
    everywhere = Login(MemoryStore(SystemClock()), SessionOptions(sources=("cookie", "bearer", "host-session")))
    other = await everywhere.world.legacy()
    assert await told(everywhere, bearer(other)) == SOMEBODY
    assert await told(everywhere, session={"login_auth_tk": other.token.text.reveal()}) == SOMEBODY
    assert await told(everywhere, session={"login_auth_tk": 7}) == NOBODY
    assert await told(everywhere, (b"authorization", b"Basic " + other.token.text.reveal_bytes())) == NOBODY


async def test_13_two_tokens_at_once_are_nobody_and_logged() -> None:
    login = Login(MemoryStore(SystemClock()), SessionOptions(sources=("cookie", "bearer")))
    one, two = await login.world.legacy(), await login.world.legacy()
    assert await told(login, cookie(one.token), bearer(two)) == NOBODY
    assert login.world.heard.events[-1].reason == "two-tokens"
    assert await told(login, cookie(one.token), bearer(one)) == SOMEBODY
    assert await told(login, cookie(one.token), (b"authorization", b"Bearer eyJ.an.apps-own")) == SOMEBODY


async def test_2_the_host_apps_session_takes_tokens_of_validate_login_only() -> None:
    login = Login(MemoryStore(SystemClock()), SessionOptions(sources=("host-session",)))
    born = await login.world.login()
    assert born.child is not None
    assert await told(login, session={"login_auth_tk": born.child.text.reveal()}) == NOBODY


async def test_a_session_that_is_bound_to_an_address_is_good_for_its_network_only(login: Login) -> None:
    born = await login.world.legacy(bind_ip=ipaddress.ip_address("192.0.2.200"))
    assert await told(login, cookie(born.token), client="192.0.2.7") == SOMEBODY
    assert await told(login, cookie(born.token), client="198.51.100.7") == NOBODY
    assert login.world.heard.events[-1].reason == "address-changed"
    assert await told(login, cookie(born.token), client="") == NOBODY


async def test_an_address_that_anybody_can_write_is_not_believed(login: Login) -> None:
    born = await login.world.legacy(bind_ip=ipaddress.ip_address("192.0.2.200"))
    forged = (b"x-forwarded-for", b"192.0.2.200")
    assert await told(login, cookie(born.token), forged, client="198.51.100.7") == NOBODY


async def test_a_user_who_is_no_more_is_nobody(login: Login) -> None:
    born = await login.world.login()
    login.people.clear()
    assert await told(login, cookie(born.child)) == NOBODY


async def test_s16_an_answer_to_somebody_is_kept_by_no_cache(login: Login) -> None:
    born = await login.world.login()
    answer = await ask(BridgeMiddleware(says_nothing, login), headers=[cookie(born.child)])
    assert answer.values(b"cache-control") == [b"no-store"]
    assert answer.values(b"vary") == [b"Cookie"]
    assert answer.values(b"set-cookie") == []


@pytest.mark.parametrize(
    ("own", "cache", "vary"),
    [
        ([(b"Cache-Control", b"public, max-age=60")], [b"public, max-age=60"], [b"Cookie"]),
        ([(b"Vary", b"Accept-Encoding")], [b"no-store"], [b"Accept-Encoding", b"Cookie"]),
        ([(b"vary", b"Accept, cookie")], [b"no-store"], [b"Accept, cookie"]),
        ([(b"vary", b"*")], [b"no-store"], [b"*"]),
    ],
)
async def test_s16_what_the_app_says_of_caches_stands(
    login: Login, own: list[Header], cache: list[bytes], vary: list[bytes]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b""})

    answer = await ask(BridgeMiddleware(app, login), headers=[cookie((await login.world.login()).child)])
    assert (answer.values(b"cache-control"), answer.values(b"vary")) == (cache, vary)


@pytest.mark.parametrize("headers", [[], [(b"cookie", b"__Host-login_auth_tk=" + b"0" * 40)]])
async def test_s16_an_answer_to_nobody_is_left_as_it_is(login: Login, headers: list[Header]) -> None:
    answer = await ask(BridgeMiddleware(says_nothing, login), headers=headers)
    assert answer.headers == []


async def test_s18_while_the_store_is_silent_a_page_that_asks_is_answered_503(login: Login) -> None:
    born = await login.world.login()
    login.world.store.read = fails  # type: ignore[method-assign]
    answer = await ask(BridgeMiddleware(says_who, login), headers=[cookie(born.child)])
    assert (answer.status, answer.values(b"retry-after")) == (503, [b"2"])
    assert answer.values(b"cache-control") == [b"no-store"]


async def test_s18_while_the_store_is_silent_a_page_that_never_asks_works(login: Login) -> None:
    born = await login.world.login()
    login.world.store.read = fails  # type: ignore[method-assign]
    answer = await ask(BridgeMiddleware(says_nothing, login), headers=[cookie(born.child)])
    assert (answer.status, answer.body) == (200, b"hello")
    assert (await ask(BridgeMiddleware(says_who, login))).json == NOBODY


@pytest.mark.parametrize("question", ["name", "email", "groups", "is_authenticated", "display_name", "bool", "scopes"])
async def test_s18_every_question_about_the_user_is_the_first(login: Login, question: str) -> None:
    born = await login.world.login()
    login.world.store.read = fails  # type: ignore[method-assign]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert repr(scope["user"]) == "UnknownUser()"
        match question:
            case "bool":
                _ = bool(scope["user"])
            case "scopes":
                _ = scope["auth"].scopes
            case name:
                _ = getattr(scope["user"], name)
        await says_nothing(scope, receive, send)

    assert (await ask(BridgeMiddleware(app, login), headers=[cookie(born.child)])).status == 503


async def test_s18_an_answer_that_has_begun_is_not_answered_twice(login: Login) -> None:
    born = await login.world.login()
    login.world.store.read = fails  # type: ignore[method-assign]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        _ = scope["user"].name

    with pytest.raises(Exception, match="does not answer"):
        await ask(BridgeMiddleware(app, login), headers=[cookie(born.child)])


async def test_s6_a_use_is_written_down_after_the_answer(login: Login) -> None:
    born = await login.world.login()
    login.world.clock.move(300)
    await told(login, cookie(born.child))
    await login.world.sessions.finish()
    assert (await login.world.alive(born.child, "middleware")).record.last == born.record.last + 300


async def test_a_session_is_touched_although_the_app_failed(login: Login) -> None:
    born = await login.world.login()
    login.world.clock.move(300)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ask(BridgeMiddleware(app, login), headers=[cookie(born.child)])
    await login.world.sessions.finish()
    assert (await login.world.alive(born.child, "middleware")).record.last == born.record.last + 300


async def test_other_kinds_of_scope_pass_through(login: Login) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    await BridgeMiddleware(app, login)({"type": "lifespan"}, fails, fails)
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize(
    ("origin", "name"),
    [
        (None, "Ann Example"),  # no browser
        (b"https://app.example", "Ann Example"),
        (b"https://app.example:443", "Ann Example"),
        (b"https://APP.example", "Ann Example"),
        (b"https://partner.example", "Ann Example"),
        (b"https://evil.example", ""),
        (b"https://app.example.evil.example", ""),
        (b"https://app.example:8443", ""),
        (b"null", ""),
        (b"", ""),
    ],
)
async def test_a_page_of_another_origin_opens_no_websocket_as_the_user(origin: bytes | None, name: str) -> None:
    login = Login(MemoryStore(SystemClock()), SessionOptions(allowed_origins=("https://partner.example",)))
    born = await login.world.login()
    headers = [cookie(born.child), *([(b"origin", origin)] if origin is not None else [])]
    sent = await connect(BridgeMiddleware(greets, login), headers=headers)
    assert sent[1]["text"] == name
    refused = [event.reason for event in login.world.heard.events if event.kind == "session.refused"]
    assert refused == ([] if name else ["foreign-origin"])


async def test_a_websocket_is_a_use_when_it_opens(login: Login) -> None:
    born = await login.world.login()
    login.world.clock.move(300)
    await connect(BridgeMiddleware(greets, login), headers=[cookie(born.child)])
    await login.world.sessions.finish()
    assert (await login.world.alive(born.child, "middleware")).record.last == born.record.last + 300


async def test_what_the_user_tells_of_the_session(login: Login) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["user"])
        await says_nothing(scope, receive, send)

    born = await login.world.login()
    await ask(BridgeMiddleware(app, login), headers=[cookie(born.child)])
    user = seen[0]
    assert (user.id, user.sub, user.email, user.groups, user.identity) == (
        ANN,
        "sub-of-ann",
        "ann@example.org",
        ("staff",),
        "1",
    )
    session = user.session
    assert (session.id, session.kind, session.amr, session.acr) == (born.record.id, "app", ("pwd",), None)
    assert (session.auth_time, session.until) == (born.record.auth_time, born.record.abs)
    assert born.child is not None and born.child.text.reveal() not in repr(user)


async def test_a_singlesignon_session_is_the_user_here(login: Login) -> None:
    born = await login.world.login(wish=Birth.sso(login.world.options, via="portal"))
    assert await told(login, cookie(born.token)) == SOMEBODY


async def test_s1_a_made_up_token_is_nobody(login: Login) -> None:
    await login.world.login()
    assert await told(login, cookie(LoginToken.draw(SLOTS.of_user(ANN)))) == NOBODY


async def test_6_a_session_of_another_instance_is_nobody(login: Login) -> None:
    """Two bridges on one store: neither the name of the record nor its MAC nor its issuer fits."""
    other = World(login.world.store)
    born = await other.login()
    assert await told(login, cookie(born.child)) == NOBODY


async def greets(scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["user"].display_name})


async def fails(*_: Any) -> Any:
    raise Unavailable("no answer")


def bearer(born: Born) -> Header:
    return b"authorization", b"Bearer " + born.token.text.reveal_bytes()
