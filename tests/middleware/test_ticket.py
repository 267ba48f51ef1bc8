"""An app on another host: the middleware sends people to the issuer and takes them back — DESIGN §6; S4, S16, W3."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import SystemClock
from bridge.errors import ConfigError, Unavailable
from bridge.middleware import BridgeMiddleware, sign_in_path
from bridge.sessions.birth import Born
from bridge.sessions.options import SessionOptions
from bridge.sessions.ticket import ARRIVAL, SIGN_IN, TicketWish
from bridge.stores.memory import MemoryStore
from bridge.tokens import LoginToken, digest
from tests.middleware.scene import Answer, Header, Login, ask, connect, cookie, says_nothing, says_who
from tests.middleware.test_middleware import fails
from tests.sessions.world import VISIT

SHOP = "https://shop.example"
FORM: Header = (b"content-type", b"application/x-www-form-urlencoded")


class Shop:
    """An app at SHOP, and what a browser does there."""

    def __init__(self) -> None:
        self.login = Login(MemoryStore(SystemClock()), SessionOptions(ticket_origins=(SHOP,)))
        self.world = self.login.world
        self.app = BridgeMiddleware(says_who, self.login, origin=SHOP)

    async def begin(self, *headers: Header, **query: str) -> Answer:
        return await ask(self.app, path=SIGN_IN, query=urlencode(query).encode(), headers=headers)

    async def begun(self) -> str:
        """What the browser holds from then on."""
        return _value_of(await self.begin(), "__Host-lb_begun")

    async def ticket(self, parent: Born, binding: str, *, next: str = "/orders") -> str:
        """As the issuer issues it."""
        wish = TicketWish(origin=SHOP, binding=digest(binding), next=next)
        token = await self.world.tickets.issue(await self.world.alive(parent.token), wish, VISIT)
        assert isinstance(token, LoginToken)
        return token.text.reveal()

    async def arrive(self, ticket: str, *cookies: str, **more: Any) -> Answer:
        jar = [(b"cookie", each.encode()) for each in cookies]
        body = urlencode({"ticket": ticket}).encode()
        return await ask(self.app, **{"path": ARRIVAL, "method": "POST", "headers": [FORM, *jar], "body": body, **more})


@pytest.fixture
def shop() -> Shop:
    return Shop()


def _cookies(answer: Answer) -> list[str]:
    return [value.decode() for value in answer.values(b"set-cookie")]


def _value_of(answer: Answer, name: str) -> str:
    (line,) = [line for line in _cookies(answer) if line.startswith(f"{name}=")]
    return line.partition("=")[2].partition(";")[0]


def _location(answer: Answer) -> str:
    assert answer.status == 303
    (location,) = answer.values(b"location")
    return location.decode()


def _refused(answer: Answer, shop: Shop) -> str:
    """Why, as the browser is told at the issuer; no cookie is touched."""
    assert _cookies(answer) == []
    where = urlsplit(_location(answer))
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{shop.world.issuer}/login/ticket"
    ((name, why),) = parse_qsl(where.query)
    assert name == "refused"
    return why


async def test_a_sign_in_begins_at_the_issuer_with_the_hash_of_what_the_browser_holds(shop: Shop) -> None:
    answer = await shop.begin(next="/orders?page=2")
    where = urlsplit(_location(answer))
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{shop.world.issuer}/login/ticket"
    held = _value_of(answer, "__Host-lb_begun")
    assert re.fullmatch(r"[0-9A-Za-z]{22}", held)
    assert parse_qs(where.query) == {"origin": [SHOP], "binding": [digest(held)], "next": ["/orders?page=2"]}
    assert _cookies(answer) == [
        f"__Host-lb_begun={held}; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=1800",
    ]
    assert answer.values(b"cache-control") == [b"no-store"]


async def test_tabs_of_one_browser_begin_together_and_browsers_apart(shop: Shop) -> None:
    first = await shop.begun()
    again = await shop.begin((b"cookie", f"__Host-lb_begun={first}".encode()))
    assert _value_of(again, "__Host-lb_begun") == first
    assert await shop.begun() != first


@pytest.mark.parametrize("planted", ["", "short", "x" * 23, "x" * 21 + "-", "x" * 22 + "; __Host-lb_begun=" + "y" * 22])
async def test_s4_what_we_cannot_have_set_is_not_taken_over(shop: Shop, planted: str) -> None:
    answer = await shop.begin((b"cookie", f"__Host-lb_begun={planted}".encode()))
    assert _value_of(answer, "__Host-lb_begun") not in planted.split("; ")


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "", "/a b", "/é"]
)
async def test_w3_where_to_go_afterwards_is_a_path_of_the_app(shop: Shop, next: str) -> None:
    assert parse_qs(urlsplit(_location(await shop.begin(next=next))).query)["next"] == ["/"]
    assert parse_qs(urlsplit(_location(await shop.begin())).query)["next"] == ["/"]


def test_the_helper_spells_any_path() -> None:
    assert sign_in_path() == "/login-bridge/sign-in?next=%2F"
    assert sign_in_path("/orders?page=2&x=%20") == "/login-bridge/sign-in?next=%2Forders%3Fpage%3D2%26x%3D%2520"
    assert sign_in_path("/straße und mehr") == "/login-bridge/sign-in?next=%2Fstra%25C3%259Fe%2520und%2520mehr"


async def test_what_the_helper_spells_is_where_he_arrives(shop: Shop) -> None:
    for path in ("/", "/orders?page=2&x=%20", "/straße und mehr", "/a#b"):
        query = urlsplit(sign_in_path(path)).query.encode()
        answer = await ask(shop.app, path=SIGN_IN, query=query)
        (whither,) = parse_qs(urlsplit(_location(answer)).query)["next"]
        parent, held = await shop.world.login(), await shop.begun()
        arrived = await shop.arrive(await shop.ticket(parent, held, next=whither), f"__Host-lb_begun={held}")
        assert _location(arrived) == whither
        assert whither.startswith(path.partition("ß")[0][:5])


async def test_a_ticket_becomes_a_session_of_this_host(shop: Shop) -> None:
    parent, held = await shop.world.login(), await shop.begun()
    answer = await shop.arrive(await shop.ticket(parent, held), f"__Host-lb_begun={held}")
    assert _location(answer) == "/orders"
    session = _value_of(answer, "__Host-login_auth_tk")
    assert _cookies(answer) == [
        f"__Host-login_auth_tk={session}; Path=/; HttpOnly; SameSite=Lax; Secure",
        "__Host-lb_begun=; Path=/; HttpOnly; SameSite=None; Secure; Max-Age=0",
    ]
    assert answer.values(b"cache-control") == [b"no-store"] and answer.body == b""
    known = await ask(shop.app, headers=[cookie(LoginToken.parse(session))])
    assert known.json == {"name": "Ann Example", "scopes": ["authenticated", "staff"]}
    assert shop.world.heard.kinds()[-2:] == ["ticket.issued", "ticket.redeemed"]


async def test_26_without_what_this_browser_holds_a_ticket_is_nothing(shop: Shop) -> None:
    """Login CSRF: an attacker has somebody's browser bring a ticket of his own."""
    attacker, held = await shop.world.login(), await shop.begun()
    ticket = await shop.ticket(attacker, held)
    other = await shop.begun()
    for jar in ([], [f"__Host-lb_begun={other}"], [f"lb_begun={held}"], [f"\xa0__Host-lb_begun={held}"]):
        assert _refused(await shop.arrive(ticket, *jar), shop) == "other-browser"
    twice = [f"__Host-lb_begun={held}; __Host-lb_begun={other}"]
    assert _refused(await shop.arrive(ticket, *twice), shop) == "other-browser"
    refusals = [event for event in shop.world.heard.events if event.kind == "ticket.refused"]
    assert len(refusals) == 5 and {event.reason for event in refusals} == {"other-browser"}
    assert _location(await shop.arrive(ticket, f"__Host-lb_begun={held}")) == "/orders", "nothing was used up"


