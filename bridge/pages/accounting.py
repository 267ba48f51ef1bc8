"""The person's own page: where he is signed in, and his password — S9, S10, A3."""

from dataclasses import dataclass

from bridge.asgi import Receive, Reply, Scope, Send
from bridge.errors import Unavailable
from bridge.login.attempt import Login
from bridge.login.outcome import LoggedIn, Refused, SecondFactorNeeded, TooMany
from bridge.outbox.device import device_name
from bridge.pages.browser import Asked, Desk
from bridge.pages.models import Account, AccountNotice, ChangeProblem, PasswordChanged, SessionRow
from bridge.resets.change import PasswordChange
from bridge.secret import Secret
from bridge.sessions.cookie import Header
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.view import SessionView
from bridge.users.backend import Capability, UserBackend
from bridge.users.policy import PasswordPolicy
from bridge.users.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """`/account`, `/account/sessions`, `/account/password`."""

    desk: Desk
    users: UserBackend
    login: Login
    change: PasswordChange
    policy: PasswordPolicy

    async def account(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page."""
        asked = await self.desk.read(scope, receive)
        await (await self._shown(asked))(scope, receive, send)

    async def sessions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST ends one session (its `id`), "others" or "all"; GET is the page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._end(asked) if asked.posted else self._shown(asked)))(scope, receive, send)

    async def password(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST changes the password, with the current one; GET is the page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._change(asked) if asked.posted else self._shown(asked)))(scope, receive, send)

    async def _shown(
        self,
        asked: Asked,
        *,
        problem: ChangeProblem | None = None,
        wait: int | None = None,
        notice: AccountNotice | None = None,
        status: int = 200,
        alive: Alive | None = None,
        cookies: tuple[Header, ...] = (),
    ) -> Reply:
        session = alive or asked.alive
        user = await self.users.by_id(session.record.uid) if session else None
        if session is None or user is None:
            return self.desk.go(asked, "login", next=asked.paths["account"])
        page = Account(
            csrf=self.desk.proof(asked, "account-page", session.record.id),
            name=user.name,
            email=user.email,
            sessions=tuple(_row(view, session) for view in await self._sessions_of(user)),
            second_factor=user.second_factor,
            shortest=self._shortest(user),
            problem=problem,
            wait=wait,
            notice=notice,
        )
        return self.desk.page(asked, page, status=status, cookies=cookies)

    async def _end(self, asked: Asked) -> Reply:
        alive = asked.alive
        if alive is None or not self.desk.proven(asked, "account-page", alive.record.id):
            return await self._shown(asked, problem="stale" if alive else None, status=403)
        match asked.form.get("end", ""):
            case "all":
                await self.desk.sessions.end_all(alive.record.uid, alive.token.tag, "user")
                return self.desk.go(asked, "login", cookies=self._cleared())
            case "others":
                return await self._end_others(asked, alive)
            case one:
                return await self._end_one(asked, alive, one)

    async def _end_others(self, asked: Asked, alive: Alive) -> Reply:
        kept = await self.desk.sessions.end_others(alive)
        if isinstance(kept, Dead):
            return self.desk.go(asked, "login", cookies=self._cleared())
        return await self._shown(asked, notice="others-ended", alive=kept, cookies=await self._child(kept))

    async def _end_one(self, asked: Asked, alive: Alive, session_id: str) -> Reply:
        mine = {view.id for view in await self.desk.sessions.list_of(alive.record.uid, alive.token.tag)}
        if session_id not in mine:
            return await self._shown(asked, notice="nothing-ended")
        await self.desk.sessions.end(alive.record.uid, alive.token.tag, session_id, "you")
        return await self._shown(asked, notice="session-ended")

    async def _change(self, asked: Asked) -> Reply:
        alive = asked.alive
        if alive is None or not self.desk.proven(asked, "account-page", alive.record.id):
            return await self._shown(asked, problem="stale" if alive else None, status=403)
        user = await self.users.by_id(alive.record.uid)
        if user is None or self._shortest(user) is None:
            return await self._shown(asked, problem="unreachable", status=422)
        current, new = Secret(asked.form.get("current_password", "")), Secret(asked.form.get("new_password", ""))
        if problem := self._problem(user, current, new, asked.form.get("new_password_again", "")):
            return await self._shown(asked, problem=problem, status=422)
        match await self.login.confirm_password(user, current, asked.visit):
            case LoggedIn() | SecondFactorNeeded():
                return await self._write(asked, alive, user, new)
            case Refused():
                return await self._shown(asked, problem="wrong-current", status=422)
            case TooMany(retry_after):
                return await self._shown(asked, problem="too-many", wait=int(retry_after), status=429)
            case _:
                return await self._shown(asked, problem="unreachable", status=503)

    async def _write(self, asked: Asked, alive: Alive, user: User, new: Secret) -> Reply:
        kept = await self.change.change(user, new, alive, asked.visit)
        if kept is None:
            return await self._shown(asked, problem="stale", status=409)
        if isinstance(kept, Dead):
            return self.desk.go(asked, "login", cookies=self._cleared())
        return self.desk.page(asked, PasswordChanged(others_ended=True), cookies=await self._child(kept))

    def _problem(self, user: User, current: Secret, new: Secret, again: str) -> ChangeProblem | None:
        if not new.matches(again):
            return "different"
        if new.matches(current):
            return "unchanged"
        about = (user.email, user.first_name, user.last_name)
        return self.policy.judge(new, about=about, second_factor=user.second_factor != "none")

    async def _child(self, parent: Alive) -> tuple[Header, ...]:
        """The kept session's own app session ended with the others: it gets a new one."""
        try:
            born = await self.desk.sessions.child(parent, via="pages")
        except Unavailable:
            return ()
        return () if isinstance(born, Dead) else (self.desk.cookies.set("app", born.token.text.reveal()),)

    async def _sessions_of(self, user: User) -> list[SessionView]:
        return await self.desk.sessions.list_of(user.id, user.tag)

    def _shortest(self, user: User) -> int | None:
        if Capability.SET_PASSWORD not in self.users.capabilities:
            return None
        return self.policy.shortest(second_factor=user.second_factor != "none")

    def _cleared(self) -> tuple[Header, ...]:
        return (self.desk.cookies.clear("op"), self.desk.cookies.clear("app"))


def _row(view: SessionView, session: Alive) -> SessionRow:
    return SessionRow(
        id=view.id,
        device=device_name(view.user_agent) or None,
        ip=view.ip,
        started=view.since,
        last_seen=view.last,
        current=view.id == session.record.id,
        via=None if view.via == "pages" else view.via,
        apps=tuple(view.clients),
    )
