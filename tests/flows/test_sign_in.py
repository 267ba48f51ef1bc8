"""Signing in by the pages, on each kind of store — DESIGN §7."""

from collections.abc import Callable

from tests.flows.visitor import Visitor
from tests.running import ADA, Site

Visit = Callable[[Site], Visitor]


async def test_on_each_store_somebody_comes_in_by_the_page(any_site: Site, visit: Visit) -> None:
    ada = visit(any_site)
    await ada.open("/account")
    assert ada.at == "/login?next=%2Faccount"
    await ada.press("login-submit", email=ADA, password="wrong")
    assert ada.reply.status_code == 422 and "do not match" in ada.text
    await ada.sign_in(ADA, path="/account")
    assert ada.at == "/account" and "Ada Lovelace" in ada.text
    assert set(ada.jar) == {"__Host-lb_pre", "__Host-lb_op", "__Host-login_auth_tk", "__Host-lb_dev"}