async def test_a_used_and_an_unknown_ticket_are_refused(shop: Shop) -> None:
    parent, held = await shop.world.login(), await shop.begun()
    ticket, jar = await shop.ticket(parent, held), f"__Host-lb_begun={held}"
    assert _location(await shop.arrive(ticket, jar)) == "/orders"
    assert _refused(await shop.arrive(ticket, jar), shop) == "used"
    assert _refused(await shop.arrive("x" * 40, jar), shop) == "unknown"
    assert _refused(await shop.arrive(parent.token.text.reveal(), jar), shop) == "unknown"
    nothing = await shop.arrive("", jar, body=b"")
    assert _refused(nothing, shop) == "unknown"


async def test_it_comes_by_post_of_a_form_alone(shop: Shop) -> None:
    parent, held = await shop.world.login(), await shop.begun()
    ticket, jar = await shop.ticket(parent, held), (b"cookie", f"__Host-lb_begun={held}".encode())
    for method in ("GET", "HEAD", "PUT", "OPTIONS"):
        query = urlencode({"ticket": ticket}).encode()
        answer = await ask(shop.app, path=ARRIVAL, method=method, query=query, headers=[jar])
        assert (answer.status, answer.values(b"allow"), _cookies(answer)) == (405, [b"POST"], [])
    for kind in (b"application/json", b"text/plain", b"multipart/form-data; boundary=x"):
        answer = await shop.arrive(ticket, headers=[(b"content-type", kind), jar])
        assert (answer.status, _cookies(answer)) == (415, [])
    twice = urlencode([("ticket", ticket), ("ticket", ticket)]).encode()
    assert (await shop.arrive(ticket, headers=[FORM, jar], body=twice)).status == 400
    assert (await shop.arrive(ticket, headers=[FORM, jar], body=b"x" * 65_537)).status == 413
    for method in ("POST", "HEAD"):
        begun = await ask(shop.app, path=SIGN_IN, method=method)
        assert (begun.status, begun.values(b"allow"), _cookies(begun)) == (405, [b"GET"], [])
    assert (await ask(shop.app, path=SIGN_IN, query=b"next=/a&next=/b")).status == 400
    assert _location(await shop.arrive(ticket, jar[1].decode())) == "/orders"


