"""Signing in: address and password, then a code where one is owed — DESIGN §7, security §26.

Which steps a visit still needs is not decided here: each ends with the browser back at the dispatcher.
"""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, assert_never

from bridge.asgi import Receive, Reply, Scope, Send, local_path
from bridge.clients.words import words
from bridge.errors import Unavailable
from bridge.interactions.record import Display, Step
from bridge.login.attempt import Login
from bridge.login.device import Devices
from bridge.login.entry import Arrival
from bridge.login.outcome import (
    LoggedIn,
    Outcome,
    Refused,
    SecondFactorElsewhere,
    SecondFactorNeeded,
    TooMany,
    Unreachable,
)
from bridge.login.outcome import Why as RefusedWhy
from bridge.login.proof import Way
from bridge.login.remembering import Known, Over
from bridge.login.series import DeviceSecret
from bridge.login.shown import Assertion, Code, RecoveryCode, Shown
from bridge.login.sso import SingleSignOn
from bridge.pages.app import App
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.models import CodeProblem, Elsewhere, LoginProblem, Remembered, Why
from bridge.pages.models import Error as ErrorPage
from bridge.pages.models import Login as LoginPage
from bridge.pages.models import SecondFactor as SecondFactorPage
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.sessions.cookie import Header
from bridge.sessions.judge import Dead
from bridge.tokens import LoginToken
from bridge.users.email import email_key
from bridge.users.user import User

