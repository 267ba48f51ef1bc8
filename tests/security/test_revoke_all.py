"""Everything that can become a session carries the stamp: end all, and nothing of it is taken any more — §14."""

import pytest

from bridge.types import StampReason
from tests.flows.mailbox import Mailbox
from tests.running import ADA, TOM, Site
from tests.security.holdings import Visiting, gather
from tests.security.test_matrix import Counter

DIES = {
    "op": "issuer-cookie",
    "app": "app-cookie",
    "legacy": "host-session",
    "sso": "bearer",
    "access": "userinfo",
    "refresh": "as-refresh",
    "code": "as-code",
    "pending": "pending-cookie",
    "ticket": "ticket-at-the-shop",
    "totp-offer": "totp-setup",
    "link": "singlesignon",
    "dev": "device-resume",
}
LIVES = {"own": "robots-revocation", "reset": "reset-link", "id_token": "id_token_hint", "password": "password"}
"""Nobody's session: a client's own token, a link that is tied to the password, a hint, and the password itself."""


@pytest.mark.parametrize("reason", ["user", "admin"])
async def test_after_the_end_of_all_nothing_becomes_a_session(
    site: Site, visit: Visiting, mailbox: Mailbox, reason: StampReason
) -> None:
    held = await gather(site, visit, mailbox)
    counter = Counter(held, visit)
    for email in (ADA, TOM):
        user = await site.user(email)
        await site.bridge.rooms.sessions.end_all(user.id, user.tag, reason)
    assert [kind for kind, consumer in DIES.items() if await counter.takes(consumer, kind)] == []
    assert [kind for kind, consumer in LIVES.items() if not await counter.takes(consumer, kind)] == []
    assert [kind for kind in ("app", "legacy", "sso") if await counter.takes("touch", kind)] == []


async def test_the_visit_of_a_session_that_ended_leads_nowhere(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """The steps that were answered under it are asked again."""
    held = await gather(site, visit, mailbox)
    await held.browser.open(held.app.request("openid profile", prompt="consent"))
    assert held.browser.at.startswith("/consent")
    ada = await site.user(ADA)
    await site.bridge.rooms.sessions.end_all(ada.id, ada.tag, "user")
    await held.browser.press("consent-allow")
    assert held.browser.at.startswith("/login") or held.browser.reply.status_code >= 400, held.browser.at
