"""The visits: begun, bound to one browser, answered step by step, finished once — security §26.

The id alone is worth nothing.  To look takes the browser's cookie; to answer takes cookie, id and a proof that was made
for this very question.  Steps never call one another: each ends with the browser back at the authorization endpoint,
which decides anew.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from bridge.clock import Chance, Clock
from bridge.interactions.record import (
    LIFETIME,
    MEMORY,
    Answer,
    Display,
    Finished,
    Interaction,
    Logout,
    Step,
    decode,
    encode,
    encode_finished,
)
from bridge.ring import Ring
from bridge.secret import mac
from bridge.sessions.ticket import TicketWish
from bridge.stores.decide import Decision, decide_on
from bridge.stores.store import Add, Store, Swap
from bridge.tokens import Names, digest, new_id
from bridge.types import Key

_BINDING: Final = re.compile(r"[0-9A-Za-z]{22}(\.[0-9a-f]{64})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Visit:
    """An interaction that this browser may look at, exactly as it lies in the store."""

    id: str
    key: Key
    seen: bytes
    record: Interaction


@dataclass(frozen=True, slots=True)
class Overtaken:
    """An interaction from before somebody signed in to this browser, in another tab, when it was nobody's: it is not
    answered any more, but what it asked for may be asked anew."""

    id: str
    key: Key
    seen: bytes
    record: Interaction


def is_binding(value: str) -> bool:
    """Whether it may be one that `new_binding` made."""
    return _BINDING.fullmatch(value) is not None


def _mark(binding: str) -> str:
    """What its successor carries.  The store and the tables know other hashes: what is read there opens nothing."""
    return digest(f"before {binding}")


class Interactions:
    """All visits of one instance.  Every method that reads or writes raises `Unavailable`."""

    def __init__(self, *, store: Store, names: Names, ring: Ring, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._names = names
        self._keys = list(ring.subkeys("csrf").values())
        self._clock = clock
        self._chance = chance

    def new_binding(self, over: str | None = None) -> str:
        """A value for `__Host-lb_pre`.  `over`: the one that a sign-in replaces; the new one knows its visits."""
        return new_id(self._chance) + (f".{_mark(over)}" if over else "")

    async def begin_authorization(
        self,
        binding: str,
        parameters: dict[str, str],
        app: Display,
        *,
        scopes: tuple[str, ...] = (),
        claims: tuple[str, ...] = (),
        login_hint: str = "",
        ui_locales: str = "",
        nobody: bool = False,
    ) -> str:
        """A visit on the way to an application; returns its id.  `nobody`: no one is signed in to this browser."""
        return await self._begin(
            Interaction(
                kind="authorize",
                binding=digest(binding),
                successor=digest(_mark(binding)) if nobody else "",
                until=self._until(),
                app=app,
                parameters=parameters,
                scopes=scopes,
                claims=claims,
                login_hint=login_hint,
                ui_locales=ui_locales,
            )
        )

    async def begin_logout(
        self, binding: str, logout: Logout, *, app: Display | None = None, ui_locales: str = ""
    ) -> str:
        """A visit on the way out; returns its id."""
        return await self._begin(
            Interaction(
                kind="logout",
                binding=digest(binding),
                until=self._until(),
                app=app,
                logout=logout,
                ui_locales=ui_locales,
            )
        )

    async def begin_ticket(self, binding: str, wish: TicketWish, app: Display, *, nobody: bool = False) -> str:
        """A visit on the way to an app on another host; returns its id.  `nobody`: as above."""
        return await self._begin(
            Interaction(
                kind="ticket",
                binding=digest(binding),
                successor=digest(_mark(binding)) if nobody else "",
                until=self._until(),
                app=app,
                ticket=wish,
            )
        )

    async def load(self, interaction: str, binding: str | None) -> Visit | Overtaken | None:
        """The visit, for the browser that it belongs to or, overtaken, belonged to until somebody signed in; None:
        unknown, over, finished, or another browser's."""
        key = self._names.interaction(interaction)
        (raw,) = await self._store.read(key)
        return self._mine(interaction, key, raw, binding)

    def proof(self, interaction: str, binding: str, purpose: str, *bound: str) -> str:
        """What a form carries for one question (`purpose`), about one session or user (`bound`) where there is one."""
        return self._proof(self._keys[0], interaction, binding, purpose, bound)

    def proven(self, proof: str, interaction: str, binding: str, purpose: str, *bound: str) -> bool:
        """Whether it is that very proof; in constant time."""
        given = proof.encode("utf-8", "surrogatepass")
        return any(
            hmac.compare_digest(given, self._proof(key, interaction, binding, purpose, bound).encode())
            for key in self._keys
        )

    async def answer(
        self, interaction: str, binding: str, step: Step, *, session: str | None, rebind: str | None = None
    ) -> Visit | None:
        """Note that a step was taken under that session (its `id`); the caller has checked the proof.

        From then on it is his.  `rebind`: the cookie's new value, where a login replaces it.  None: there is no visit
        that this browser may answer.
        """
        key, now = self._names.interaction(interaction), self._clock.now()

        def decide(raw: bytes | None) -> Decision[Visit | None]:
            visit = self._mine(interaction, key, raw, binding)
            if not isinstance(visit, Visit) or raw is None:
                return Decision((), None)
            answers = {**visit.record.answers, step: Answer(session=session, at=int(now))}
            record = replace(visit.record, answers=answers, binding=digest(rebind or binding), successor="")
            value = encode(record)
            if value == raw:
                return Decision((), visit)
            changed = Swap(key, raw, value, max(record.until - now, 0.0) + MEMORY)
            return Decision((changed,), Visit(interaction, key, value, record))

        return await decide_on(self._store, [key], decide)

    async def finish(self, visit: Visit | Overtaken) -> bool:
        """It has led to its end, or to a new one: of all who try, one is told True."""
        used = Finished(at=int(self._clock.now()), by=new_id(self._chance))
        return await self._store.commit(Swap(visit.key, visit.seen, encode_finished(used), LIFETIME + MEMORY))

    async def _begin(self, record: Interaction) -> str:
        interaction = new_id(self._chance)
        await self._store.commit(Add(self._names.interaction(interaction), encode(record), LIFETIME + MEMORY))
        return interaction

    def _mine(self, interaction: str, key: Key, raw: bytes | None, binding: str | None) -> Visit | Overtaken | None:
        record = decode(raw)
        if record is None or raw is None or binding is None or self._clock.now() >= record.until:
            return None
        # Compared as hashes: how far a guess is right cannot be measured.
        if record.binding == digest(binding):
            return Visit(interaction, key, raw, record)
        overtaken = record.successor and record.successor == digest(binding.partition(".")[2])
        return Overtaken(interaction, key, raw, record) if overtaken else None

    def _until(self) -> int:
        return int(self._clock.now()) + LIFETIME

    @staticmethod
    def _proof(key: bytes, interaction: str, binding: str, purpose: str, bound: tuple[str, ...]) -> str:
        return mac(key, "interaction", interaction, binding, purpose, *bound).hex()