_USUAL: Final[tuple[Way, ...]] = ("totp",)
_BY_LINK: Final = "link:"
_QUIET: Final = ("unknown", "wrong-place", "rotated")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """`/login`, `/login/passkey` for who has one, and `/login/code` for the second step."""

    desk: Desk
    login: Login
    devices: Devices
    pending_seconds: int
    """How long a right password waits for its code."""
    links: SingleSignOn | None = None
    """None: nobody comes by a link."""
    home: str = "account"
    sign_up: bool = False
    """Whoever has no account may make one."""

    async def password(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET shows the form; POST takes it, or "it is still me" of a browser that stays signed in."""
        asked = await self.desk.read(scope, receive)
        reply = await (self._take_password(asked) if asked.posted else self._show_password(asked))
        await reply(scope, receive, send)

    async def passkey(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST takes what a browser sends in place of a password; GET is the form."""
        asked = await self.desk.read(scope, receive)
        await (await self._take_passkey(asked))(scope, receive, send)

    async def code(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The second step: good only for the browser that holds the pending sign-in."""
        asked = await self.desk.read(scope, receive)
        reply = await (self._take_code(asked) if asked.posted else self._show_code(asked))
        await reply(scope, receive, send)

    async def _show_password(self, asked: Asked) -> Reply:
        if asked.lost_interaction:
            return await self.desk.lost(asked)
        if asked.interaction is None and asked.alive is not None and "confirm" not in asked.heard.query:
            return self._onward(asked)
        ended = asked.session.reason if isinstance(asked.session, Dead) else None
        known = await self._known(asked)
        if known == Over("copied"):
            ended = "device-copied"
        cookies = (*self._forgotten(asked), *self._held_from_now_on(known))
        there = self._there_by_device(known) if isinstance(known, Known) else await self._there_by_link(asked)
        return self._form(asked, ended=ended if ended not in _QUIET else None, there=there, cookies=cookies)

    @staticmethod
    def _there_by_device(known: Known) -> Remembered:
        return Remembered(known.user.name, known.user.email, "resume")

    async def _there_by_link(self, asked: Asked) -> Remembered | None:
        """Who came by a link, where an app asks for him; nobody else may go on as he, and only by a click (security
        §8)."""
        if self.links is None or asked.interaction is None or asked.alive is not None or _demanded(asked):
            return None
        with suppress(Unavailable):
            came = await self.desk.by_link(asked)
            user = await self.desk.users.by_id(came.record.uid) if came is not None else None
            if came is not None and user is not None:
                return Remembered(user.name, user.email, f"{_BY_LINK}{came.record.id}")
        return None

    async def _known(self, asked: Asked) -> Known | Over | None:
        """Whose device this is, where that is enough; None: nobody's, or nobody can say now."""
        remembering, held = self.login.remembering, self.desk.cookie(asked.heard.scope, "dev")
        if remembering is None or held is None or asked.alive is not None or _demanded(asked):
            return None
        with suppress(Unavailable):
            return await remembering.look(held, asked.visit)
        return None

    def _held_from_now_on(self, known: Known | Over | None) -> tuple[Header, ...]:
        match known:
            case Known(secret=DeviceSecret() as secret, until=until):  # the reply that brought it was lost
                return (self.desk.staying(secret.text, until),)
            case Over():
                return (self.desk.cookies.clear("dev"),)
            case _:
                return ()

    async def _take_password(self, asked: Asked) -> Reply:
        if asked.lost_interaction:
            return await self.desk.lost(asked)
        if not self.desk.proven(asked, "login", asked.session_id):
            return self._form(asked, problem="stale", status=403)
        if asked.interaction is not None and asked.form.get("cancel"):
            return await _deny(self.desk, asked)
        if (answer := asked.form.get("answer", "")) == "resume":
            return await self._resume(asked)
        if answer.startswith(_BY_LINK):
            return await self._go_on(asked, answer.removeprefix(_BY_LINK))
        email, password = asked.form.get("email", ""), Secret(asked.form.get("password", ""))
        if not email.strip():
            return self._form(asked, problem="no-email", status=422)
        if not password:
            return self._form(asked, problem="no-password", status=422)
        return await self.enter(asked, email, password)

    async def enter(self, asked: Asked, email: str, password: Secret) -> Reply:
        """In by this password, and on to where he was going."""
        outcome = await self.login.attempt(
            email,
            password,
            wish=self._wish(asked),
            visit=asked.visit,
            over=asked.alive,
            child=self.desk.token(asked, "app"),
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
                return self._form(asked, problem="wrong", status=422)
            case TooMany(retry_after):
                return self._form(asked, problem="too-many", wait=int(retry_after), status=429)
            case Unreachable():
                return self._form(asked, problem="unreachable", status=503)
            case _:
                assert_never(outcome)

    async def _resume(self, asked: Asked) -> Reply:
        """It is still he: the next secret, and a session that shows that nobody was asked for a password."""
        remembering, held = self.login.remembering, self.desk.cookie(asked.heard.scope, "dev")
        if asked.alive is not None:  # in another tab, just now
            return self.desk.back(asked, asked.interaction) if asked.interaction else self._onward(asked)
        resumed = (
            await remembering.resume(held, asked.visit) if remembering is not None and held is not None else Over()
        )
        if isinstance(resumed, Over):
            ended: Why = "device-copied" if resumed.why == "copied" else "unknown"
            return self._form(asked, ended=ended, status=422, cookies=self._held_from_now_on(resumed))
        binding, cookies = self.desk.interactions.new_binding(asked.binding), self.desk.cookies
        given = (
            *self.desk.holding(resumed.token, resumed.child),
            self.desk.staying(resumed.secret.text, resumed.until),
            cookies.set("pre", binding),
        )
        # He said that it is he, which is not a sign-in: where one is demanded he is asked for it yet.
        return await self._moved_on(asked, "account", resumed.session, binding, given)

    async def _go_on(self, asked: Asked, session: str) -> Reply:
        """It is he who came by that link, and no other that came since."""
        if asked.alive is not None and asked.interaction is not None:  # in another tab, just now
            return self.desk.back(asked, asked.interaction)
        came = await self.desk.by_link(asked)
        same = came is not None and came.record.id == session and not _demanded(asked)
        gone_on = await self.links.go_on(came, asked.visit) if self.links is not None and came and same else None
        if gone_on is None:
            return self._form(asked, problem="stale", status=403)
        _, born = gone_on
        binding = self.desk.interactions.new_binding(asked.binding)
        cookies = (*self.desk.signed_in(born), self.desk.cookies.set("pre", binding))
        # As with a device: that is no sign-in, and where one is demanded he is asked for it yet.
        return await self._moved_on(asked, "account", born.record.id, binding, cookies)

    async def _take_passkey(self, asked: Asked) -> Reply:
        passwordless = self.login.passwordless
        if asked.lost_interaction:
            return await self.desk.lost(asked)
        if passwordless is None or not asked.posted:
            onward = local_path(asked.heard.given("next"))
            return self.desk.go(asked, "login", interaction=asked.interaction_id, next=onward)
        if not self.desk.proven(asked, "login", asked.session_id):
            return self._form(asked, problem="stale", status=403)
        arrival = Arrival(
            wish=self._wish(asked),
            visit=asked.visit,
            over=asked.alive,
            child=self.desk.token(asked, "app"),
        )
        match await passwordless.attempt(Assertion(asked.form.get("passkey", ""), asked.binding), arrival):
            case LoggedIn(user, born):
                return await self._welcome(asked, user, born)
            case TooMany(retry_after):
                return self._form(asked, problem="too-many", wait=int(retry_after), status=429)
            case Refused("stale"):
                return self._form(asked, problem="stale", status=422)
            case Refused(why):
                return self._form(asked, problem=_of_passkey(why), status=422)
            case _:
                return self._form(asked, problem="unreachable", status=503)

    async def _show_code(
        self, asked: Asked, *, problem: CodeProblem | None = None, wait: int | None = None, status: int = 200
    ) -> Reply:
        pending = self.desk.token(asked, "pending")
        if asked.lost_interaction:
            return await self.desk.lost(asked)
        if pending is None:
            return self.desk.go(asked, "login", interaction=asked.interaction_id)
        ways = await self.login.ways(pending) or _USUAL
        by_name: dict[str, Way] = {each: each for each in ways}
        way = by_name.get(asked.heard.given("way") or "", ways[0])
        with_passkey = "passkey" in ways and way != "recovery-code"
        page = SecondFactorPage(
            csrf=self.desk.proof(asked, "code", pending.sid),
            interaction=asked.interaction_id,
            app=app_of(asked),
            way=way,
            others=tuple(each for each in ways if each != way and not (each == "passkey" and "totp" in ways)),
            passkey=await self.login.passkey_request(pending, asked.binding) if with_passkey else None,
            next=local_path(asked.heard.given("next")),
            problem=problem,
            wait=wait,
        )
        return self.desk.page(asked, page, status=status)

    async def _take_code(self, asked: Asked) -> Reply:
        pending = self.desk.token(asked, "pending")
        if pending is None or asked.lost_interaction:
            return await self._show_code(asked)
        if not self.desk.proven(asked, "code", pending.sid):
            return await self._show_code(asked, problem="stale", status=403)
        if asked.form.get("cancel"):
            return await self._give_up(asked)
        shown = _shown_by(asked)
        if shown is None:
            return await self._show_code(asked, problem="no-code", status=422)
        wish = Birth.browser(self.desk.sessions.options, ip=asked.visit.ip)
        outcome = await self.login.finish(
            pending, shown, wish=wish, visit=asked.visit, over=asked.alive, child=self.desk.token(asked, "app")
        )
        match outcome:
            case LoggedIn(user, born):
                return await self._welcome(asked, user, born)
            case TooMany(retry_after):
                return await self._show_code(asked, problem="too-many", wait=int(retry_after), status=429)
            case Refused("stale"):
                return self._form(asked, problem="stale", status=422, cookies=(self._no_pending(),))
            case Refused(why) if isinstance(shown, Assertion):
                return await self._show_code(asked, problem=_of_passkey(why), status=422)
            case Refused("used"):
                return await self._show_code(asked, problem="used", status=422)
            case Refused():
                return await self._show_code(asked, problem="wrong", status=422)
            case _:
                return self._form(asked, problem="unreachable", status=503)

    async def _welcome(self, asked: Asked, user: User, born: Born | None) -> Reply:
        """He is who he says: new cookies for everything, and on to where he was going."""
        if born is None:
            raise Unavailable("a sign-in without a session")
        binding = self.desk.interactions.new_binding(asked.binding)
        cookies = [*self.desk.signed_in(born), self.desk.cookies.set("pre", binding), self._no_pending()]
        if born.record.kind != "sso":  # nobody gave a password here
            mark = self.devices.mark(user.email, asked.visit.device)
            cookies.append(self.desk.cookies.set("known", mark, max_age=self.devices.seconds))
            cookies += await self._stays(asked, born)
        return await self._moved_on(asked, "login", born.record.id, binding, tuple(cookies))

    async def _stays(self, asked: Asked, born: Born) -> tuple[Header, ...]:
        """What keeps this browser signed in from now on.  What did so until now is forgotten, here and in the store,
        unless it belongs to the very session that goes on."""
        remembering, held = self.login.remembering, self.desk.cookie(asked.heard.scope, "dev")
        if remembering is None:
            return ()
        goes_on = asked.alive is not None and asked.alive.record.id == born.record.id
        if held is not None and not goes_on:
            with suppress(Unavailable):  # the browser forgets it with this answer in any case
                await remembering.forget(held, asked.visit, reason="replaced")
        if born.device is not None:
            until = self.desk.clock.now() + remembering.series.seconds
            return (self.desk.staying(born.device, until),)
        return (self.desk.cookies.clear("dev"),) if held is not None and not goes_on else ()

    async def _moved_on(
        self, asked: Asked, step: Step, session: str, binding: str, cookies: tuple[Header, ...]
    ) -> Reply:
        """One step further on the visit, in a browser that is bound anew; without a visit, to where he was going."""
        if asked.interaction is None:
            return self._onward(asked, cookies=cookies)
        moved = await self.desk.interactions.answer(
            asked.interaction.id, asked.binding, step, session=session, rebind=binding
        )
        if moved is None:
            return self.desk.stale(asked, cookies=cookies)
        return self.desk.back(asked, moved, cookies=cookies)

    def _wish(self, asked: Asked) -> Birth:
        """A browser's session.  Who only confirms that it is he keeps his device as it is."""
        keep = bool(asked.form.get("keep")) and not _again(asked)
        return Birth.browser(self.desk.sessions.options, ip=asked.visit.ip, keep=keep)

    async def _give_up(self, asked: Asked) -> Reply:
        if asked.interaction is not None:
            return await _deny(self.desk, asked, cookies=(self._no_pending(),))
        return self.desk.go(asked, "login", cookies=(self._no_pending(),))

    def _form(
        self,
        asked: Asked,
        *,
        problem: LoginProblem | None = None,
        wait: int | None = None,
        ended: Why | None = None,
        there: Remembered | None = None,
        status: int = 200,
        cookies: tuple[Header, ...] = (),
    ) -> Reply:
        offers = self.login.remembering is not None and not _again(asked)
        page = LoginPage(
            csrf=self.desk.proof(asked, "login", asked.session_id),
            interaction=asked.interaction_id,
            app=app_of(asked),
            next=local_path(asked.heard.given("next")),
            email=asked.form.get("email") or self._known_email(asked),
            problem=problem,
            wait=wait,
            notice="confirm" if _again(asked) else "password-reset" if "reset" in asked.heard.query else None,
            ended=ended,
            remembered=there,
            keep=bool(asked.form.get("keep")) if offers else None,
            passkey=self.login.passwordless.request(asked.binding) if self.login.passwordless else None,
            sign_up=self.sign_up,
        )
        return self.desk.page(asked, page, status=status, cookies=cookies)

    def _known_email(self, asked: Asked) -> str:
        if asked.user is not None:
            return asked.user.email if _again(asked) else ""
        return asked.interaction.record.login_hint[:320] if asked.interaction else ""

    def _onward(self, asked: Asked, *, cookies: tuple[Header, ...] = ()) -> Reply:
        target = local_path(asked.heard.given("next"))
        if target is None:
            return self.desk.go(asked, self.home, cookies=cookies)
        return self.desk.onward(asked, target, cookies=cookies)

    def _forgotten(self, asked: Asked) -> tuple[Header, ...]:
        """What is over need not be sent again.  An app's session may be busy while the issuer's idles away."""
        if not isinstance(asked.session, Dead):
            return ()
        return (self.desk.cookies.clear("op"),) if asked.session.reason == "idle" else self.desk.signed_out()

    def _no_pending(self) -> Header:
        return self.desk.cookies.clear("pending")


def app_of(asked: Asked) -> App | None:
    """The application at whose request the visit takes place, as the pages show it."""
    display = asked.interaction.record.app if asked.interaction else None
    return app_from(display) if display else None


@lru_cache(maxsize=1_024)  # many people are on the way to few
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
        return desk.stale(asked, cookies=cookies)
    session = asked.session_id or None
    await desk.interactions.answer(asked.interaction.id, asked.binding, "deny", session=session)
    return desk.back(asked, asked.interaction, cookies=cookies)


def _again(asked: Asked) -> bool:
    """Somebody is signed in and is to show that it is him; not so who says, or types, that he is somebody else."""
    if asked.user is None or "other" in asked.heard.query:
        return False
    typed = asked.form.get("email")
    return not typed or email_key(typed) == asked.user.email_key


def _demanded(asked: Asked) -> bool:
    """The application demands that he shows who he is, or he asked to sign in as somebody else."""
    parameters = asked.interaction.record.parameters if asked.interaction else {}
    return "max_age" in parameters or "login" in words(parameters.get("prompt")) or "other" in asked.heard.query


def _shown_by(asked: Asked) -> Shown | None:
    """What he shows, of the way that he has chosen; None: nothing."""
    if response := asked.form.get("passkey"):
        return Assertion(response, asked.binding)
    if asked.form.get("way") == "recovery-code":
        written = asked.form.get("recovery_code", "").strip()
        return RecoveryCode(Secret(written)) if written else None
    code = "".join(asked.form.get("code", "").split())
    return Code(code) if code else None


def _of_passkey(why: RefusedWhy) -> Literal["passkey-wrong", "passkey-copied"]:
    return "passkey-copied" if why == "copied" else "passkey-wrong"
