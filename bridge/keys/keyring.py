"""The provider's signing keys: encrypted in SQL, imported once, signing without a detour — RFC 7517, RFC 7518.

The private keys are sealed under the master ring with their place as additional data (security §5).  A token is
signed by `cryptography` directly, with a header encoded once: that saves 25 µs of every ID token (store §7).
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.clock import Clock
from bridge.database.database import Database
from bridge.database.tables import signing_keys
from bridge.database.versions import Published, bump
from bridge.errors import ConfigError, Unavailable
from bridge.events.event import Events
from bridge.keys.algorithms import ALGORITHMS, Algorithm, Signer, new_key, signer
from bridge.keys.registry import Registry
from bridge.keys.rotation import PUBLISHED, SIGNING, Make, Schedule, Stage, Step, compromised, due, missing, rotated
from bridge.ring import Ring
from bridge.tokens import b64url

LONGEST_TOKEN: Final = 8 * 1024
"""Characters; a longer one is refused before it is parsed."""
VERSION: Final = "keys"
_DAY: Final = 86_400
NEVER: Final = Schedule(every=0, before=_DAY, after=_DAY)

_encode = msgspec.json.Encoder().encode
_OURS: Final = Registry(algorithms=ALGORITHMS)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One published key."""

    kid: str
    alg: Algorithm
    stage: Stage
    public: Mapping[str, Any]
    sign: Signer | None
    """None: it signs no more, and its private part is nowhere."""

    @property
    def state(self) -> str:
        """Where it stands."""
        return self.stage.state


class UnknownKey(ValueError):
    """There is no such key, or it is in use no more."""


