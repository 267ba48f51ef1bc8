"""W1 on the wire: what every page of a running bridge says to the browser — sessions-and-accounts §3.5."""

from collections.abc import Callable

import httpx2

from tests.flows.oauth import App
from tests.flows.visitor import Visitor
from tests.pages.reading import read
from tests.running import ADA, PASSWORD, TOM, Site

Visit = Callable[[Site], Visitor]


def is_guarded(reply: httpx2.Response) -> bool:
    """All that W1 asks for."""
    headers = reply.headers
    policy = {
        name: rest for name, _, rest in (e.partition(" ") for e in headers["content-security-policy"].split("; "))
    }
    return (
        headers["content-type"] == "text/html; charset=utf-8"
        and headers["strict-transport-security"].startswith("max-age=31536000")
        and policy["default-src"] == "'none'"
        and policy["frame-ancestors"] == "'none'"
        and policy["base-uri"] == "'none'"
        and policy.get("script-src") == _script_of(reply)
        and policy["form-action"] == "'self'"
        and headers["x-content-type-options"] == "nosniff"
        and headers["x-frame-options"] == "DENY"
        and headers["cross-origin-opener-policy"] == "same-origin"
        and headers["referrer-policy"] == "same-origin"
        and headers["cache-control"] == "no-store"
        and {"cookie", "accept-language"} <= {each.strip().lower() for each in headers["vary"].split(",")}
        and not [name for name in headers if name.startswith("access-control-")]
    )


def _script_of(reply: httpx2.Response) -> str | None:
    """No script at all, or the one that asks for a passkey, where there is such a form: by a nonce of its own."""
    page = read(reply.content)
    if not [form for form in page.all("form") if form.get("data-passkey")]:
        return None
    (script,) = page.all("script")
    assert script["src"].startswith("/static/passkey.js") and len(script["nonce"]) >= 22
    return f"'nonce-{script['nonce']}'"


async def test_w1_every_page_is_guarded(site: Site, visit: Visit) -> None:
    """§12 no. 33."""
    app, browser, seen = App(site), visit(site), set[str]()

    async def look(path: str, status: int = 200) -> None:
        await browser.get(path)
        assert browser.reply.status_code == status and is_guarded(browser.reply), path
        seen.add(browser.page.one("h1").text)

    for path in ("/login", "/reset", "/logout"):
        await look(path)
    await look("/nothing", 404)
    await look("/login?a=1&a=2", 400)
    await look("/consent", 400)
    await look("/reset/t/x", 410)
    await look("/oauth/authorize", 400)
    for button, fields in (("login-submit", {"email": ADA, "password": "x"}), ("reset-submit", {"email": ADA})):
        await browser.open("/reset" if button == "reset-submit" else "/login")
        reply = await browser.press_only(button, **fields)
        assert is_guarded(reply)
        seen.add(browser.page.one("h1").text)
    await browser.sign_in(TOM)
    assert is_guarded(browser.reply)
    seen.add(browser.page.one("h1").text)
    await browser.open(app.request())
    reply = await browser.press_only("login-submit", email=ADA, password=PASSWORD)
    assert is_guarded(reply), "the page that moves on"
    await browser.follow()
    assert is_guarded(browser.reply)
    seen.add(browser.page.one("h1").text)
    await look("/account")
    await look("/logout")
    assert (await browser.request("PUT", "/account")).status_code == 405 and is_guarded(browser.reply)
    assert len(seen) >= 12, seen


async def test_a_form_post_answer_runs_its_one_script_and_no_other(site: Site, visit: Visit) -> None:
    app, browser = App(site), visit(site)
    await browser.sign_in(ADA)
    await browser.open(app.request(response_mode="form_post"))
    await browser.press("consent-allow")
    policy = browser.reply.headers["content-security-policy"]
    (script,) = browser.page.all("script")
    assert f"script-src 'nonce-{script['nonce']}'" in policy and "unsafe" not in policy
    await browser.open(app.request(response_mode="form_post"))
    assert script["nonce"] not in browser.reply.text, "new with every answer"


async def test_the_style_sheet_is_kept_until_it_changes(site: Site, visit: Visit) -> None:
    browser = visit(site)
    await browser.get("/login")
    sheet = next(each["href"] for each in browser.page.all("link") if each["rel"] == "stylesheet")
    reply = await browser.get(sheet)
    assert reply.headers["content-type"] == "text/css; charset=utf-8" and "immutable" in reply.headers["cache-control"]
    assert "set-cookie" not in reply.headers and "v=" in sheet
