"""A token works in its own place only: every kind × every consumer of this room — security §1, §2."""

import pytest

from bridge.sessions.birth import Birth, Born
from bridge.types import Visit
from tests.oidc.world import World, credentials

KINDS = ["op", "app", "legacy", "sso", "code", "access", "refresh", "own", "id_token", "interaction", "pre"]
CONSUMERS = ["issuer-cookie", "userinfo", "as-code", "as-refresh", "revocation", "id_token_hint", "interaction"]
RIGHT = {
    ("op", "issuer-cookie"),
    ("access", "userinfo"),
    ("code", "as-code"),
    ("refresh", "as-refresh"),
    ("access", "revocation"),
    ("refresh", "revocation"),
    ("id_token", "id_token_hint"),
    ("interaction", "interaction"),
}


async def _tokens(world: World) -> dict[str, str]:
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    code, spent = await browser.code(), await browser.code()
    tokens = (await world.redeem(spent)).json()
    found = {"code": code, "access": tokens["access_token"], "refresh": tokens["refresh_token"]}
    found["id_token"] = tokens["id_token"]
    found["own"] = (await world.token("robot", grant_type="client_credentials")).json()["access_token"]
    options = world.session_options
    for kind, wish in (
        ("op", Birth.browser(options)),
        ("legacy", Birth.legacy(options, via="portal")),
        ("sso", Birth.sso(options, via="portal")),
    ):
        born = await world.sessions.start(world.bob.standing, wish, Visit(door="pages"), amr=("pwd",))
        assert isinstance(born, Born)
        found[kind] = born.token.text.reveal()
        if born.child is not None:
            found["app"] = born.child.text.reveal()
    found["pre"] = "P" * 22
    reply = await world.http.get(
        "/oauth/authorize?client_id=shop&redirect_uri=https://shop.example/cb&response_type=code&scope=openid"
        f"&code_challenge={'c' * 43}&code_challenge_method=S256",
        headers={"cookie": f"{world.cookies.name('pre')}={found['pre']}"},
    )
    found["interaction"] = reply.headers["location"].partition("interaction=")[2]
    return found


async def _accepted(world: World, consumer: str, token: str) -> bool:
    """Whether that consumer takes it for what it expects."""
    match consumer:
        case "issuer-cookie":
            headers = {"cookie": f"{world.cookies.name('op')}={token}"}
            path = "/oauth/authorize?client_id=shop&redirect_uri=https://shop.example/cb&response_type=code"
            path += f"&scope=openid&code_challenge={'c' * 43}&code_challenge_method=S256&prompt=none"
            return "code=" in (await world.http.get(path, headers=headers)).headers["location"]
        case "userinfo":
            return (await world.userinfo(token)).status_code == 200
        case "as-code":
            return (await world.redeem(token)).status_code == 200
        case "as-refresh":
            return (await world.refresh(token)).status_code == 200
        case "revocation":
            before = len((await world.endings.recent(None)).families)
            headers, form = credentials("shop")
            await world.http.post("/oauth/revoke", data={**form, "token": token}, headers=headers)
            return len((await world.endings.recent(None)).families) > before
        case "id_token_hint":
            return (await world.http.get("/oauth/logout", params={"id_token_hint": token})).status_code == 303
        case _:
            headers = {"cookie": f"{world.cookies.name('pre')}={'P' * 22}"}
            reply = await world.http.get("/oauth/authorize", params={"interaction": token}, headers=headers)
            return reply.status_code == 303


@pytest.mark.parametrize("consumer", CONSUMERS)
async def test_only_the_diagonal_succeeds(world: World, consumer: str) -> None:
    """§1.  What is right comes last: it may use the token up."""
    tokens = await _tokens(world)
    assert set(tokens) == set(KINDS)
    for kind in sorted(KINDS, key=lambda kind: (kind, consumer) in RIGHT):
        if (kind, consumer) == ("refresh", "revocation"):
            continue  # of the same family as the access token, which is gone by then
        assert await _accepted(world, consumer, tokens[kind]) is ((kind, consumer) in RIGHT), kind
