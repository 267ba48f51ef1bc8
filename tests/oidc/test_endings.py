"""Whatever ends, ends at every step of authorize → token → refresh — security §4, §14, §15; §12 no. 60, 97."""

from collections.abc import Awaitable, Callable, Sequence

import pytest
from sqlalchemy import delete

from bridge.database.tables import users
from bridge.database.versions import bump
from bridge.secret import Secret
from bridge.sessions.stamp import draw_stamp
from bridge.stores.store import Change, Drop
from bridge.types import ClientId
from tests.oidc.world import CLIENTS, Browser, World, answer, page, secret_of

Ending = Callable[[World, Browser], Awaitable[object]]


async def _session_ends(world: World, browser: Browser) -> None:
    await world.sessions.end(world.bob.id, world.bob.tag, browser.session, "you")


async def _all_sessions_end(world: World, browser: Browser) -> None:
    await world.sessions.end_all(world.bob.id, world.bob.tag, "admin")


async def _user_is_disabled(world: World, browser: Browser) -> None:
    await world.users.disable(world.bob.id)
    await world.sessions.publish_stamp(world.bob.id, world.bob.tag)


async def _consent_is_withdrawn(world: World, browser: Browser) -> None:
    await world.consents.withdraw(world.bob.id, world.bob.tag, ClientId("shop"))


ENDINGS = [_session_ends, _all_sessions_end, _user_is_disabled, _consent_is_withdrawn]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_nothing_that_ended_gives_a_code(any_world: World, ending: Ending) -> None:
    """§15: also when the browser is already on the way back from a page."""
    world = any_world
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    await ending(world, browser)
    assert page(await browser.authorize(), "/consent" if ending is _consent_is_withdrawn else "/login")
    assert answer(await browser.authorize(prompt="none"))["error"] in ("login_required", "consent_required")


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_code_dies_with_what_it_stands_on(any_world: World, ending: Ending) -> None:
    world = any_world
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    code = await browser.code()
    await ending(world, browser)
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("ending", ENDINGS)
async def test_tokens_die_with_what_they_stand_on(any_world: World, ending: Ending) -> None:
    world = any_world
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    tokens = (await world.redeem(await browser.code())).json()
    tokens = (await world.refresh(tokens["refresh_token"])).json()
    await ending(world, browser)
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(("ending", "lives"), [(ENDINGS[0], True), *((ending, False) for ending in ENDINGS[1:])])
async def test_only_offline_access_outlives_the_session(any_world: World, ending: Ending, lives: bool) -> None:
    """§12 no. 97: and nothing outlives the rest."""
    world = any_world
    await world.allow("shop", "openid", "offline_access")
    browser = await world.sign_in()
    reply = await browser.consent(await browser.authorize(scope="openid offline_access", prompt="consent"))
    tokens = (await world.redeem(answer(reply)["code"])).json()
    await ending(world, browser)
    assert (await world.userinfo(tokens["access_token"])).status_code == (200 if lives else 401)
    assert (await world.refresh(tokens["refresh_token"])).status_code == (200 if lives else 400)


