"""Apps are told of sign-outs by their servers — Back-Channel Logout 1.0; openid-provider §4, §6.6, §12 no. 96, 97."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pytest
from sqlalchemy import select, text

from bridge.app import work
from bridge.database.tables import outbox
from bridge.grants import restamped
from bridge.outbox import farewells, worker
from bridge.secret import Secret
from bridge.types import ClientId
from tests.flows.oauth import CHALLENGE, VERIFIER
from tests.flows.parties import Party, listening
from tests.flows.visitor import Visitor
from tests.patience import PATIENCE, LetRun, until
from tests.running import NEW_PASSWORD, Furnished, Given, Site, in_process
from tests.servers import free_port

Visit = Callable[[Site], Visitor]
BYE = "https://good.example.net/bye"


@dataclass
class Street:
    """A bridge, and the apps that hear of its sign-outs."""

    site: Site
    good: Party
    also: Party
    hanging: Party
    refusing: Party

    async def person(self, visit: Visit, *clients: str) -> tuple[Visitor, dict[str, str]]:
        """Somebody new who is signed in, also at these; his browser, and what each knows his session by."""
        email = f"{time.monotonic_ns()}@example.com"
        await self.site.person(email)
        return await self.again(visit, email, *clients)

    async def again(self, visit: Visit, email: str, *clients: str) -> tuple[Visitor, dict[str, str]]:
        browser = visit(self.site)
        await browser.sign_in(email)
        for client in clients:
            await browser.get(f"/oauth/authorize?{urlencode(asked(client))}")
            assert "code=" in browser.sent_to, browser.text
        browser.headers["x-email"] = email
        return browser, {str(client): sid for client, sid in (await self.known(email)).items()}

    async def known(self, email: str) -> dict[ClientId, str]:
        """What the newest session of his is known by."""
        user, rooms = await self.site.user(email), self.site.bridge.rooms
        members = await rooms.store.members(rooms.names.sessions_of(user.tag))
        values = await rooms.store.read(*members)
        records = [rooms.sessions.tools.codec.decode(key, raw) for key, raw in zip(members, values, strict=True)]  # type: ignore[arg-type]
        return {client: sid for record in records for client, sid in getattr(record, "clients", {}).items()}


def asked(client: str) -> dict[str, str]:
    return {
        "client_id": client,
        "redirect_uri": f"https://{client}.example.net/cb",
        "response_type": "code",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }


@pytest.fixture(scope="module")
async def street(house: Furnished, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    database = house.copy(tmp_path_factory.mktemp("street"))
    good, also, hanging, refusing = (Party(name) for name in ("good", "also", "hanging", "refusing"))
    hanging.hangs, refusing.status = True, 400
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "POLL_SECONDS", 0.05)
        patch.setattr(restamped, "PATIENCE", -1.0)  # the second that has begun is over: a stamp's time is a whole one
        patch.setattr("bridge.app.work.EVERY", 0.05)
        patch.setattr(farewells, "HEAD_START", 1.0)
        async with listening(good, also, hanging, refusing):
            opened = [f"http://127.0.0.1:{party.port}" for party in (good, also, hanging, refusing)]
            more: Given = {("fetch", "allow"): opened, ("mail", "url"): f"file:{database.file.parent / 'mail'}"}
            async with in_process(database, more=more) as site:
                for party in (good, also, hanging, refusing):
                    await party.trust(site)
                    await register(site, party.client, party.url, alg="ES256" if party is also else "RS256")
                await register(site, "inner", f"http://127.0.0.1:{free_port()}/logout")
                await register(site, "silent", None)
                yield Street(site, good, also, hanging, refusing)


async def register(site: Site, client: str, url: str | None, *, alg: str = "RS256") -> None:
    document = {
        "client_name": client.title(),
        "redirect_uris": [f"https://{client}.example.net/cb"],
        "post_logout_redirect_uris": [f"https://{client}.example.net/bye"],
        "id_token_signed_response_alg": alg,
        "backchannel_logout_uri": url,
    }
    await site.client(client, document, first_party=True)


async def jobs(site: Site, sids: set[str]) -> dict[str, tuple[str, int, str]]:
    """Of each client that is, or was, to be told of one of these: state, tries, last error."""
    async with site.bridge.rooms.database.read() as tx:
        rows = (await tx.execute(select(outbox).where(outbox.c.purpose == "backchannel-logout"))).all()
    known = {farewells.once_of(ClientId(client), sid): client for client in CLIENTS for sid in sids}
    return {known[row.once]: (row.state, row.attempts, row.last_error) for row in rows if row.once in known}


CLIENTS = ("good", "also", "hanging", "refusing", "inner", "silent")


async def test_bcl_2_4_the_token_names_issuer_audience_subject_and_session_and_has_no_nonce(
    street: Street, visit: Visit
) -> None:
    browser, known = await street.person(visit, "good", "also")
    user = await street.site.user(browser.headers["x-email"])
    await browser.open("/logout")
    await browser.press("logout-confirm")
    for party, alg in ((street.good, "RS256"), (street.also, "ES256")):
        claims = await party.hear_of(known[party.client])
        assert claims.keys() == {"iss", "sub", "aud", "iat", "exp", "jti", "events", "sid"}
        assert (claims["sub"], claims["exp"] - claims["iat"]) == (user.sub, 120)
        assert abs(claims["iat"] - time.time()) < 30
        header = party.headers[party.told.index(claims)]
        assert (header["typ"], header["alg"]) == ("logout+jwt", alg) and header["kid"]
    assert len({claims["jti"] for party in (street.good, street.also) for claims in party.told}) == len(
        street.good.told + street.also.told
    )
    told = street.site.told.events  # of each once its reply is there
    await until(lambda: {"good", "also"} <= {event.client for event in told if event.kind == "logout.delivered"})


async def test_the_app_is_called_before_the_browser_is_sent_back(
    street: Street, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """openid-provider §6.6: the RP is called before or at the post-logout redirect; then prompt=none errors."""
    monkeypatch.setattr(work, "TELLING_SECONDS", PATIENCE)
    browser, known = await street.person(visit, "good")
    await browser.open(f"/oauth/logout?client_id=good&post_logout_redirect_uri={BYE}&state=s")
    await browser.press("logout-confirm")
    assert browser.sent_to == f"{BYE}?state=s"
    assert known["good"] in {claims["sid"] for claims in street.good.told}
    await browser.get(f"/oauth/authorize?{urlencode({**asked('good'), 'prompt': 'none'})}")
    assert "error=login_required" in browser.sent_to


async def test_bcl_2_8_one_that_hangs_refuses_or_lies_within_our_walls_holds_up_no_other(
    street: Street, visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    browser, known = await street.person(visit, "hanging", "refusing", "inner", "good", "silent")
    with LetRun() as ran:
        await browser.open(f"/oauth/logout?client_id=good&post_logout_redirect_uri={BYE}")
        await browser.press("logout-confirm")
        assert browser.sent_to == BYE
    assert ran.seconds < 5, "the browser does not wait for who hangs"

    async def tried() -> bool:  # the bound of a call is three seconds, ours was two
        found = await jobs(street.site, set(known.values()))
        return found["good"][0] == "sent" and all(found[client][2] for client in ("hanging", "refusing", "inner"))

    await until(tried)
    heard = street.good.times[street.good.told.index(await street.good.hear_of(known["good"]))]
    (slow,) = [record.created for record in caplog.records if "Untold: hanging: slow" in record.getMessage()]
    assert heard < slow, "nor does the next app"
    found = await jobs(street.site, set(known.values()))
    assert found["good"][:2] == ("sent", 1) and "silent" not in found
    waiting = {client: error for client, (state, tries, error) in found.items() if (state, tries) == ("waiting", 1)}
    assert waiting == {
        "hanging": "Untold: hanging: slow",
        "refusing": "Untold: refusing: status 400",
        "inner": "Untold: inner: not-allowed (see fetch.allow)",
    }


async def end_here(street: Street, browser: Visitor) -> None:
    (mine,) = await street.site.sessions((await street.site.user(browser.headers["x-email"])).id)
    await browser.open("/account")
    form = browser.form("end-all")
    await browser.post(form.action, {**form.fields, "end": mine})


async def end_all(street: Street, browser: Visitor) -> None:
    await browser.open("/account")
    await browser.press("end-all")


async def new_password(street: Street, browser: Visitor) -> None:
    user = await street.site.user(browser.headers["x-email"])
    assert await street.site.bridge.rooms.users.set_password(user, Secret(NEW_PASSWORD)) is not None


async def disabled(street: Street, browser: Visitor) -> None:
    user = await street.site.user(browser.headers["x-email"])
    assert await street.site.bridge.rooms.users.disable(user.id) is not None


async def by_an_administrator(street: Street, browser: Visitor) -> None:
    user, sessions = await street.site.user(browser.headers["x-email"]), street.site.bridge.rooms.sessions
    (session,) = await street.site.sessions(user.id)
    await sessions.end(user.id, user.tag, session, "administrator", actor="command")


async def all_by_an_administrator(street: Street, browser: Visitor) -> None:
    user = await street.site.user(browser.headers["x-email"])
    await street.site.bridge.rooms.sessions.end_all(user.id, user.tag, "admin", actor="command")


async def replaced(street: Street, browser: Visitor) -> None:
    """As when somebody else signs in here."""
    user, sessions = await street.site.user(browser.headers["x-email"]), street.site.bridge.rooms.sessions
    (session,) = await street.site.sessions(user.id)
    await sessions.end(user.id, user.tag, session, "replaced")


async def consent_withdrawn(street: Street, browser: Visitor) -> None:
    user = await street.site.user(browser.headers["x-email"])
    consents = street.site.bridge.rooms.consents
    await consents.grant(user.id, user.tag, ClientId("good"), ["openid"])
    await consents.withdraw(user.id, user.tag, ClientId("good"))


ENDINGS = (
    end_here,
    end_all,
    new_password,
    disabled,
    by_an_administrator,
    all_by_an_administrator,
    replaced,
    consent_withdrawn,
)


@pytest.mark.parametrize("ending", ENDINGS, ids=[ending.__name__ for ending in ENDINGS])
async def test_whatever_ends_a_session_tells_its_apps(
    street: Street, visit: Visit, ending: Callable[[Street, Visitor], Awaitable[None]]
) -> None:
    browser, known = await street.person(visit, "good")
    before = street.good.calls
    await ending(street, browser)
    await street.good.hear_of(known["good"])
    await asyncio.sleep(0.3)
    assert street.good.calls == before + 1, "once"


async def test_what_ends_tokens_alone_is_no_sign_out_and_tells_nobody(street: Street, visit: Visit) -> None:
    """A code or refresh token that comes twice, and RFC 7009: the person is still there, and nobody said otherwise."""
    site, form = street.site, {"code_verifier": VERIFIER}
    address = f"http://127.0.0.1:{free_port()}/logout"
    made = await site.client(
        "teller",
        {
            "redirect_uris": ["https://teller.example.net/cb"],
            "grant_types": ["authorization_code", "refresh_token"],
            "backchannel_logout_uri": address,
        },
        first_party=True,
    )
    assert made.secret is not None
    browser, known = await street.person(visit, "teller")
    transport, who = httpx2.ASGITransport(site.bridge), ("teller", made.secret.reveal())

    async def tokens(http: httpx2.AsyncClient, **more: str) -> dict[str, str]:
        found: dict[str, str] = (await http.post("/oauth/token", data={**form, **more}, auth=who)).json()
        return found

    async def code() -> str:
        await browser.get(f"/oauth/authorize?{urlencode(asked('teller'))}")
        return parse_qs(urlsplit(browser.sent_to).query)["code"][0]

    async def told() -> int:
        once = farewells.once_of(ClientId("teller"), known["teller"])
        async with site.bridge.rooms.database.read() as tx:
            return len((await tx.execute(select(outbox.c.id).where(outbox.c.once == once))).all())

    async with httpx2.AsyncClient(transport=transport, base_url=site.url, trust_env=False) as http:
        twice = {"grant_type": "authorization_code", "code": await code()}
        assert "access_token" in await tokens(http, **twice)
        assert (await tokens(http, **twice))["error"] == "invalid_grant"
        first = await tokens(http, grant_type="authorization_code", code=await code())
        then = await tokens(http, grant_type="refresh_token", refresh_token=first["refresh_token"])
        await tokens(http, grant_type="refresh_token", refresh_token=then["refresh_token"])
        assert "error" in await tokens(http, grant_type="refresh_token", refresh_token=first["refresh_token"])
        given = await tokens(http, grant_type="authorization_code", code=await code())
        await http.post("/oauth/revoke", data={"token": given["refresh_token"]}, auth=who)
    ended = [event.kind for event in site.told.events if event.client == "teller" and event.kind.startswith("token.re")]
    assert ended.count("token.replay") == 2 and ended.count("token.revoked") == 1
    assert await told() == 0 and await code(), "he is still signed in"
    await browser.open("/logout")
    await browser.press("logout-confirm")
    assert await told() == 1


async def test_the_session_that_stays_is_not_said_to_have_ended(
    street: Street, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restamped, "PATIENCE", 4.0)  # it has its seconds, as always, in which to get its new stamp
    phone, gone = await street.person(visit, "good")
    here, _ = await street.again(visit, phone.headers["x-email"])
    await here.open(f"/oauth/authorize?{urlencode(asked('also'))}")
    stays = (await street.known(phone.headers["x-email"]))[ClientId("also")]
    await here.open("/account")
    await here.press("end-others")
    await street.good.hear_of(gone["good"])
    await asyncio.sleep(1.5)
    assert stays not in {claims["sid"] for claims in street.also.told}


async def test_of_fifty_who_end_one_session_at_once_one_tells_its_apps(street: Street, visit: Visit) -> None:
    browser, known = await street.person(visit, "good")
    user, sessions = await street.site.user(browser.headers["x-email"]), street.site.bridge.rooms.sessions
    (session,) = await street.site.sessions(user.id)
    before = street.good.calls
    await asyncio.gather(*(sessions.end(user.id, user.tag, session, "you") for _ in range(50)))
    await street.good.hear_of(known["good"])
    await asyncio.sleep(0.3)
    assert street.good.calls == before + 1


async def test_what_is_to_be_told_is_written_with_the_ending_or_neither_is(
    street: Street, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, _ = await street.person(visit, "good")
    user, rooms = await street.site.user(browser.headers["x-email"]), street.site.bridge.rooms
    (session,) = await street.site.sessions(user.id)

    async def broken(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(type(rooms.outbox), "put_once", broken)
    with pytest.raises(ZeroDivisionError):
        await rooms.sessions.end(user.id, user.tag, session, "you")
    assert await rooms.endings.ended_session(session) is None
    monkeypatch.undo()


async def test_a_store_that_was_down_when_it_ended_says_later_to_whom_it_was_known(
    street: Street, visit: Visit
) -> None:
    browser, known = await street.person(visit, "good")
    user, rooms = await street.site.user(browser.headers["x-email"]), street.site.bridge.rooms
    (session,) = await street.site.sessions(user.id)
    await rooms.endings.end_session(user.id, user.tag, session, "you", time.time() + 3_600)  # as far as it came
    await street.good.hear_of(known["good"])


async def test_it_is_said_of_itself(street: Street) -> None:
    """The suite's backchannel-logout-discovery-endpoint-verification."""
    transport = httpx2.ASGITransport(street.site.bridge)
    async with httpx2.AsyncClient(transport=transport, base_url=street.site.url, trust_env=False) as http:
        members = (await http.get("/.well-known/openid-configuration")).json()
    assert members["backchannel_logout_supported"] is members["backchannel_logout_session_supported"] is True
    assert members["end_session_endpoint"] == f"{street.site.url}/oauth/logout"


async def test_the_gauges_say_how_many_are_still_to_be_told(street: Street) -> None:
    here, query = street.site.bridge._work, text("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'")
    payload = {"client": "good", "sid": "later"}
    await street.site.bridge.rooms.outbox.put(None, "backchannel-logout", None, payload, delay=3_600)

    async def counted() -> bool:  # somebody else may be told at this very moment
        assert here._courier is not None
        await here._courier.count()
        async with street.site.bridge.rooms.database.read() as tx:
            return bool(here.farewells_waiting == (await tx.execute(query)).scalar_one() > 0)

    await until(counted)
    await here._outbox.count()
    assert here.letters_waiting == 0, "they are no letters"
