"""Two workers on one store and one database: what ends through one is refused by the other, within the bound.

Security §20, §3; issue item 5: two seconds.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from bridge.secret import Secret
from tests.flows.mailbox import Mailbox
from tests.flows.oauth import App
from tests.patience import LetRun
from tests.running import ADA, LI, NEW_PASSWORD, PASSWORD, Furnished, Given, Site
from tests.security.holdings import Visiting, call, scope_with, touch, validate_login
from tests.security.workers import worker
from tests.servers import Server

BOUND = 2.0


@pytest.fixture(params=["sqlite", "redis"])
async def workers(
    request: pytest.FixtureRequest, database: Furnished, mailbox: Mailbox
) -> AsyncIterator[tuple[Site, Site]]:
    more: Given = {("mail", "url"): f"file:{mailbox.folder}", ("store", "url"): _beside(database)}
    if request.param == "redis":
        server: Server = request.getfixturevalue("valkey_server")
        more = {**more, ("store", "url"): server.url, ("server", "base_url"): f"https://{uuid.uuid4().hex}.example.com"}
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(worker(database, more)) for _ in range(2)]
        yield one, other


def _beside(database: Furnished) -> str:
    return f"sqlite:///{database.file.with_name('store.db')}"


async def within_the_bound(refused: Callable[[], Awaitable[bool]]) -> None:
    """Ask the other worker until it knows, which it must within two seconds of its life."""
    with LetRun() as ran:
        while not await refused():
            assert ran.seconds < BOUND, "it was still accepted after two seconds"
            await asyncio.sleep(0.02)


async def test_a_client_that_was_disabled(workers: tuple[Site, Site], visit: Visiting) -> None:
    one, other = workers
    app = App(other)
    browser = visit(other)
    await browser.sign_in(ADA)
    tokens = await app.tokens(browser)
    assert await one.bridge.rooms.clients.disable("notes")

    async def refused() -> bool:
        reply = await app.refresh(tokens["refresh_token"])
        tokens.update(reply.json() if reply.status_code == 200 else {})
        return bool(reply.status_code == 401)

    await within_the_bound(refused)
    await browser.get(app.request())
    assert browser.reply.status_code == 400
    assert await one.bridge.rooms.clients.enable("notes")

    async def accepted() -> bool:
        return (await app.refresh(tokens["refresh_token"])).status_code == 200

    await within_the_bound(accepted)


async def test_a_credential_that_was_disabled(workers: tuple[Site, Site]) -> None:
    one, other = workers
    token = await validate_login(other)
    assert (await touch(other, token)).status_code == 200
    assert await one.bridge.rooms.credentials.disable("portal")

    async def refused() -> bool:
        return (await call(other, action="WhmcsDetails")).status_code == 403

    await within_the_bound(refused)
    assert (await touch(other, token)).status_code == 401


async def test_a_user_who_was_disabled(workers: tuple[Site, Site], visit: Visiting) -> None:
    """His sessions at once, because the stamp is read with each; his tokens too."""
    one, other = workers
    app, browser = App(other), visit(other)
    await browser.sign_in(LI)
    tokens = await app.tokens(browser)
    assert (await app.userinfo(tokens["access_token"])).status_code == 200
    cookies = {"__Host-login_auth_tk": browser.jar["__Host-login_auth_tk"]}
    assert (await other.bridge.who(scope_with(cookies=cookies))).alive is not None
    li = await one.user(LI)
    assert await one.bridge.rooms.users.disable(li.id) is not None

    async def refused() -> bool:  # nobody published the stamp: the reconciler does
        return (await other.bridge.who(scope_with(cookies=cookies))).alive is None

    await within_the_bound(refused)
    assert (await app.userinfo(tokens["access_token"])).status_code == 401
    assert (await app.refresh(tokens["refresh_token"])).status_code == 400
    assert (await call(other, action="ValidateLogin", email=LI, password2=PASSWORD)).json()["result"] == "error"
    again = visit(other)
    await again.sign_in(LI)
    assert "__Host-lb_op" not in again.jar


async def test_a_password_that_was_changed(workers: tuple[Site, Site], visit: Visiting) -> None:
    one, other = workers
    token = await validate_login(other)
    ada = await one.user(ADA)
    changed = await one.bridge.rooms.users.set_password(ada, Secret(NEW_PASSWORD))
    assert changed is not None
    # No login with the old one succeeds from this very moment: hashes come from no cache.
    assert (await call(other, action="ValidateLogin", email=ADA, password2=PASSWORD)).json()["result"] == "error"

    async def refused() -> bool:
        return bool((await touch(other, token)).json()["result"] == "dead")

    await within_the_bound(refused)
    assert (await call(other, action="ValidateLogin", email=ADA, password2=NEW_PASSWORD)).json()["result"] == "success"


async def test_a_profile_that_was_changed(workers: tuple[Site, Site]) -> None:
    one, other = workers
    token = await validate_login(other)
    scope = scope_with(cookies={"__Host-login_auth_tk": token})
    assert (await other.bridge.who(scope)).user.display_name == "Ada Lovelace"
    async with one.bridge.rooms.database.begin() as tx:
        await tx.exec_driver_sql("UPDATE users SET first_name = 'Augusta' WHERE email = 'ada@example.com'")
        await tx.exec_driver_sql("UPDATE versions SET version = version + 1 WHERE name = 'users'")
    await one.bridge.rooms.versions.publish("users")

    async def shown() -> bool:
        return (await other.bridge.who(scope)).user.display_name == "Augusta Lovelace"

    await within_the_bound(shown)


async def test_a_session_that_was_ended(workers: tuple[Site, Site], visit: Visiting) -> None:
    """At once: nothing of a session is cached."""
    one, other = workers
    browser = visit(other)
    await browser.sign_in(ADA)
    cookies = {"__Host-login_auth_tk": browser.jar["__Host-login_auth_tk"]}
    assert (await one.bridge.who(scope_with(cookies=cookies))).alive is not None
    ada = await one.user(ADA)
    (session,) = await one.sessions(ada.id)
    await one.bridge.rooms.sessions.end(ada.id, ada.tag, session, "administrator")
    assert (await other.bridge.who(scope_with(cookies=cookies))).alive is None
    await browser.open("/account")
    assert browser.at.startswith("/login")


async def test_new_keys_are_signed_with_and_published(workers: tuple[Site, Site], visit: Visiting) -> None:
    """One worker retires the keys; the other's next ID tokens are by the new ones."""
    one, other = workers
    app, browser = App(other), visit(other)
    await browser.sign_in(ADA)
    await app.tokens(browser)
    before = {key["kid"] for key in (await app.http.get("/oauth/jwks")).json()["keys"]}
    async with one.bridge.rooms.database.begin() as tx:
        await tx.exec_driver_sql("UPDATE signing_keys SET state = 'retiring'")
    await one.bridge.rooms.keyring.ensure()

    async def followed() -> bool:
        keys = (await app.http.get("/oauth/jwks")).json()["keys"]
        return {key["kid"] for key in keys} > before

    await within_the_bound(followed)
    token = (await app.tokens(browser))["id_token"]
    claims = one.bridge.rooms.keyring.verify(token)
    assert claims is not None and claims["aud"] == "notes"


async def test_a_signing_key_that_leaked(workers: tuple[Site, Site], visit: Visiting) -> None:
    one, other = workers
    app, browser = App(other), visit(other)
    await browser.sign_in(ADA)
    hint = (await app.tokens(browser))["id_token"]
    keyring = one.bridge.rooms.keyring
    (leaked,) = [key.kid for key in keyring.published() if key.alg == "RS256"]
    assert leaked in await _published(other)
    await keyring.compromise(leaked, actor="command")

    async def refused() -> bool:
        return leaked not in await _published(other)

    await within_the_bound(refused)
    assert other.bridge.rooms.keyring.verify(hint) is None
    new = (await app.tokens(browser))["id_token"]
    assert one.bridge.rooms.keyring.verify(new) is not None


async def test_signing_keys_that_were_rotated(workers: tuple[Site, Site]) -> None:
    one, other = workers
    before = await _published(other)
    pending = {key.kid for key in await one.bridge.rooms.keyring.rotate(actor="command")}

    async def known() -> bool:
        return await _published(other) == before | pending

    await within_the_bound(known)


async def _published(site: Site) -> set[str]:
    reply = await App(site).http.get("/oauth/jwks")
    return {key["kid"] for key in reply.json()["keys"]}
