"""The authorization endpoint — RFC 6749 §3.1, §4.1.1, §4.1.2; Core §3.1.2, §3.2.2, §3.3.2; RFC 9207.

Parse, read, decide, commit, render: a request that a living session and a remembered consent can answer costs one read
and one commit.  Everything else begins a visit (`bridge.interactions`) and sends the person to a page, which sends him
back here.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bridge.asgi import Receive, Reply, Scope, Send
from bridge.clients.client import Client
from bridge.clients.words import words
from bridge.errors import Unavailable
from bridge.grants.consents import COPY_TTL, ConsentCopy, Consents, read_copy
from bridge.grants.issue import Asked, Drawn, authorization_births, family_of, witnesses
from bridge.grants.records import Family
from bridge.grants.terms import Moment
from bridge.interactions.interactions import Interactions, Overtaken
from bridge.interactions.interactions import Visit as Ongoing
from bridge.interactions.record import Answer, Step
from bridge.oidc.acr import acr_for
from bridge.oidc.browser import Browsers
from bridge.oidc.client_auth import Clients
from bridge.oidc.errors import OAuthError, SentBack, Shown, sending_back
from bridge.oidc.front_channel import FrontChannel
from bridge.oidc.issue import Issuing
from bridge.oidc.params import Parameters
from bridge.oidc.prompts import (
    AccountNeeded,
    ConsentNeeded,
    CreateNeeded,
    Granted,
    LoginNeeded,
    NextStep,
    SignedIn,
    next_step,
    without_asking,
)
from bridge.oidc.request import AuthorizationRequest, SubjectOfHint, kept, read_request, return_path, target_of
from bridge.oidc.request_object import RequestObjects
from bridge.oidc.response_modes import CODE, Fields, Offer, Responses, ReturnPath
from bridge.oidc.session_management import SessionStates
from bridge.oidc.showing import ErrorPage, display, show
from bridge.oidc.telling import Users
from bridge.sessions.judge import Alive
from bridge.sessions.sessions import Sessions
from bridge.tokens import LoginToken, new_family, new_id
from bridge.types import Subject

PATH: Final = "/oauth/authorize"
_TRIES: Final = 4
_PAGES: Final = {
    LoginNeeded: "/login",
    CreateNeeded: "/signup",
    AccountNeeded: "/login/continue",
    ConsentNeeded: "/consent",
}


_Returned = Ongoing | Overtaken
"""The visit in which a browser comes back; what an overtaken one asked for is asked for anew."""


class _Seen(Struct, frozen=True):
    """What one read showed of a person who is signed in."""

    alive: Alive
    raw_stamp: bytes
    raw_consent: bytes
    consent: ConsentCopy
    sub: Subject

    @property
    def who(self) -> SignedIn:
        record = self.alive.record
        return SignedIn(record.id, self.sub, record.auth_time, record.amr)


class _Made(Struct, frozen=True):
    """An authorization that is about to be written, and the answer that carries it."""

    asked: Asked
    drawn: Drawn
    family: Family
    moment: Moment
    fields: Fields


class AuthorizationEndpoint:
    """GET and POST alike; `?interaction=` is the way back from our own pages."""

    def __init__(
        self,
        *,
        issuing: Issuing,
        clients: Clients,
        users: Users,
        sessions: Sessions,
        consents: Consents,
        interactions: Interactions,
        browsers: Browsers,
        responses: Responses,
        errors: ErrorPage,
        sub_of: SubjectOfHint,
        offer: Offer,
        front: FrontChannel,
        objects: RequestObjects,
        states: SessionStates | None = None,
    ) -> None:
        self._issuing = issuing
        self._clients = clients
        self._users = users
        self._sessions = sessions
        self._consents = consents
        self._interactions = interactions
        self._browsers = browsers
        self._responses = responses
        self._errors = errors
        self._sub_of = sub_of
        self._offer = offer
        self._front = front
        self._objects = objects
        self._states = states

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self._answer(scope, receive)
        except Shown as shown:
            reply = show(self._errors, scope, shown)
        await reply(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        parameters = await self._browsers.parameters(scope, receive, PATH)
        if isinstance(parameters, Reply):
            return parameters
        visit = None
        # Beside a client_id it is a parameter of the client's own, and none that we know (RFC 6749 §3.1).
        if (interaction := parameters.get("interaction")) is not None and "client_id" not in parameters.values:
            visit = await self._resumed(scope, interaction)
            parameters = Parameters(visit.record.parameters)
        client = await self._client(parameters)
        try:
            if visit is None:
                parameters = await self._opened(scope, parameters, client)
            back = self._back(parameters, client)
            with sending_back(back):
                request = read_request(parameters, client, back, offer=self._offer, sub_of=self._sub_of)
                return await self._settle(scope, request, parameters, visit)
        except SentBack as sent:
            fields = [("error", sent.error.code), ("error_description", sent.error.description)]
            if await self._trusted(scope, client, parameters, visit):
                return self._responses.send(scope, sent.back, fields)
            return self._responses.offer(scope, sent.back, fields, text=sent.error.description)

    async def _trusted(self, scope: Scope, client: Client, parameters: Parameters, visit: _Returned | None) -> bool:
        """Whether an error may take the browser to the client unasked.  Where anybody may register, his address is not
        trusted before somebody has signed in or turned back here (RFC 9700 §4.11.2); `prompt=none` shows no page."""
        if client.source != "registration" or words(parameters.get("prompt")) == ("none",):
            return True
        if visit is not None and "deny" in visit.record.answers:
            return True
        token = self._browsers.login_token(scope)
        if token is None:
            return False
        return isinstance(await self._sessions.resolve(token, "issuer", self._browsers.visit(scope).ip), Alive)

    async def _resumed(self, scope: Scope, interaction: str) -> _Returned:
        visit = await self._interactions.load(interaction, self._browsers.binding(scope))
        if visit is None or visit.record.kind != "authorize":
            raise Shown(
                "interaction",
                "This sign-in took too long, is over already, or was begun in another browser. "
                "Please go back to the application and start again.",
            )
        return visit

    async def _opened(self, scope: Scope, parameters: Parameters, client: Client) -> Parameters:
        """What a request object makes of it; the client stays who it is.  Whoever makes us call an address does so as
        often as he may begin."""
        if client.request_uris and "request_uri" in parameters.values:
            await self._browsers.admit(scope)
        return await self._objects.opened(parameters, client, lambda outer: self._back(outer, client))

    def _back(self, parameters: Parameters, client: Client) -> ReturnPath:
        return return_path(parameters, client, target_of(parameters, client), self._offer)

    async def _client(self, parameters: Parameters) -> Client:
        client_id = parameters.get("client_id")
        if client_id is None:
            what = "must not be repeated" if "client_id" in parameters.repeated else "is missing"
            raise Shown("client_id", f"client_id {what}")
        client = await self._clients.get(client_id)
        if client is None or client.disabled:
            raise Shown("client_id", "client_id names no application that is registered here")
        return client

    async def _settle(
        self, scope: Scope, request: AuthorizationRequest, parameters: Parameters, visit: _Returned | None
    ) -> Reply:
        """Decide, and commit what was decided; if somebody was first, read and decide again."""
        token, finished = self._browsers.login_token(scope), False
        if scope["method"] == "POST" and token is None and visit is None:
            # From another site it comes without the session's cookie: the GET that follows has it, and decides.
            return await self._ask(scope, request, parameters, None, page=PATH)
        for _ in range(_TRIES):
            seen = await self._look(scope, token, request.client)
            step = self._decide(request, seen, visit.record.answers if visit else {})
            if not isinstance(step, Granted) or seen is None:
                before = None if finished else visit
                return await self._ask(scope, request, parameters, before, page=_PAGES[type(step)], nobody=seen is None)
            made = await self._make(request, seen)
            if visit is not None and not finished:
                await self._finish(visit)
                finished = True
            if await self._commit(scope, request, seen, made):
                return self._granted(scope, request, made.fields)
        raise Unavailable("contended")

    def _granted(self, scope: Scope, request: AuthorizationRequest, fields: Fields) -> Reply:
        if self._states is None or "openid" not in request.scopes:
            return self._responses.send(scope, request.back, fields)
        state, cookie = self._states.of(scope, request.client.client_id, request.back.target.uri)
        reply = self._responses.send(scope, request.back, [*fields, *state])
        return replace(reply, headers=(*reply.headers, *cookie))

    def _decide(self, request: AuthorizationRequest, seen: _Seen | None, answers: dict[Step, Answer]) -> NextStep:
        who, consent = (seen.who, seen.consent) if seen else (None, None)
        step = next_step(request, who, consent, answers, self._issuing.clock.now())
        return without_asking(step) if "none" in request.prompt else step

    async def _look(self, scope: Scope, token: LoginToken | None, client: Client) -> _Seen | None:
        """Session, stamp and consent in one read.  What the store does not know, SQL is asked for, once each."""
        if token is None:
            return None
        ip, store = self._browsers.visit(scope).ip, self._issuing.store
        keys = (*self._sessions.keys_of(token), self._issuing.names.consent(token.tag, client.client_id))
        raw, raw_stamp, raw_consent = await store.read(*keys)
        if raw is not None and raw_stamp is None:
            await self._sessions.resolve(token, "issuer", ip)
            raw, raw_stamp, raw_consent = await store.read(*keys)
        alive = self._sessions.reader.judge(token, raw, raw_stamp, place="issuer", ip=ip, key=keys[0])
        if not isinstance(alive, Alive):
            return None
        record = alive.record
        consent = read_copy(raw_consent, record.stamp)
        if consent is None or _changed_lately(client, self._issuing.clock.now()):
            await self._consents.fill(record.uid, token.tag, client.client_id)
            raw, raw_stamp, raw_consent = await store.read(*keys)
            alive = self._sessions.reader.judge(token, raw, raw_stamp, place="issuer", ip=ip, key=keys[0])
            consent = read_copy(raw_consent, record.stamp)
        user = await self._users.by_id(record.uid, stamp=record.stamp)
        # A copy that will not be filled under this stamp: SQL knows a newer one, so the session has ended.
        if not isinstance(alive, Alive) or consent is None or user is None or raw_stamp is None or raw_consent is None:
            return None
        return _Seen(alive, raw_stamp, raw_consent, consent, self._issuing.slots.subject_for(client.sector, user.sub))

    async def _make(self, request: AuthorizationRequest, seen: _Seen) -> _Made:
        """The authorization and its answer, before anything is used up for it.  Raises OAuthError, Unavailable."""
        issuing, client, response = self._issuing, request.client, request.response
        record, tag, family = seen.alive.record, seen.alive.token.tag, new_family(issuing.chance)
        moment = issuing.moment()
        if response.code and not issuing.unclaimed.admit(tag, moment.now):
            raise OAuthError("temporarily_unavailable", "too many codes were asked for that nobody came for")
        draw = issuing.mint.draw
        drawn = Drawn(
            family,
            record.clients.get(client.client_id) or new_id(issuing.chance),
            code=draw("code", tag, family, issuing.chance) if response.code else None,
            access=draw("access", tag, family, issuing.chance) if response.token else None,
        )
        asked = Asked(
            client=client.client_id,
            sub=seen.sub,
            scopes=request.scopes,
            redirect_uri=request.redirect_uri,
            challenge=request.challenge,
            nonce=request.nonce,
            refreshable=response.code and "refresh_token" in client.grant_types,
            userinfo=request.wanted.userinfo,
            id_token=request.wanted.id_token,
            acr=acr_for(request.acr, record.amr) if request.acr else None,
        )
        granted = family_of(seen.alive, asked, drawn, consent=seen.consent.version, moment=moment)
        if response is CODE and drawn.code is not None:
            fields: Fields = [("code", drawn.code.text.reveal())]
        else:
            fields = await self._front.fields(request, granted, drawn, moment)
        return _Made(asked, drawn, granted, moment, fields)

    async def _commit(self, scope: Scope, request: AuthorizationRequest, seen: _Seen, made: _Made) -> bool:
        """Write what the answer carries together with what it stands on; False: somebody was first."""
        issuing, record, asked, drawn = self._issuing, seen.alive.record, made.asked, made.drawn
        moment, tools = made.moment, self._sessions.tools
        changes = (
            *authorization_births(seen.alive, made.family, asked, drawn=drawn, epoch=issuing.epoch(), moment=moment),
            *witnesses(
                seen.alive, seen.raw_stamp, seen.raw_consent, asked=asked, drawn=drawn, tools=tools, now=moment.now
            ),
        )
        if not await issuing.store.commit(*changes):
            return False
        visit = self._browsers.visit(scope)
        if drawn.code is not None:
            issuing.events.tell("code.issued", visit, user=record.uid, client=asked.client, session=record.id)
        if request.response is not CODE:
            issuing.tell_issued(made.family, "implicit", visit)
        return True

    async def _finish(self, visit: _Returned) -> None:
        """A visit leads to one code only: it lies in another slot, so it is its own commit, and comes first."""
        if not await self._interactions.finish(visit):
            raise Shown("interaction", "This sign-in is over already. Please go back to the application.")

    async def _ask(
        self,
        scope: Scope,
        request: AuthorizationRequest,
        parameters: Parameters,
        visit: _Returned | None,
        *,
        page: str,
        nobody: bool = False,
    ) -> Reply:
        """On to a page, in the visit that there is or a new one.  `nobody`: no one is signed in."""
        if isinstance(visit, Ongoing):
            return self._browsers.to_page(page, visit.id)
        await self._browsers.admit(scope)
        if visit is not None:
            await self._finish(visit)
        binding, cookie = self._browsers.bound(scope)
        interaction = await self._interactions.begin_authorization(
            binding,
            kept(parameters.values),
            display(request.client, request.back.target.uri),
            scopes=request.scopes,
            claims=request.claims,
            login_hint=request.login_hint,
            ui_locales=request.ui_locales,
            nobody=nobody,
        )
        return self._browsers.to_page(page, interaction, cookie)


def _changed_lately(client: Client, now: float) -> bool:
    """Whether it may have an address that nobody was asked about: what people allowed it is withdrawn in SQL then, and
    a copy of before does not know that yet."""
    return client.source == "registration" and now - client.updated_at <= COPY_TTL
