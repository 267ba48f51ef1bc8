"""The person's own page: where he is and stays signed in, what he allowed to whom, and his password — S9, S10, S15, A3,
O3.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from bridge.asgi import Receive, Reply, Scope, Send
from bridge.clients.client import Client
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.grants.consents import Consents
from bridge.login.attempt import Login
from bridge.login.enrolment import Enrolment
from bridge.login.outcome import (
    LoggedIn,
    Refused,
    SecondFactorElsewhere,
    SecondFactorNeeded,
    TooMany,
    Unreachable,
)
from bridge.login.remembering import Remembered
from bridge.login.ways import Enrolled
from bridge.outbox.device import device_name
from bridge.pages.app import App
from bridge.pages.asked import Asked
from bridge.pages.browser import Desk
from bridge.pages.models import (
    Account,
    AccountNotice,
    AddressProblem,
    AllowedApp,
    ChangeProblem,
    DeviceRow,
    Factors,
    NewAddress,
    PasskeyRow,
    PasswordChanged,
    SessionRow,
)
from bridge.pages.models import Scope as ScopeLine
from bridge.resets.change import PasswordChange
from bridge.resets.judge import NewPasswords
from bridge.resets.new_address import NewAddresses
from bridge.secret import Secret
from bridge.sessions.birth import Born
from bridge.sessions.cookie import Header
from bridge.sessions.judge import Alive, Dead, in_person
from bridge.sessions.view import SessionView
from bridge.types import ClientId, UserId
from bridge.users.user import User

_CONFIRMS = "account-page"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """`/account`, and what its forms are sent to."""

    desk: Desk
    login: Login
    change: PasswordChange
    passwords: NewPasswords
    enrolment: Enrolment
    enrolled: Callable[[UserId], Awaitable[Enrolled]]
    addresses: NewAddresses
    consents: Consents
    clients: Callable[[str], Awaitable[Client | None]]
    events: Events
    fresh: int
    """Seconds after a sign-in for which he may change what protects his account, or end sessions, without showing again
    who he is (S10, S15)."""

    async def account(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page."""
        asked = await self.desk.read(scope, receive)
        await (await self.shown(asked))(scope, receive, send)

    async def sessions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST ends one session (its `id`), "others" or "all"; GET is the page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._end(asked) if asked.posted else self.shown(asked)))(scope, receive, send)

    async def apps(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST takes back what an application (`client`) was allowed; GET is the page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._withdraw(asked) if asked.posted else self.shown(asked)))(scope, receive, send)

    async def devices(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST forgets one that stays signed in (`device`); GET is the page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._forget(asked) if asked.posted else self.shown(asked)))(scope, receive, send)

    async def password(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST changes the password, with the current one; GET is the page."""
        asked = await self.desk.read(scope, receive)
        await (await (self._change(asked) if asked.posted else self.shown(asked)))(scope, receive, send)

    async def shown(
        self,
        asked: Asked,
        *,
        problem: ChangeProblem | None = None,
        wait: int | None = None,
        notice: AccountNotice | None = None,
        address_problem: AddressProblem | None = None,
        typed: str = "",
        status: int = 200,
        kept: Alive | None = None,
        changed: User | None = None,
        cookies: tuple[Header, ...] = (),
    ) -> Reply:
        """The page; `typed`: the address that he asked for; `kept`, `changed`: the session and the person's row as they
        are now, after a change."""
        session, user = kept or asked.alive, changed or asked.user
        if session is None or user is None:
            return self.gone(asked)
        views = await self.desk.sessions.list_of(user.id, user.tag)
        views.sort(key=lambda view: view.id != session.record.id)  # this one first, the others as they are
        page = Account(
            csrf=self.desk.proof(asked, _CONFIRMS, session.record.id),
            name=user.name,
            email=user.email,
            sessions=tuple([await self._row(view, session) for view in views]),
            devices=await self._devices(user, session, {view.id: view.last for view in views}),
            apps=tuple(
                [await self._app(row.client, row.scopes, row.claims) for row in await self.consents.list_of(user.id)]
            ),
            second_factor=user.second_factor if self.enrolment.kept_here(user) else "elsewhere",
            factors=await self._factors(user),
            address=await self._address(user, address_problem, typed),
            shortest=self.passwords.shortest(user) if self.passwords.kept_here(user) else None,
            problem=problem,
            wait=wait,
            notice=notice,
        )
        return self.desk.page(asked, page, status=status, cookies=cookies)

    def gone(self, asked: Asked, cookies: tuple[Header, ...] = ()) -> Reply:
        """Nobody is signed in (any more): the sign-in page says why, if that is known."""
        return self.desk.go(asked, "login", next=asked.paths["account"], cookies=cookies)

    def proven(self, asked: Asked) -> Alive | None:
        """The session that one of the page's own forms was sent under."""
        alive = asked.alive
        return alive if alive is not None and self.desk.proven(asked, _CONFIRMS, alive.record.id) else None

    def confirmed(self, asked: Asked, alive: Alive, place: str = "account") -> Reply | None:
        """None: he has just shown who he is (S15); else he does so again, and comes back to that place."""
        if in_person(alive.record.amr) and self.desk.clock.now() - alive.record.auth_time <= self.fresh:
            return None
        return self.desk.go(asked, "login", confirm="1", next=asked.paths[place])

    async def _end(self, asked: Asked) -> Reply:
        alive = self.proven(asked)
        if alive is None:
            return await self.shown(asked, problem="stale", status=403)
        if (again := self.confirmed(asked, alive)) is not None:
            return again
        match asked.form.get("end", ""):
            case "all":
                await self.desk.sessions.end_all(alive.record.uid, alive.token.tag, "user")
                return self.desk.go(asked, "login", cookies=self.desk.signed_out_for_good(asked))
            case "others":
                return await self._end_others(asked, alive)
            case one:
                return await self._end_one(asked, alive, one)

    async def _end_others(self, asked: Asked, alive: Alive) -> Reply:
        kept = await self.desk.sessions.end_others(alive)
        if isinstance(kept, Dead):
            return self.gone(asked)
        return await self.shown(asked, notice="others-ended", kept=kept, cookies=await self._child(kept))

    async def _end_one(self, asked: Asked, alive: Alive, session_id: str) -> Reply:
        mine = {view.id for view in await self.desk.sessions.list_of(alive.record.uid, alive.token.tag)}
        if session_id not in mine:
            return await self.shown(asked, notice="nothing-ended")
        await self.desk.sessions.end(alive.record.uid, alive.token.tag, session_id, "you")
        if session_id == alive.record.id:
            return self.gone(asked, cookies=self.desk.signed_out_for_good(asked))
        return await self.shown(asked, notice="session-ended")

    async def _withdraw(self, asked: Asked) -> Reply:
        alive = self.proven(asked)
        if alive is None:
            return await self.shown(asked, problem="stale", status=403)
        user, client = alive.record.uid, ClientId(asked.form.get("client", ""))
        if client not in {row.client for row in await self.consents.list_of(user)}:
            return await self.shown(asked, notice="nothing-withdrawn")
        await self.consents.withdraw(user, alive.token.tag, client)
        self.events.tell("consent.withdrawn", asked.visit, user=user, client=client, session=alive.record.id)
        return await self.shown(asked, notice="withdrawn")

    async def _forget(self, asked: Asked) -> Reply:
        """As with a session, which ends with it: he shows who he is (S10)."""
        alive, user, remembering = self.proven(asked), asked.user, self.login.remembering
        if alive is None or user is None:
            return await self.shown(asked, problem="stale", status=403)
        if (again := self.confirmed(asked, alive)) is not None:
            return again
        session = asked.form.get("device", "")
        if remembering is None or not await remembering.forget_one(user, session, asked.visit):
            return await self.shown(asked, notice="nothing-forgotten")
        if session == alive.record.id:
            return self.gone(asked, cookies=self.desk.signed_out_for_good(asked))
        return await self.shown(asked, notice="device-forgotten")

    async def _change(self, asked: Asked) -> Reply:
        alive, user = self.proven(asked), asked.user
        if alive is None or user is None:
            return await self.shown(asked, problem="stale", status=403)
        current, new = Secret(asked.form.get("current_password", "")), Secret(asked.form.get("new_password", ""))
        if problem := self._problem(user, current, new, asked.form.get("new_password_again", "")):
            return await self.shown(asked, problem=problem, status=422)
        match await self.login.confirm_password(user, current, asked.visit):
            case LoggedIn() | SecondFactorNeeded():
                return await self._write(asked, alive, user, new)
            case Refused():
                return await self.shown(asked, problem="wrong-current", status=422)
            case TooMany(retry_after):
                return await self.shown(asked, problem="too-many", wait=int(retry_after), status=429)
            case Unreachable() | SecondFactorElsewhere():
                return await self.shown(asked, problem="unreachable", status=503)
            case outcome:
                assert_never(outcome)

    async def _write(self, asked: Asked, alive: Alive, user: User, new: Secret) -> Reply:
        match await self.change.change(user, new, alive, asked.visit):
            case Born() as born:
                return self.desk.page(asked, PasswordChanged(others_ended=True), cookies=self.desk.signed_in(born))
            case Dead():
                return self.desk.go(asked, "login", reset="done", cookies=self.desk.signed_out())
            case None:
                return await self.shown(asked, problem="stale", status=409)

    def _problem(self, user: User, current: Secret, new: Secret, again: str) -> ChangeProblem | None:
        if not self.passwords.kept_here(user):
            return "unreachable"
        if not new.matches(again):
            return "different"
        return "unchanged" if new.matches(current) else self.passwords.judge(user, new)

    async def _child(self, parent: Alive) -> tuple[Header, ...]:
        """The kept session's own app session ended with the others: it gets a new one."""
        try:
            born = await self.desk.sessions.child(parent, via="pages")
        except Unavailable:
            return ()
        return () if isinstance(born, Dead) else (self.desk.cookies.set("app", born.token.text.reveal()),)

    async def _factors(self, user: User) -> Factors | None:
        if not self.enrolment.kept_here(user):
            return None
        has = await self.enrolled(user.id)
        keys = [
            PasskeyRow(id=each.id, label=each.label, added=each.created_at, last_used=each.last_used_at)
            for each in has.passkeys
        ]
        return Factors(
            totp_since=has.totp_since,
            passkeys=tuple(keys),
            codes_left=has.codes_left,
            offers_passkeys=self.enrolment.has_passkeys,
        )

    async def _address(self, user: User, problem: AddressProblem | None, typed: str) -> NewAddress | None:
        if not self.addresses.kept_here(user):
            return None
        waiting = await self.addresses.waiting(user)
        return NewAddress(
            waits=waiting.new_email if waiting is not None else None,
            until=waiting.expires_at if waiting is not None else None,
            typed=typed,
            problem=problem,
        )

    async def _row(self, view: SessionView, session: Alive) -> SessionRow:
        return SessionRow(
            id=view.id,
            device=device_name(view.user_agent) or None,
            ip=view.ip,
            started=view.since,
            last_seen=view.last,
            current=view.id == session.record.id,
            via=None if view.via == "pages" else view.via,
            apps=tuple([await self._name(client) for client in view.clients]),
        )

    async def _devices(self, user: User, session: Alive, seen: Mapping[str, int | None]) -> tuple[DeviceRow, ...]:
        """This one first, then the last used.  `seen`: the living sessions, and when each was used."""
        remembering = self.login.remembering
        found = await remembering.list_of(user) if remembering is not None else []
        rows = [_device_row(each, session, seen.get(each.session)) for each in found]
        return tuple(sorted(rows, key=lambda row: (not row.current, -row.last_used)))

    async def _app(self, client_id: ClientId, scopes: tuple[str, ...], claims: tuple[str, ...]) -> AllowedApp:
        return AllowedApp(
            client=client_id,
            name=await self._name(client_id),
            scopes=tuple(ScopeLine(name=name) for name in scopes),
            claims=claims,
        )

    async def _name(self, client_id: ClientId) -> str:
        """An application's name, cleaned as everywhere; of one that is gone, its id."""
        client = await self.clients(client_id)
        name = client.name if client is not None else ""
        return App(name=name or client_id, redirect_uri="", verified=True).name


def _device_row(device: Remembered, session: Alive, seen: int | None) -> DeviceRow:
    return DeviceRow(
        id=device.session,
        device=device_name(device.user_agent) or None,
        ip=device.ip,
        since=device.since,
        until=device.until,
        last_used=max(device.last, seen or 0),
        current=device.session == session.record.id,
    )
