"""What a client may ask, and what becomes of each mistake — RFC 6749 §4.1.2.1, Core §3.1.2.1, §3.1.2.6."""

import json
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest

from bridge.asgi import parse_pairs
from tests.oidc.world import CALLBACK, CHALLENGE, ISSUER, Browser, World, answer, authorize_path, page, shown


@pytest.mark.parametrize(
    ("client", "request_", "named"),
    [
        ("shop", {"client_id": None}, "client_id"),
        ("nobody", {}, "client_id"),
        ("shop", {"redirect_uri": "https://evil.example/cb"}, "redirect_uri"),
        ("shop", {"redirect_uri": CALLBACK + "/"}, "redirect_uri"),
        ("shop", {"redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
        ("shop", {"redirect_uri": None}, "redirect_uri"),
        ("two", {"redirect_uri": None, "scope": "email"}, "redirect_uri"),
        ("spa", {"redirect_uri": "https://spa.example/cb"}, "redirect_uri"),
        ("robot", {"redirect_uri": "https://evil.example/cb"}, "redirect_uri"),
    ],
)
async def test_without_a_checked_address_nobody_is_sent_anywhere(
    world: World, client: str, request_: dict[str, str | None], named: str
) -> None:
    """§12 no. 1, 3, 4, 13: also with prompt=none, and whatever else is wrong."""
    browser = await world.sign_in()
    for more in ({}, {"prompt": "none"}, {"response_type": "bogus"}, {"scope": "openid email"}):
        text = shown(await browser.authorize(client, **{**more, **request_}))
        assert text.startswith(f"{named}: ") and named in text.partition(": ")[2]


async def test_plain_oauth_may_leave_out_the_only_address(world: World) -> None:
    """§12 no. 4."""
    await world.allow("shop", "email")
    browser = await world.sign_in()
    for again in ("", CALLBACK):
        code = answer(await browser.authorize(scope="email", redirect_uri=None))["code"]
        assert (await world.redeem(code, redirect_uri=again)).status_code == 200


@pytest.mark.parametrize("other", ["https://two.example/a", CALLBACK + "/", " "])
async def test_the_only_address_is_the_one_that_may_be_named_again(world: World, other: str) -> None:
    """RFC 6749 §4.1.3, §12 no. 14: whoever names another one did not get the code there; nothing is used up."""
    await world.allow("shop", "email")
    browser = await world.sign_in()
    code = answer(await browser.authorize(scope="email", redirect_uri=None))["code"]
    refused = await world.redeem(code, redirect_uri=other)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await world.redeem(code)).status_code == 200


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "bogus"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "nothing-we-know"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "bogus"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"max_age": "9" * 400}, "invalid_request"),
        ({"claims": "{bad json"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"id_token": 7}'}, "invalid_request"),
        ({"claims": '{"id_token": {"sub": {"value": 7}}}'}, "invalid_request"),
        ({"claims": "[" * 2500}, "invalid_request"),
        ({"id_token_hint": "junk"}, "invalid_request"),
        ({"id_token_hint": "e30.e30.e30"}, "invalid_request"),
        ({"request": "junk"}, "request_not_supported"),
        ({"request_uri": "https://shop.example/object"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
    ],
)
async def test_each_mistake_goes_back_to_the_client_by_its_name(
    world: World, request_: dict[str, str | None], error: str
) -> None:
    """B3, one row for each parameter; §12 no. 16, 17, 28, 30, 38, 79: with state and iss, never with a code."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    back = answer(await browser.authorize(**request_))
    assert (back["error"], back["state"], back["iss"]) == (error, "st", ISSUER)
    assert set(back) == {"error", "error_description", "state", "iss"}
    allowed = {chr(n) for n in (0x20, 0x21, *range(0x23, 0x5C), *range(0x5D, 0x7F))}
    assert set(back["error_description"]) <= allowed  # RFC 6749 A.8


async def test_of_two_mistakes_the_same_one_is_named_every_time(world: World) -> None:
    """B2: the order is the code's, not a hash table's."""
    wrong = {"code_challenge_method": "plain", "prompt": "bogus", "max_age": "x", "scope": "", "request": "x"}
    browser = Browser(world)
    found = {answer(await browser.authorize(**wrong))["error_description"] for _ in range(5)}
    assert found == {"request is not offered"}


async def test_a_resource_may_come_several_times_and_means_nothing(world: World) -> None:
    """RFC 8707 §2."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    twice = "&resource=https://a.example&resource=https://b.example"
    assert "code" in answer(await browser.get(authorize_path() + twice))


async def test_a_parameter_of_the_clients_own_has_no_meaning_here(world: World) -> None:
    """RFC 6749 §3.1: ours of that name comes alone."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    assert "code" in answer(await browser.authorize(interaction="x"))


@pytest.mark.parametrize("age", ["2147483647", "9" * 20])
async def test_any_number_of_seconds_is_a_max_age(world: World, age: str) -> None:
    """Core §3.1.2.1."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    assert "code" in answer(await browser.authorize(max_age=age))


@pytest.mark.parametrize("name", ["scope", "state", "nonce", "response_type", "prompt", "extra"])
async def test_a_repeated_parameter_is_refused(world: World, name: str) -> None:
    """§12 no. 8."""
    browser = await world.sign_in()
    back = answer(await browser.get(authorize_path() + f"&{name}=a&{name}=b"))
    assert back["error"] == "invalid_request" and name in back["error_description"]
    assert ("state" in back) is (name != "state")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_a_repeated_client_or_address_is_shown(world: World, name: str) -> None:
    value = {"client_id": "shop", "redirect_uri": CALLBACK}[name]
    text = shown(await Browser(world).get(authorize_path() + f"&{name}={quote(value)}"))
    assert "must not be repeated" in text


@pytest.mark.parametrize(
    "request_",
    [
        {"extra": "foobar"},
        {"display": "page"},
        {"display": "popup"},
        {"ui_locales": "se zh-Hans fr"},
        {"claims_locales": "se"},
        {"login_hint": "buffy@login.example"},
        {"login_hint": "<script>alert(1)</script>"},
        {"acr_values": "1 2 urn:x"},
        {"acr_values": "  1  2 "},
        {"response_type": " code  "},
        {"prompt": "  "},
        {"scope": "  email  openid "},
        {"scope": "openid unknown"},
        {"scope": "email openid"},
        {"nonce": None},
        {"state": None},
        {"claims": '{"userinfo": {"unheard-of": {"essential": true}}, "id_token": null}'},
        {"response_mode": "query"},
        {"prompt": ""},
    ],
)
async def test_what_is_harmless_changes_nothing(world: World, request_: dict[str, str | None]) -> None:
    """§12 no. 9, 81; the suite's display, ui-locales, login-hint, acr-values, unknown-parameter and scope modules."""
    await world.allow("shop", "openid", "email")
    browser = await world.sign_in()
    back = answer(await browser.authorize(**request_))
    assert set(back) == {"code", "iss"} | ({"state"} if request_.get("state", "st") else set())


OTHER_SPACE = ["\xa0", "\t", "\n", "\r", "\x1f", "\u2003", "\u3000"]
"""What parts words in prose, and none here."""


@pytest.mark.parametrize("sign", OTHER_SPACE)
@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"scope": "openid{}email"}, "invalid_scope"),
        ({"scope": "openid{}email", "redirect_uri": None}, "invalid_scope"),
        ({"prompt": "login{}consent"}, "invalid_request"),
        ({"prompt": "none{}"}, "invalid_request"),
        ({"response_type": "code{}"}, "unsupported_response_type"),
    ],
)
async def test_nothing_but_a_space_parts_two_words(
    world: World, request_: dict[str, str | None], error: str, sign: str
) -> None:
    """RFC 6749 §3.3, §3.1.1; Core §3.1.2.1."""
    browser = await world.sign_in()
    bent = {name: value and value.format(sign) for name, value in request_.items()}
    assert answer(await browser.authorize(**bent))["error"] == error