async def test_a_new_password_ends_codes_and_tokens_of_every_kind(world: World) -> None:
    """§12 no. 60: what was granted for whoever is away as well."""
    await world.allow("shop", "openid", "offline_access")
    browser = await world.sign_in()
    given = [(await world.redeem(await browser.code())).json()]
    reply = await browser.consent(await browser.authorize(scope="openid offline_access", prompt="consent"))
    given.append((await world.redeem(answer(reply)["code"])).json())
    code = await browser.code()
    assert await world.users.set_password(world.bob, Secret("four rivers and a kettle")) is not None
    await world.sessions.publish_stamp(world.bob.id, world.bob.tag)
    for tokens in given:
        assert (await world.userinfo(tokens["access_token"])).status_code == 401
        assert (await world.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
    assert page(await browser.authorize(), "/login")


async def test_a_stamp_that_sql_drew_and_nobody_published_yet_is_no_hole_for_long(world: World) -> None:
    """§3: SQL first; a crash before the publication is mended by the reconciler, within its second."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    tokens = (await world.redeem(await browser.code())).json()
    await world.endings.restamp(world.bob.id, draw_stamp("password"))
    await world.sessions.publish_stamp(world.bob.id, world.bob.tag)  # what the reconciler does
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    assert page(await browser.authorize(), "/login")


async def test_a_session_that_sql_has_ended_is_found_out_when_the_consent_is_filled(world: World) -> None:
    """§20: the copy is filled under SQL's stamp, and that is not the session's."""
    await world.allow("ours", "openid")
    browser = await world.sign_in()
    await browser.code("ours")
    await world.endings.restamp(world.bob.id, draw_stamp("password"))
    await world.store.commit(Drop(world.names.consent(world.bob.tag, ClientId("ours"))))
    assert page(await browser.authorize("ours"), "/login")


async def test_a_stamp_that_the_store_lost_is_asked_of_sql_here_too(world: World) -> None:
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    await world.store.commit(Drop(world.names.stamp(world.bob.tag)))
    assert "code" in answer(await browser.authorize())


async def test_a_user_who_is_gone_is_nobody(world: World) -> None:
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    tokens = (await world.redeem(await browser.code())).json()
    async with world.db.begin() as tx:
        await tx.execute(delete(users).where(users.c.id == world.bob.id))
        await bump(tx, "users")
    await world.versions.publish("users")
    assert page(await browser.authorize(), "/login")
    assert (await world.userinfo(tokens["access_token"])).status_code == 401


async def test_a_consent_copy_of_an_older_stamp_is_filled_anew(world: World) -> None:
    """§20: the copy names the stamp."""
    await world.allow("shop", "openid")
    await (await world.sign_in()).code()
    await world.sessions.end_all(world.bob.id, world.bob.tag, "user")
    again = await world.user("bob@example.com")
    assert "code" in answer(await (await world.sign_in(again)).authorize())


async def test_a_session_learns_of_each_client_once(world: World) -> None:
    """§19: a `sid` of its own for each, which stays."""
    await world.allow("shop", "openid")
    await world.allow("es", "openid")
    browser = await world.sign_in()
    sids = []
    for client in ("shop", "es", "shop"):
        tokens = (await world.redeem(await browser.code(client), client)).json()
        claims = world.keyring.verify(tokens["id_token"])
        assert claims is not None
        sids.append(claims["sid"])
    assert sids[0] == sids[2] != sids[1]
    assert browser.session not in sids


async def test_using_a_session_here_keeps_it_from_idling_out(world: World) -> None:
    """S6: an authorization is a use."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    for _ in range(4):
        world.clock.move(1_200)
        assert "code" in answer(await browser.authorize())
    world.clock.move(1_801)
    assert page(await browser.authorize(), "/login")


async def test_an_epoch_that_was_raised_refuses_codes_but_no_refresh_tokens(world: World) -> None:
    """Store §2, rule 9."""
    tokens = await world.signed_up("shop", "openid")
    code = await (await world.sign_in()).code()
    await world.endings.raise_epoch("another server")
    await world.endings.recent(None)
    assert (await world.redeem(code)).json()["error"] == "invalid_grant"
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


class _Interrupted:
    """Something ends just before the store's n-th step."""

    def __init__(self, world: World, browser: Browser, ending: Ending, step: int, patch: pytest.MonkeyPatch) -> None:
        self._world, self._browser, self._ending, self._left = world, browser, ending, step
        self._read, self._commit = world.store.read, world.store.commit
        patch.setattr(world.store, "read", self.read)
        patch.setattr(world.store, "commit", self.commit)

    @property
    def happened(self) -> bool:
        return self._left < 0

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        await self._step()
        return await self._read(*keys)

    async def commit(self, *changes: Change) -> bool:
        await self._step()
        return await self._commit(*changes)

    async def _step(self) -> None:
        self._left -= 1
        if self._left == -1:
            await self._ending(self._world, self._browser)


@pytest.mark.parametrize("step", range(7))
@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_ends_in_the_middle_leaves_nothing_alive(
    world: World, ending: Ending, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§15: at every await of authorize → token → refresh → userinfo."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    await browser.code("shop")
    interrupted = _Interrupted(world, browser, ending, step, monkeypatch)
    given: list[dict[str, str]] = []
    sent = await browser.authorize()
    code = answer(sent).get("code") if sent.headers["location"].startswith("https:") else None
    if code is not None and (reply := await world.redeem(code)).status_code == 200:
        given.append(reply.json())
        if (reply := await world.refresh(given[0]["refresh_token"])).status_code == 200:
            given.append(reply.json())
            await world.userinfo(given[1]["access_token"])
    assert interrupted.happened
    monkeypatch.undo()
    for tokens in given:
        assert (await world.userinfo(tokens["access_token"])).status_code == 401
        assert (await world.refresh(tokens["refresh_token"])).status_code == 400
    if code is not None and not given:
        assert (await world.redeem(code)).status_code == 400


async def test_a_new_client_of_an_old_id_inherits_nothing(any_world: World) -> None:
    """Neither what people allowed the one that was removed, nor its tokens."""
    world = any_world
    tokens = await world.signed_up("es", "openid")
    await world.clients.remove("es")
    await world.clients.import_({**CLIENTS["es"], "client_id": "es", "client_secret": secret_of("es")})
    await world.versions.poll()
    await world.consents.reconcile(await world.endings.recent(world.clock.now() - 60))
    assert (await world.refresh(tokens["refresh_token"], "es")).json()["error"] == "invalid_grant"
    assert (await world.userinfo(tokens["access_token"])).status_code == 401
    browser = await world.sign_in()
    assert answer(await browser.authorize("es", prompt="none"))["error"] == "consent_required"
