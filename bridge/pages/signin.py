"""Signing in: address and password, then a code where one is owed — DESIGN §7, security §26.

Which steps a visit still needs is not decided here: each ends with the browser back at the dispatcher.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from bridge.asgi import Receive, Reply, Scope, Send, see_other
from bridge.errors import Unavailable
from bridge.interactions.record import Display
from bridge.login.attempt import Login
from bridge.login.device import Devices
from bridge.login.outcome import (
    LoggedIn,
    Outcome,
    Refused,
    SecondFactorElsewhere,
    SecondFactorNeeded,
    TooMany,
    Unreachable,
)
from bridge.pages.app import App
from bridge.pages.browser import Asked, Desk, local_path
from bridge.pages.models import CodeProblem, Elsewhere, LoginProblem, Why
from bridge.pages.models import Error as ErrorPage
from bridge.pages.models import Login as LoginPage
from bridge.pages.models import SecondFactor as SecondFactorPage
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.cookie import Header, Purpose
from bridge.sessions.judge import Dead
from bridge.tokens import LoginToken
from bridge.users.backend import UserBackend
from bridge.users.user import User

_QUIET: Final = ("unknown", "wrong-place", "rotated")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """`/login`, and `/login/code` for the second step."""

    desk: Desk
    login: Login
    users: UserBackend
    devices: Devices
    pending_seconds: int
    """How long a right password waits for its code."""
    home: str = "account"

    async def password(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET shows the form; POST takes it."""
        asked = await self.desk.read(scope, receive)
        reply = await (self._take_password(asked) if asked.posted else self._show_password(asked))
        await reply(scope, receive, send)

    async def code(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The second step: good only for the browser that holds the pending sign-in."""
        asked = await self.desk.read(scope, receive)
        reply = await self._take_code(asked) if asked.posted else self._show_code(asked)
        await reply(scope, receive, send)

    async def _show_password(self, asked: Asked) -> Reply:
        if asked.lost_interaction:
            return _stale(self.desk, asked)
        if asked.interaction is None and asked.alive is not None:
            return self._onward(asked)
        ended = asked.session.reason if isinstance(asked.session, Dead) else None
        cookies = self._cleared() if ended else ()
        return await self._form(asked, ended=ended if ended not in _QUIET else None, cookies=cookies)

    async def _take_password(self, asked: Asked) -> Reply:
        if asked.lost_interaction:
            return _stale(self.desk, asked)
        if not self.desk.proven(asked, "login", _session_of(asked)):
            return await self._form(asked, problem="stale", status=403)
        if asked.interaction is not None and asked.form.get("cancel"):
            return await _deny(self.desk, asked)
        email, password = asked.form.get("email", ""), Secret(asked.form.get("password", ""))
        if not email.strip():
            return await self._form(asked, problem="no-email", status=422)
        if not password:
            return await self._form(asked, problem="no-password", status=422)
        wish = Birth.browser(self.desk.sessions.options, ip=asked.visit.ip)
        outcome = await self.login.attempt(
            email, password, wish=wish, visit=asked.visit, over=asked.alive, child=self._child_of(asked)
        )
        return await self._answer_password(asked, outcome)

    async def _answer_password(self, asked: Asked, outcome: Outcome) -> Reply:
        match outcome:
            case LoggedIn(user, born):
                return await self._welcome(asked, user, born)
            case SecondFactorNeeded(_, LoginToken() as pending):
                return self.desk.go(
                    asked,
                    "second_factor",
                    interaction=asked.interaction_id,
                    next=local_path(asked.form.get("next")),
                    cookies=(self.desk.cookies.set("pending", pending.text.reveal(), max_age=self.pending_seconds),),
                )
            case SecondFactorNeeded():
                page = ErrorPage(kind="forbidden", detail="second factor must be set up again", reference=None)
                return self.desk.page(asked, page, status=page.status)
            case SecondFactorElsewhere(url):
                return self.desk.page(asked, Elsewhere(interaction=asked.interaction_id, url=url))
            case Refused():
                return await self._form(asked, problem="wrong", status=422)
            case TooMany(retry_after):
                return await self._form(asked, problem="too-many", wait=int(retry_after), status=429)
            case Unreachable():
                return await self._form(asked, problem="unreachable", status=503)
            case _:
                assert_never(outcome)

    def _show_code(
        self, asked: Asked, *, problem: CodeProblem | None = None, wait: int | None = None, status: int = 200
    ) -> Reply:
        pending = self._pending_of(asked)
        if asked.lost_interaction:
            return _stale(self.desk, asked)
        if pending is None:
            return self.desk.go(asked, "login", interaction=asked.interaction_id)
        page = SecondFactorPage(
            csrf=self.desk.proof(asked, "code", pending.sid),
            interaction=asked.interaction_id,
            app=app_of(asked),
            next=local_path(_given(asked, "next")),
            problem=problem,
            wait=wait,
        )
        return self.desk.page(asked, page, status=status)

    async def _take_code(self, asked: Asked) -> Reply:
        pending = self._pending_of(asked)
        if pending is None or asked.lost_interaction:
            return self._show_code(asked)
        if not self.desk.proven(asked, "code", pending.sid):
            return self._show_code(asked, problem="stale", status=403)
        if asked.form.get("cancel"):
            return await self._give_up(asked)
        code = "".join(asked.form.get("code", "").split())
        if not code:
            return self._show_code(asked, problem="no-code", status=422)
        wish = Birth.browser(self.desk.sessions.options, ip=asked.visit.ip)
        outcome = await self.login.finish(
            pending, code, wish=wish, visit=asked.visit, over=asked.alive, child=self._child_of(asked)
        )
        match outcome:
            case LoggedIn(user, born):
                return await self._welcome(asked, user, born)
            case TooMany(retry_after):
                return self._show_code(asked, problem="too-many", wait=int(retry_after), status=429)
            case Refused("stale"):
                return await self._form(asked, problem="stale", status=422, cookies=(self._no_pending(),))
            case Refused(why):
                return self._show_code(asked, problem=why, status=422)
            case _:
                return await self._form(asked, problem="unreachable", status=503)

    async def _welcome(self, asked: Asked, user: User, born: Born | None) -> Reply:
        """He is who he says: new cookies for everything, and on to where he was going."""
        if born is None:
            raise Unavailable("a sign-in without a session")
        binding = self.desk.interactions.new_binding()
        cookies = [*self._cookies_of(born), self.desk.cookies.set("pre", binding), self._no_pending()]
        cookies.append(self.desk.cookies.set("dev", self.devices.mark(user.email), max_age=self.devices.seconds))
        if asked.interaction is None:
            return self._onward(asked, cookies=tuple(cookies))
        moved = await self.desk.interactions.answer(
            asked.interaction.id, asked.binding, "login", session=born.record.id, rebind=binding
        )
        if moved is None:
            return _stale(self.desk, asked, cookies=tuple(cookies))
        return self.desk.back(asked, asked.interaction.id, cookies=tuple(cookies))

    async def _give_up(self, asked: Asked) -> Reply:
        if asked.interaction is not None:
            return await _deny(self.desk, asked, cookies=(self._no_pending(),))
        return self.desk.go(asked, "login", cookies=(self._no_pending(),))

    async def _form(
        self,
        asked: Asked,
        *,
        problem: LoginProblem | None = None,
        wait: int | None = None,
        ended: Why | None = None,
        status: int = 200,
        cookies: tuple[Header, ...] = (),
    ) -> Reply:
        page = LoginPage(
            csrf=self.desk.proof(asked, "login", _session_of(asked)),
            interaction=asked.interaction_id,
            app=app_of(asked),
            next=local_path(_given(asked, "next")),
            email=asked.form.get("email") or await self._known_email(asked),
            problem=problem,
            wait=wait,
            notice="confirm" if asked.alive is not None else "password-reset" if "reset" in asked.query else None,
            ended=ended,
        )
        return self.desk.page(asked, page, status=status, cookies=cookies)

    async def _known_email(self, asked: Asked) -> str:
        if asked.alive is not None:
            user = await self.users.by_id(asked.alive.record.uid)
            return user.email if user else ""
        return asked.interaction.record.login_hint[:320] if asked.interaction else ""

    def _onward(self, asked: Asked, *, cookies: tuple[Header, ...] = ()) -> Reply:
        target = local_path(_given(asked, "next"))
        if target is None:
            return self.desk.go(asked, self.home, cookies=cookies)
        return see_other(target, cookies)

    def _cookies_of(self, born: Born) -> list[Header]:
        made = [self.desk.cookies.set("op", born.token.text.reveal())]
        if born.child is not None:
            made.append(self.desk.cookies.set("app", born.child.text.reveal()))
        return made

    def _cleared(self) -> tuple[Header, ...]:
        return (self.desk.cookies.clear("op"), self.desk.cookies.clear("app"))

    def _no_pending(self) -> Header:
        return self.desk.cookies.clear("pending")

    def _pending_of(self, asked: Asked) -> LoginToken | None:
        return self._token_in(asked, "pending")

    def _child_of(self, asked: Asked) -> LoginToken | None:
        return self._token_in(asked, "app")

    def _token_in(self, asked: Asked, purpose: Purpose) -> LoginToken | None:
        value = self.desk.cookies.read(asked.scope, purpose)
        return LoginToken.parse(value) if isinstance(value, str) else None


def app_of(asked: Asked) -> App | None:
    """The application at whose request the visit takes place, as the pages show it."""
    display = asked.interaction.record.app if asked.interaction else None
    return app_from(display) if display else None


def app_from(display: Display) -> App:
    """What the visit remembers of an application, cleaned."""
    return App(
        name=display.name,
        redirect_uri=display.redirect_uri,
        verified=display.verified,
        logo_uri=display.logo_uri,
        policy_uri=display.policy_uri,
        tos_uri=display.tos_uri,
    )


async def _deny(desk: Desk, asked: Asked, *, cookies: tuple[Header, ...] = ()) -> Reply:
    """Turned back: the dispatcher tells the application."""
    if asked.interaction is None:
        return _stale(desk, asked, cookies=cookies)
    session = asked.alive.record.id if asked.alive else None
    await desk.interactions.answer(asked.interaction.id, asked.binding, "deny", session=session)
    return desk.back(asked, asked.interaction.id, cookies=cookies)


def _stale(desk: Desk, asked: Asked, *, cookies: tuple[Header, ...] = ()) -> Reply:
    """The visit is over, finished, or another browser's: nothing can be answered any more."""
    page = ErrorPage(kind="stale", detail="interaction", reference=None)
    return desk.page(asked, page, status=page.status, cookies=cookies)


def _session_of(asked: Asked) -> str:
    return asked.alive.record.id if asked.alive else ""


def _given(asked: Asked, name: str) -> str | None:
    return asked.form.get(name) or asked.query.get(name)