@pytest.mark.parametrize("sign", OTHER_SPACE)
async def test_a_word_with_another_space_in_it_is_unknown(world: World, sign: str) -> None:
    """Core §3.1.2.1: and ignored, as every scope that is."""
    await world.allow("shop", "openid", "email")
    browser = await world.sign_in()
    code = await browser.code(scope=f"openid profile{sign}email")
    assert (await world.redeem(code)).json()["scope"] == "openid"


@pytest.mark.parametrize(
    "state", ["a+b", "a b", "100%25", "%", "é", "日本", "a=b&c", '"<>', "x" * 2048, "/?#[]@!$'()*,;"]
)
async def test_state_comes_back_as_it_went(world: World, state: str) -> None:
    """§12 no. 31: in success and in error."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    assert answer(await browser.authorize(state=state))["state"] == state
    assert answer(await browser.authorize(state=state, prompt="bogus"))["state"] == state
    located = (await browser.authorize(state=state)).headers["location"]
    assert parse_qs(urlsplit(located).query)["state"] == [state]


async def test_the_answer_goes_with_303_and_without_a_trace(world: World) -> None:
    """§12 no. 10, 27."""
    await world.allow("shop", "openid")
    reply = await (await world.sign_in()).authorize()
    assert reply.status_code == 303
    assert reply.headers["referrer-policy"] == "no-referrer" and reply.headers["cache-control"] == "no-store"
    assert reply.content == b""


async def test_a_registered_query_is_kept(world: World) -> None:
    await world.allow("spa", "openid")
    location = (await (await world.sign_in()).authorize("spa")).headers["location"]
    assert location.startswith("https://spa.example/cb?x=1&code=lbc_")


async def test_post_is_as_good_as_get(world: World) -> None:
    """§12 no. 83."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    form = {name: values[0] for name, values in parse_qs(urlsplit(authorize_path()).query).items()}
    assert "code" in answer(await browser.post("/oauth/authorize", form))


