"""The pages' paths and what stands behind each — DESIGN §7."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from bridge.accounts.send import PATH as INVITE
from bridge.asgi import ASGIApp, Endpoints, Receive, Reply, Scope, Send
from bridge.pages.accounting import Accounting
from bridge.pages.addressing import Addressing
from bridge.pages.arriving import Arriving
from bridge.pages.consenting import Consenting
from bridge.pages.inviting import Inviting
from bridge.pages.leaving import Leaving
from bridge.pages.paths import PLACES
from bridge.pages.readdressing import Readdressing
from bridge.pages.resetting import Resetting
from bridge.pages.securing import Securing
from bridge.pages.signin import SignIn
from bridge.pages.signing_up import SignUpPages
from bridge.pages.stylesheet import Script, Stylesheet
from bridge.pages.ticketing import Ticketing
from bridge.pages.trouble import Troubles
from bridge.resets.send import PATH as RESET
from bridge.users.send import PATH as EMAIL
from bridge.users.send import SIGN_UP_PATH

_READ: Final = ("GET", "HEAD")
_ALL: Final = (*_READ, "POST")
_KEPT: Final = (  # each version has an address of its own
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesDoor:
    """All pages of one bridge."""

    sign_in: SignIn
    consenting: Consenting
    ticketing: Ticketing
    leaving: Leaving
    resetting: Resetting
    inviting: Inviting
    readdressing: Readdressing
    accounting: Accounting
    securing: Securing
    addressing: Addressing
    stylesheet: Stylesheet
    script: Script
    troubles: Troubles
    arriving: Arriving | None = None
    """Only where there is a legacy API."""
    signing_up: SignUpPages | None = None
    """Only where anybody may make an account."""

    def endpoints(self) -> Endpoints:
        """Exact paths below the mount point."""
        by_link = {PLACES["single_sign_on"]: self._only(_ALL, self.arriving.arrive)} if self.arriving else {}
        signing_up = self.signing_up
        by_himself = (
            {
                PLACES["signup"]: self._only(_ALL, signing_up.begin),
                PLACES["signup_finish"]: self._only(_ALL, signing_up.finish),
            }
            if signing_up
            else {}
        )
        return {
            **by_link,
            **by_himself,
            PLACES["login"]: self._only(_ALL, self.sign_in.password),
            PLACES["second_factor"]: self._only(_ALL, self.sign_in.code),
            PLACES["continue_as"]: self._only(_ALL, self.consenting.continue_as),
            PLACES["ticket"]: self._only(("GET",), self.ticketing.ticket),
            PLACES["consent"]: self._only(_ALL, self.consenting.consent),
            PLACES["logout"]: self._only(_ALL, self.leaving.logout),
            PLACES["reset"]: self._only(_ALL, self.resetting.forgot),
            PLACES["new_password"]: self._only(_ALL, self.resetting.choose),
            PLACES["invite"]: self._only(_ALL, self.inviting.invite),
            PLACES["email"]: self._only(_ALL, self.readdressing.email),
            PLACES["account"]: self._only(_READ, self.accounting.account),
            PLACES["change_password"]: self._only(_ALL, self.accounting.password),
            PLACES["change_email"]: self._only(_ALL, self.addressing.address),
            PLACES["end_sessions"]: self._only(_ALL, self.accounting.sessions),
            PLACES["withdraw"]: self._only(_ALL, self.accounting.apps),
            PLACES["forget"]: self._only(_ALL, self.accounting.devices),
            PLACES["totp"]: self._only(_ALL, self.securing.totp),
            PLACES["remove_factor"]: self._only(_ALL, self.securing.remove),
            PLACES["recovery_codes"]: self._only(_ALL, self.securing.recovery_codes),
            PLACES["passkey"]: self._only(_ALL, self.sign_in.passkey),
            PLACES["passkeys"]: self._only(_ALL, self.securing.passkeys),
            PLACES["script"]: self._only(_READ, self._script),
            PLACES["stylesheet"]: self._only(_READ, self._style),
        }

    def prefixes(self) -> Mapping[str, ASGIApp]:
        """Paths that carry something after them."""
        return {
            RESET: self._only(_READ, self.resetting.follow),
            INVITE: self._only(_READ, self.inviting.follow),
            EMAIL: self._only(_READ, self.readdressing.follow),
            **({SIGN_UP_PATH: self._only(_READ, self.signing_up.follow)} if self.signing_up else {}),
        }

    async def _style(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(200, self.stylesheet.body, b"text/css; charset=utf-8", _KEPT)
        await reply(scope, receive, send)

    async def _script(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(200, self.script.body, b"text/javascript; charset=utf-8", _KEPT)
        await reply(scope, receive, send)

    def _only(self, methods: tuple[str, ...], endpoint: ASGIApp) -> ASGIApp:
        """The endpoint for these methods; 405 for any other."""
        allow = (b"allow", ", ".join(methods).encode())

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] in methods:
                await endpoint(scope, receive, send)
                return
            shown = self.troubles.show(scope, status=405, why="", reference=None, retry_after=None)
            await replace(shown, headers=(*shown.headers, allow))(scope, receive, send)

        return guarded
