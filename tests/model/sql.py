"""SQL as far as sessions, logins and grants ask it: every call is a turn and a transaction — security §3.

Nothing is ever lost here; but whoever wrote may crash before he tells the store.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

import msgspec

from bridge.database.consents import ConsentRow
from bridge.database.recent import EndedKey, EndedSession, Recent
from bridge.secret import Secret
from bridge.sessions.stamp import draw_stamp
from bridge.tokens import Slots
from bridge.types import ClientId, FamilyId, Key, SlotTag, Stamp, StampReason, Standing, Subject, UserId
from bridge.users import backend
from bridge.users.factors import Enrolled, KnownCode
from bridge.users.passkey import Passkey
from bridge.users.user import SecondFactorState, User
from tests.model.turns import FLOW, Turns

TOTP_SECRET = Secret("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
RECOVERY_CODE = Secret("0123-4567-89ab-cdef")
CHECKED_AT: ContextVar[int] = ContextVar("checked_at", default=0)
"""The step at which this flow read the row that its credential was checked against."""


@dataclass
class Row:
    """A user."""

    user: User
    password: str = "p0"


@dataclass(frozen=True)
class Happened:
    """What SQL said at which step, for the judge."""

    step: int
    what: str
    user: UserId
    about: str = ""


@dataclass
class ModelSql:
    """The truth."""

    turns: Turns
    slots: Slots
    name: str = "bridge"
    capabilities: backend.Capability = backend.Capability.NONE
    rows: dict[UserId, Row] = field(default_factory=dict)
    sessions: dict[str, EndedSession] = field(default_factory=dict)
    keys: dict[str, EndedKey] = field(default_factory=dict)
    families: dict[tuple[SlotTag, FamilyId], str] = field(default_factory=dict)
    consents: dict[tuple[UserId, ClientId], ConsentRow] = field(default_factory=dict)
    happened: list[Happened] = field(default_factory=list)
    epoch: int = 1
    code_used: bool = False
    passkeys: dict[bytes, Passkey] = field(default_factory=dict)
    identities: set[str] = field(default_factory=lambda: {"run 1"})

    def add(self, user: UserId, *, second_factor: SecondFactorState = "none") -> User:
        """A user who was always there."""
        made = User(
            id=user,
            sub=Subject(f"sub-{user}"),
            tag=self.slots.of_user(user),
            email=f"{user}@example.org",
            stamp=draw_stamp("new"),
            second_factor=second_factor,
        )
        self.rows[user] = Row(made)
        return made

    # ── users ──

    async def authenticate(self, email: str, password: Secret) -> backend.Answer:
        await self.turns.take("sql: the row, before the password is checked")
        CHECKED_AT.set(self.turns.step)
        row = next(row for row in self.rows.values() if row.user.email == email)
        if row.user.disabled or not password.matches(row.password):
            return backend.Refused()
        return backend.Authenticated(row.user)

    async def by_id(self, user: UserId) -> User | None:
        await self.turns.take("sql: the row")
        return self.rows[user].user

    async def by_email(self, email: str) -> User | None:
        return next((row.user for row in self.rows.values() if row.user.email == email), None)

    async def totp_secret(self, user: UserId) -> Secret | None:
        await self.turns.take("sql: the secret")
        return TOTP_SECRET

    async def enrolled(self, user: UserId) -> Enrolled:
        return Enrolled(totp_since=0, codes_left=int(not self.code_used))

    async def recovery_code(self, user: UserId, code: Secret) -> KnownCode | None:
        await self.turns.take("sql: the recovery code")
        return KnownCode(1, self.code_used)

    async def spend_code(self, deed: object, user: UserId, code: int) -> int | None:
        await self.turns.take("sql: the recovery code is used up")
        if self.code_used:
            return None
        self.code_used = True
        return 0

    async def passkey(self, credential_id: bytes) -> Passkey | None:
        await self.turns.take("sql: the passkey")
        return self.passkeys.get(credential_id)

    async def use_passkey(self, passkey: Passkey, sign_count: int) -> bool:
        await self.turns.take("sql: the passkey was used")
        return True  # by an authenticator that does not count

    async def change(self, user: UserId, reason: StampReason, *, password: str | None = None) -> None:
        """Another password, or disabled: the row and its stamp in one transaction."""
        await self.turns.take(f"sql: {reason} of {user} changes")
        row = self.rows[user]
        changed = msgspec.structs.replace(
            row.user, stamp=draw_stamp(reason), disabled=row.user.disabled or reason == "disabled"
        )
        self.rows[user] = Row(changed, password or row.password)
        self._note("all ended", user)

    # ── endings ──

    async def stamp_of(self, user: UserId) -> Stamp | None:
        await self.turns.take("sql: the stamp")
        return self.rows[user].user.stamp

    async def restamp(self, user: UserId, new: Stamp, *, expected: Stamp | None = None) -> bool:
        await self.turns.take("sql: restamp")
        row = self.rows[user]
        if expected is not None and row.user.stamp != expected:
            return False
        self.rows[user] = Row(msgspec.structs.replace(row.user, stamp=new), row.password)
        self._note("all ended" if expected is None else "others ended", user, FLOW.get())
        return True

    async def end_session(
        self,
        user: UserId,
        tag: SlotTag,
        session_id: str,
        reason: str,
        until: float,
        *,
        told: Mapping[ClientId, str],
    ) -> None:
        await self.turns.take("sql: the session has ended")
        row = EndedSession(user=user, tag=tag, session_id=session_id, reason=reason)
        self.sessions.setdefault(session_id, row)

    async def end_key(self, key: Key, session_id: str, user: UserId, tag: SlotTag, until: float) -> None:
        await self.turns.take("sql: the token was replaced")
        self.keys[key] = EndedKey(key=key, session_id=session_id, user=user, tag=tag)

    async def end_family(self, tag: SlotTag, family: FamilyId, reason: str, until: float) -> None:
        await self.turns.take("sql: the family has ended")
        self.families.setdefault((tag, family), reason)

    async def recent(self, since: float | None) -> Recent:
        await self.turns.take("sql: what ended")
        return Recent(
            epoch=self.epoch,
            versions={},
            users=[Standing(user, row.user.tag, row.user.stamp) for user, row in self.rows.items()],
            sessions=list(self.sessions.values()),
            keys=list(self.keys.values()),
            families=list(self.families),
            consents=[(user, self.slots.of_user(user), client) for user, client in self.consents],
        )

    async def raise_epoch(self, identity: str) -> int:
        await self.turns.take("sql: the epoch is raised")
        if identity not in self.identities:
            self.identities.add(identity)
            self.epoch += 1
        return self.epoch

    # ── consents ──

    async def of(self, user: UserId, client: ClientId) -> tuple[ConsentRow, Stamp, SlotTag] | None:
        await self.turns.take("sql: the consent")
        row = self.consents.get((user, client)) or ConsentRow(client=client, version=0, granted=False, scopes=())
        return row, self.rows[user].user.stamp, self.slots.of_user(user)

    async def granted_by(self, user: UserId) -> Sequence[ConsentRow]:
        return [row for (owner, _), row in self.consents.items() if owner == user and row.granted]

    async def withdrawn(self, answers: Sequence[tuple[UserId, ClientId]]) -> Sequence[tuple[UserId, ConsentRow]]:
        await self.turns.take("sql: what was withdrawn")
        found = [(user, self.consents[user, client]) for user, client in answers if (user, client) in self.consents]
        return [(user, row) for user, row in found if not row.granted]

    async def write(self, new: ConsentRow, user: UserId, told: Sequence[str] = ()) -> bool:
        await self.turns.take("sql: the consent changes")
        old = self.consents.get((user, new.client))
        if new.version != (old.version if old is not None else 0) + 1:
            return False
        self.consents[user, new.client] = new
        if not new.granted:
            self._note("withdrawn", user, f"{new.client} {new.version}")
        return True

    def _note(self, what: str, user: UserId, about: str = "") -> None:
        self.happened.append(Happened(self.turns.step, what, user, about))