async def test_a_post_from_another_site_still_finds_the_session(world: World) -> None:
    """§12 no. 36: SameSite=Lax keeps the cookies from it, so the browser is sent on by GET."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    form = {name: values[0] for name, values in parse_qs(urlsplit(authorize_path(state="a b&c")).query).items()}
    reply = await browser.post("/oauth/authorize", form, cross_site=True)
    assert reply.status_code == 303 and "set-cookie" not in reply.headers
    back = answer(await browser.get(reply.headers["location"]))
    assert "code" in back and back["state"] == "a b&c"


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/logout"])
@pytest.mark.parametrize("body", [b"a=\r\nset-cookie: x=y", b"state=\x00&client_id=shop", b"\n\n", b"a=%0d%0a&a=b"])
async def test_what_is_posted_never_becomes_a_header_line(world: World, path: str, body: bytes) -> None:
    """The browser is sent on with what it posted, encoded anew; a repeated parameter stays repeated."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    reply = await world.http.post(path, content=body, headers=headers)
    location = reply.headers["location"]
    assert location.isprintable() and "\r" not in location and "\n" not in location
    assert parse_qsl(urlsplit(location).query, keep_blank_values=True) == parse_pairs(body)


async def test_a_post_that_is_too_long_for_an_address_finds_the_session_too(world: World) -> None:
    """What it asks for is remembered; the GET that follows has the cookies that a POST from another site lacks."""
    await world.allow("shop", "openid")
    form = {name: values[0] for name, values in parse_qs(urlsplit(authorize_path()).query).items()}
    for browser in (await world.sign_in(), Browser(world)):
        known = len(browser.jar) > 0
        reply = await browser.post("/oauth/authorize", {**form, "extra": "x" * 7000}, cross_site=True)
        assert page(reply, "/oauth/authorize")
        after = await browser.get(reply.headers["location"])
        assert "code" in answer(after) if known else page(after, "/login")
        silent = {**form, "prompt": "none", "extra": "x" * 7000}
        reply = await browser.post("/oauth/authorize", silent, cross_site=True)
        after = await browser.get(reply.headers["location"])
        assert "code" in answer(after) if known else answer(after)["error"] == "login_required"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS"])
async def test_other_methods_are_none_of_it(world: World, method: str) -> None:
    reply = await world.http.request(method, authorize_path())
    assert reply.status_code == 405 and reply.headers["allow"] == "GET, POST"
    assert "access-control-allow-origin" not in reply.headers


async def test_json_is_no_form(world: World) -> None:
    reply = await world.http.post("/oauth/authorize", json={"client_id": "shop"})
    assert reply.status_code == 415


async def test_a_disabled_client_is_nobody(world: World) -> None:
    await world.clients.disable("shop")
    await world.versions.poll()
    assert "client_id" in shown(await (await world.sign_in()).authorize())


async def test_a_client_without_the_code_flow_is_told_so(world: World) -> None:
    await world.clients.create({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}, client_id="mute")
    await world.versions.poll()
    back = answer(await (await world.sign_in()).authorize("mute", redirect_uri=CALLBACK))
    assert back["error"] == "unauthorized_client"


async def test_a_hint_for_somebody_else_is_never_answered_with_the_wrong_person(world: World) -> None:
    """§12 no. 77, by `id_token_hint` and by `claims`."""
    bobs = (await world.signed_up("shop", "openid"))["id_token"]
    eve = await world.user("eve@example.com")
    await world.allow("shop", "openid", user=eve)
    browser = await world.sign_in(eve)
    claims = json.dumps({"id_token": {"sub": {"value": world.bob.sub}}})
    for request in ({"id_token_hint": bobs}, {"claims": claims}, {"id_token_hint": bobs, "claims": claims}):
        assert answer(await browser.authorize(prompt="none", **request))["error"] == "login_required"
        assert page(await browser.authorize(**request), "/login")
    still_eve = await browser.login(await browser.authorize(id_token_hint=bobs), eve)
    assert answer(still_eve)["error"] == "login_required"
    at_last_bob = await browser.login(await browser.authorize(id_token_hint=bobs), world.bob)
    assert "code" in answer(at_last_bob)