async def test_s18_while_the_bridge_does_not_answer_it_says_so(shop: Shop) -> None:
    parent, held = await shop.world.login(), await shop.begun()
    ticket, really = await shop.ticket(parent, held), shop.world.store.read

    async def silent(*_: str) -> Any:
        raise Unavailable("no answer")

    shop.world.store.read = silent  # type: ignore[method-assign]
    answer = await shop.arrive(ticket, f"__Host-lb_begun={held}")
    assert (answer.status, answer.values(b"retry-after"), _cookies(answer)) == (503, [b"2"], [])
    assert answer.values(b"cache-control") == [b"no-store"]
    shop.world.store.read = really  # type: ignore[method-assign]
    assert _location(await shop.arrive(ticket, f"__Host-lb_begun={held}")) == "/orders"


async def test_whatever_the_bridge_answers_the_browser_stays_on_this_host(shop: Shop) -> None:
    parent, held = await shop.world.login(), await shop.begun()
    for whither in ("//evil.example", "https://evil.example", "/\r\nset-cookie: x=y"):
        ticket = await shop.ticket(parent, held, next=whither)
        assert _location(await shop.arrive(ticket, f"__Host-lb_begun={held}")) == "/"


async def test_only_these_two_paths_are_ours_and_none_without_an_origin(shop: Shop) -> None:
    nobody = {"name": "", "scopes": []}
    for path in (
        "/login-bridge/",
        "/login-bridge/sign-in/",
        "/login-bridge/tickets",
        "//login-bridge/ticket",
        "/ticket",
    ):
        assert (await ask(shop.app, path=path)).json == nobody
    plain = BridgeMiddleware(says_who, shop.login)
    for path in (SIGN_IN, ARRIVAL):
        assert (await ask(plain, path=path)).json == nobody
        assert (await ask(plain, path=path, method="POST", headers=[FORM], body=b"ticket=x")).json == nobody


async def test_a_page_of_the_app_is_sent_no_cookie(shop: Shop) -> None:
    """docs/decisions/0123, but for the two answers above."""
    born = await shop.world.login()
    jars: Iterable[list[Header]] = ([], [cookie(born.child)], [(b"cookie", b"__Host-login_auth_tk=" + b"x" * 40)])
    for jar in jars:
        assert _cookies(await ask(shop.app, headers=jar)) == []


async def test_a_websocket_at_such_a_path_is_the_apps(shop: Shop) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope["type"])

    for path in (SIGN_IN, ARRIVAL):
        await connect(BridgeMiddleware(app, shop.login, origin=SHOP), path=path)
    assert told == ["websocket", "websocket"]


@pytest.mark.parametrize(
    "origin", ["", "shop.example", f"{SHOP}/", f"{SHOP}/a", "ftp://shop.example", "https://SHOP.example"]
)
def test_an_origin_that_is_none_is_a_mistake_at_the_start(shop: Shop, origin: str) -> None:
    with pytest.raises(ConfigError, match="origin"):
        BridgeMiddleware(says_nothing, shop.login, origin=origin)


async def test_a_junk_ticket_without_the_cookie_asks_nobody_anything(shop: Shop) -> None:
    shop.world.store.read = fails  # type: ignore[method-assign]
    assert _refused(await shop.arrive("x" * 40), shop) == "other-browser"


@settings(max_examples=100)
@given(body=st.binary(max_size=200), held=st.binary(max_size=40).filter(lambda raw: b"\n" not in raw))
async def test_nothing_that_is_sent_breaks_it(shop: Shop, body: bytes, held: bytes) -> None:
    jar = (b"cookie", b"__Host-lb_begun=" + held)
    answer = await shop.arrive("", headers=[FORM, jar], body=body)
    assert answer.status in (303, 400) and b"login_auth_tk" not in b"".join(answer.values(b"set-cookie"))
    assert (await ask(shop.app, path=SIGN_IN, query=body, headers=[jar])).status in (303, 400)