class Keyring:
    """Signs, publishes and verifies with the keys of `signing_keys`, and lets them come and go."""

    def __init__(
        self,
        *,
        db: Database,
        ring: Ring,
        clock: Clock,
        events: Events,
        schedule: Schedule = NEVER,
        versions: Published | None = None,
    ) -> None:
        """`versions`: tells the other workers at once; None: the reconciler does, within a second."""
        self._db = db
        self._ring = ring
        self._clock = clock
        self._events = events
        self._schedule = schedule
        self._versions = versions
        self._keys: dict[str, SigningKey] = {}
        self._active: dict[Algorithm, SigningKey] = {}
        self._headers: dict[tuple[Algorithm, str], bytes] = {}
        self._public = KeySet([])

    @property
    def schedule(self) -> Schedule:
        """By which its keys come and go."""
        return self._schedule

    async def ensure(self) -> None:
        """Read the keys, and make the first of each algorithm if there is none: exactly one worker does."""
        await self.refresh()
        if missing([key.stage for key in self._keys.values()]):
            await self._change(missing, actor="start")

    async def tend(self) -> None:
        """Do what the schedule says is due: of all workers exactly one does.  Raises Unavailable."""
        now = int(self._clock.now())
        plan = partial(due, schedule=self._schedule, now=now)
        if plan([key.stage for key in self._keys.values()]):
            await self._change(plan, actor="schedule")

    async def rotate(self, *, actor: str, algorithms: Sequence[Algorithm] = ALGORITHMS) -> Sequence[Stage]:
        """Publish a successor of each active key of these algorithms; the schedule makes it sign once every client has
        had time to read it.  Returns those that wait for that.  Raises Unavailable."""
        await self._change(partial(rotated, algorithms=algorithms), actor=actor)
        return [key.stage for key in self._keys.values() if key.state == "pending"]

    async def compromise(self, kid: str, *, actor: str) -> Sequence[Stage]:
        """The key leaked: from now on nobody is told of it, nothing that it signed is believed, and another one signs.
        Returns what is active now.  Raises UnknownKey, Unavailable."""

        def plan(keys: Sequence[Stage]) -> Sequence[Step]:
            if kid not in (key.kid for key in keys if key.state in PUBLISHED):
                raise UnknownKey(f"no key {kid} is in use")
            return compromised(keys, kid)

        await self._change(plan, actor=actor)
        return [key.stage for key in self._active.values()]

    async def stages(self) -> Sequence[Stage]:
        """Where every key stands that there ever was, oldest first."""
        async with self._db.read() as tx:
            return await _stages(tx)

    async def refresh(self) -> None:
        """Read the keys again; only those that are new to this process are opened and imported.

        One that no key of the ring opens is published, and signs nothing here; then this raises ConfigError.  It must
        not keep a key believed that is gone: another worker may have a newer ring already.
        """
        closed: list[ConfigError] = []
        async with self._db.read() as tx:
            found = await tx.execute(_IN_ORDER.where(signing_keys.c.state.in_(PUBLISHED)))
            rows = [row._asdict() for row in found]
        self._keys = {row["kid"]: self._known(row, closed) for row in rows}
        self._active = {key.alg: key for key in self._keys.values() if key.state == "active"}
        self._headers = {}
        public: Any = {"keys": [dict(key.public) for key in self._keys.values()]}
        self._public = KeySet.import_key_set(public) if self._keys else KeySet([])  # before the first start: none
        if closed:
            raise closed[0]

    def sign(self, alg: Algorithm, claims: Mapping[str, object], typ: str = "JWT") -> str:
        """A JWS in compact form, signed by the active key of that algorithm.  Raises ConfigError without one."""
        key = self._active.get(alg)
        if key is None or key.sign is None:
            raise ConfigError(f"there is no active {alg} key")
        head = self._headers.get((alg, typ)) or self._header(key, typ)
        signed = head + b64url(_encode(claims))
        return (signed + b"." + b64url(key.sign(signed))).decode()

    def verify(self, token: str, *, typ: Sequence[str] = ("JWT",)) -> dict[str, Any] | None:
        """The claims of a token that we signed, with one of these `typ`; None for anything else.

        Times are not looked at: an expired `id_token_hint` is still a hint.  Key and algorithm come from our own
        key set, never from the token's header.
        """
        if len(token) > LONGEST_TOKEN or token.count(".") != 2:
            return None
        try:
            signed = jws.deserialize_compact(token, self._public, registry=_OURS)
            head, claims = signed.headers(), json.loads(signed.payload or b"")
        except (JoseError, ValueError):
            return None
        ours = self._keys.get(str(head.get("kid")))
        if ours is None or head.get("alg") != ours.alg or head.get("typ") not in typ:
            return None
        return claims if isinstance(claims, dict) else None

    def public_jwks(self) -> dict[str, list[Mapping[str, Any]]]:
        """What `jwks_uri` serves: public parts only, each with `kid`, `alg` and `use`."""
        return {"keys": [key.public for key in self._keys.values()]}

    def published(self) -> list[SigningKey]:
        """All that are published, oldest first."""
        return list(self._keys.values())

    async def _change(self, plan: Callable[[Sequence[Stage]], Sequence[Step]], *, actor: str) -> None:
        """Decide and do it in one transaction, then tell the others, and whoever listens."""
        async with self._db.begin() as tx:
            # The bump takes the row's lock first, so the worker that comes second sees what the first has made.
            await bump(tx, VERSION)
            done = [await self._take(tx, step) for step in plan(await _stages(tx))]
        if self._versions is not None:
            with suppress(Unavailable):  # it has happened; the reconciler publishes it again
                await self._versions.publish(VERSION)
        await self.refresh()
        for kid, step in done:
            reason = "made" if isinstance(step, Make) else "moved"
            self._events.tell("key.changed", actor=actor, reason=reason, kid=kid, state=step.state)

    async def _take(self, tx: AsyncConnection, step: Step) -> tuple[str, Step]:
        now = int(self._clock.now())
        if isinstance(step, Make):
            return await self._make(tx, step, now), step
        # what signs no more needs no private part, and so cannot leak it
        kept = {} if step.state in SIGNING else {"private_enc": b""}
        mine = update(signing_keys).where(signing_keys.c.kid == step.kid)
        await tx.execute(mine.values(state=step.state, changed_at=now, **kept))
        return step.kid, step

    async def _make(self, tx: AsyncConnection, step: Make, now: int) -> str:
        key = await asyncio.to_thread(new_key, step.alg)
        kid = str(key.kid)
        public = {**key.as_dict(private=False), "kid": kid, "alg": step.alg, "use": "sig"}
        sealed = self._ring.seal(key.as_pem(private=True), "signing_keys", "private_enc", kid)
        row = {
            "kid": kid,
            "alg": step.alg,
            "state": step.state,
            "public_jwk": json.dumps(public),
            "private_enc": sealed,
        }
        await tx.execute(insert(signing_keys).values(**row, created_at=now, changed_at=now))
        return kid

    def _known(self, row: Mapping[str, Any], closed: list[ConfigError]) -> SigningKey:
        stage, known, sign = _stage(row), self._keys.get(row["kid"]), None
        if stage.state in SIGNING:
            try:
                sign = known.sign if known and known.sign else self._open(row)
            except ConfigError as error:
                closed.append(error)
        return SigningKey(row["kid"], row["alg"], stage, json.loads(row["public_jwk"]), sign)

    def _open(self, row: Mapping[str, Any]) -> Signer:
        pem = self._ring.open(row["private_enc"], "signing_keys", "private_enc", row["kid"])
        if pem is None:
            raise ConfigError(f"signing key {row['kid']}: no key of secrets.master opens it")
        sign = signer(row["alg"], pem)
        if sign is None:
            raise ConfigError(f"signing key {row['kid']}: not a private key of {row['alg']}")
        return sign

    def _header(self, key: SigningKey, typ: str) -> bytes:
        head = b64url(_encode({"alg": key.alg, "kid": key.kid, "typ": typ})) + b"."
        self._headers[(key.alg, typ)] = head
        return head


_IN_ORDER: Final = select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid)


async def _stages(tx: AsyncConnection) -> list[Stage]:
    return [_stage(row._asdict()) for row in await tx.execute(_IN_ORDER)]


def _stage(row: Mapping[str, Any]) -> Stage:
    return Stage(row["kid"], row["alg"], row["state"], row["changed_at"])