async def test_a_hint_for_this_very_person_returns_at_once_also_when_old(world: World) -> None:
    tokens = await world.signed_up("shop", "openid")
    world.clock.move(30 * 3600)
    browser = await world.sign_in()
    assert "code" in answer(await browser.authorize(prompt="none", id_token_hint=tokens["id_token"]))


async def test_two_hints_that_disagree_are_refused(world: World) -> None:
    tokens = await world.signed_up("shop", "openid")
    claims = json.dumps({"id_token": {"sub": {"value": "somebody"}}})
    back = answer(await Browser(world).authorize(id_token_hint=tokens["id_token"], claims=claims))
    assert back["error"] == "invalid_request"


async def test_a_visit_is_of_this_browser_of_this_kind_and_of_this_half_hour(world: World) -> None:
    """§26, §12 no. 34: with or without the victim's session."""
    await world.allow("shop", "openid")
    victim, thief = await world.sign_in(), Browser(world)
    interaction = page(await victim.authorize(prompt="login"), "/login")
    path = f"/oauth/authorize?interaction={interaction}"
    assert "interaction" in shown(await thief.get(path))
    thief.jar = {world.cookies.name("op"): victim.jar[world.cookies.name("op")]}
    assert "interaction" in shown(await thief.get(path))
    assert page(await victim.get(path), "/login") == interaction
    leaving = page(await victim.get("/oauth/logout?client_id=shop"), "/logout")
    assert "interaction" in shown(await victim.get(f"/oauth/authorize?interaction={leaving}"))
    world.clock.move(1_800)
    assert "interaction" in shown(await victim.get(path))


async def test_a_visit_ends_with_its_client(world: World) -> None:
    browser = Browser(world)
    reply = await browser.authorize()
    await world.clients.disable("shop")
    await world.versions.poll()
    assert "client_id" in shown(await browser.login(reply))


async def test_several_windows_share_the_browsers_cookie(world: World) -> None:
    browser = Browser(world)
    first, second = await browser.authorize(), await browser.authorize("es")
    assert "set-cookie" in first.headers and "set-cookie" not in second.headers
    assert "__Host-lb_pre=" in first.headers["set-cookie"] and "SameSite=Lax" in first.headers["set-cookie"]
    browser.jar[world.cookies.name("pre")] = "not one of ours"
    assert "set-cookie" in (await browser.authorize()).headers


async def test_what_is_remembered_of_a_request_is_what_we_understand(world: World) -> None:
    """A visit is kept for half an hour at somebody's word: not a place to store things."""
    browser = Browser(world)
    interaction = page(
        await browser.authorize(extra="x" * 5000, login_hint="bob@example.com", ui_locales="zh"), "/login"
    )
    visit = await world.interactions.load(interaction, browser.jar[world.cookies.name("pre")])
    assert visit is not None and "extra" not in visit.record.parameters and len(visit.seen) < 2000
    assert (visit.record.login_hint, visit.record.ui_locales, visit.record.scopes) == (
        "bob@example.com",
        "zh",
        ("openid",),
    )
    app = visit.record.app
    assert app is not None and (app.name, app.verified, app.redirect_uri) == ("Shop", True, CALLBACK)


async def test_one_cookie_name_twice_is_nobody_and_is_told(world: World) -> None:
    """§13: somebody may have tossed one in."""
    await world.allow("shop", "openid")
    browser = await world.sign_in()
    name = world.cookies.name("op")
    cookies = f"{name}={browser.jar[name]}; {name}={browser.jar[name]}"
    reply = await world.http.get(authorize_path(), headers={"cookie": cookies})
    assert page(reply, "/login")
    assert [(event.kind, event.reason) for event in world.told.events][-1] == ("session.refused", "cookie-twice")


async def test_a_public_client_uses_pkce_also_when_it_was_imported(world: World) -> None:
    """§12 no. 16; §21 forgives secrets' owners only."""
    document = {"client_id": "old-app", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    await world.clients.import_(document)
    await world.versions.poll()
    found = await world.clients.get("old-app")
    assert found is not None and not found.require_pkce
    reply = await Browser(world).authorize("old-app", code_challenge=None, code_challenge_method=None)
    assert answer(reply)["error"] == "invalid_request"


async def test_another_issuers_token_is_no_hint_even_under_our_key(world: World) -> None:
    """Two issuers may share keys by mistake; §6."""
    claims = {"iss": "https://other.example", "sub": world.bob.sub, "aud": "shop"}
    hint = world.keyring.sign("RS256", claims)
    assert answer(await Browser(world).authorize(id_token_hint=hint))["error"] == "invalid_request"
    assert "id_token_hint" in shown(await Browser(world).get(f"/oauth/logout?id_token_hint={hint}"))
    access = world.keyring.sign("RS256", {**claims, "iss": ISSUER}, "at+jwt")
    assert answer(await Browser(world).authorize(id_token_hint=access))["error"] == "invalid_request"
