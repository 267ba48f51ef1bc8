"""A dump of store and database holds nothing that could be used — security §5, §9; §12 no. 24, 46."""

from pathlib import Path

from bridge.stores.memory import MemoryStore
from tests.oidc.world import Browser, World, answer, page, secret_of


async def test_neither_store_nor_database_holds_what_was_handed_out(world: World, tmp_path: Path) -> None:
    """Every token of a whole journey, right after a rotation."""
    assert isinstance(world.store, MemoryStore)
    browser = Browser(world)
    first = await browser.authorize(scope="openid offline_access", prompt="consent")
    pre = browser.jar[world.cookies.name("pre")]
    interaction = page(first, "/login")
    code = answer(await browser.consent(await browser.login(first)))["code"]
    open_visit = page(await browser.authorize(prompt="login"), "/login")
    tokens = (await world.redeem(code)).json()
    rotated = (await world.refresh(tokens["refresh_token"])).json()
    robot = (await world.token("robot", grant_type="client_credentials")).json()
    secrets = {
        "code": code,
        "access": tokens["access_token"],
        "refresh": tokens["refresh_token"],
        "new access": rotated["access_token"],
        "new refresh": rotated["refresh_token"],
        "robot's": robot["access_token"],
        "session": browser.jar[world.cookies.name("op")],
        "pre": pre,
        "interaction": interaction,
        "open interaction": open_visit,
        "pre now": browser.jar[world.cookies.name("pre")],
        "id token": tokens["id_token"].rpartition(".")[2],
        "client secret": secret_of("shop"),
        "imported secret": secret_of("imported"),
    }
    store = repr(world.store._values) + repr(world.store._indexes)
    files = _files(tmp_path)
    assert "offline_access" in store and b"bob@example.com" in files  # it is what we think it is
    for name, secret in secrets.items():
        assert secret not in store, name
        assert secret.encode() not in files, name
    for text in (code, tokens["refresh_token"], rotated["access_token"]):  # the random half, without its prefix
        assert text[26:] not in store


def _files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("bridge.db*"))


async def test_tokens_are_long_and_differ(world: World) -> None:
    """The suite's entropy checks; two apps see no common part, so they cannot tell that they share a user."""
    shop, es = await world.signed_up("shop"), await world.signed_up("es")
    for name in ("access_token", "refresh_token"):
        assert len(shop[name]) == 68 and len(set(shop[name])) > 20
        assert shop[name][4:26] != es[name][4:26]
    assert shop["access_token"][4:25] == shop["refresh_token"][4:25]  # one family, at one client
