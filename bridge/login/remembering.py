"""A browser that its owner asked to keep signed in comes back — sessions-and-accounts §4.4, S14; store §2, rule 3;
docs/decisions/0183.

Row, secret, birth: nobody shows who he is, so what is born says so (amr `rem`), keeps the time of the real sign-in and
counts for nothing where one is demanded.  A secret that was replaced and comes back shows that two hold the series: it
ends, with all that was made from it, and its owner is told.
"""

from typing import Final, Literal

from msgspec import Struct

from bridge.clock import Chance, Clock
from bridge.errors import Unavailable
from bridge.events.event import Events
from bridge.login.entry import TRIES, Entry
from bridge.login.series import Device, DeviceSecret, Given, Series, Verdict, judge
from bridge.login.watch import Watch
from bridge.sessions.birth import Birth, Born, Earlier
from bridge.sessions.judge import REMEMBERED
from bridge.sessions.sessions import Sessions, Stale
from bridge.stores.store import Add, Change, Store, Untag
from bridge.tokens import LoginToken, Names, digest
from bridge.types import Key, Visit
from bridge.users.backend import UserBackend
from bridge.users.user import User

AMR: Final = (REMEMBERED,)
_MARK_SECONDS: Final = 600.0
_AT_ONCE: Final = 200


class Known(Struct, frozen=True):
    """Whose device it is.  `secret`: the one to hold from now on, where another replaced it just now."""

    user: User
    secret: DeviceSecret | None
    until: int
    series: str
    """Names it where no secret may be."""


class Resumed(Struct, frozen=True):
    """He goes on under these."""

    user: User
    session: str
    """Its `id`."""
    token: LoginToken
    child: LoginToken | None
    secret: DeviceSecret
    until: int


class Over(Struct, frozen=True):
    """It opens nothing; copied: because somebody else holds it too."""

    why: Literal["over", "copied"] = "over"


class Remembered(Struct, frozen=True, kw_only=True):
    """One device as its owner may see it, without anything that could be used.  Times are Unix seconds."""

    session: str
    """The `id` that it ends with, which names it."""
    since: int
    last: int
    """When he came back by it, or made it."""
    until: int
    ip: str | None
    user_agent: str


class Remembering:
    """All remembered devices of one instance.  Every method raises `Unavailable`."""

    def __init__(
        self,
        *,
        store: Store,
        names: Names,
        series: Series,
        users: UserBackend,
        sessions: Sessions,
        entry: Entry,
        watch: Watch,
        clock: Clock,
        chance: Chance,
        events: Events,
    ) -> None:
        self.series: Series = series
        self._store = store
        self._names = names
        self._users = users
        self._sessions = sessions
        self._entry = entry
        self._watch = watch
        self._clock = clock
        self._chance = chance
        self._events = events

    async def look(self, text: str, visit: Visit) -> Known | Over:
        """Whose device it is.  Gives nobody a session and replaces no secret."""
        shown = self.series.parse(text)
        if shown is None:
            return Over()
        _, device, user = await self._read(shown)
        if user is None or device is None:
            return Over()
        match judge(device, shown, user.stamp, self._clock.now()):
            case "good":
                return Known(user, None, device.until, digest(shown.series))
            case "again" if (given := self.series.again(shown, device)) is not None:
                return Known(user, given.secret, device.until, digest(shown.series))
            case verdict:
                return await self._ended(verdict, shown, device, user, visit)

    async def resume(self, text: str, visit: Visit) -> Resumed | Over:
        """A new session for the owner of the device, and the next secret; of all who show one secret at once, each is
        given the same."""
        shown = self.series.parse(text)
        if shown is None:
            return Over()
        for _ in range(TRIES):
            raw, device, user = await self._read(shown)
            if raw is None or user is None or device is None:
                return Over()
            verdict = judge(device, shown, user.stamp, self._clock.now())
            if verdict == "good":
                given = await self._turn(shown, raw, device, user, visit)
                if given is None:
                    await self._entry.unchanged(user)  # the store may not know the stamp: absent means, ask SQL
                    continue
                return _resumed(user, device, given)
            if verdict == "again" and (given := self.series.again(shown, device)) is not None:
                return _resumed(user, device, given)
            return await self._ended(verdict, shown, device, user, visit)
        raise Unavailable("contended")

    async def forget(self, text: str, visit: Visit, *, reason: Literal["you", "replaced"] = "you") -> None:
        """The device is not signed in any more, nor is whatever was made from it."""
        shown = self.series.parse(text)
        if shown is None:
            return
        _, device, _user = await self._read(shown)
        if device is None:
            return
        await self._sessions.end(device.uid, shown.tag, device.session, reason)
        self._events.tell("device.forgotten", visit, user=device.uid, session=device.session, reason=reason)

    async def list_of(self, user: User) -> list[Remembered]:
        """The devices that stay signed in as that user, the last used first.  What is over is not looked for again."""
        index, now = self._names.devices_of(user.tag), self._clock.now()
        found: list[Remembered] = []
        keys = [Key(member) for member in await self._store.members(index)]
        for start in range(0, len(keys), _AT_ONCE):
            chunk, over = keys[start : start + _AT_ONCE], list[Change]()
            for key, raw in zip(chunk, await self._store.read(*chunk), strict=True):
                device = self.series.read(key, raw)
                if device is None or now >= device.until:
                    over.append(Untag(index, key))
                elif device.uid == user.id and device.stamp == user.stamp:
                    found.append(_shown(device))
            if over:
                await self._store.commit(*over)
        return sorted(found, key=lambda each: each.last, reverse=True)

    async def forget_one(self, user: User, session: str, visit: Visit) -> bool:
        """The device that belongs to that session; False: it is none of his that stays signed in."""
        if session not in {each.session for each in await self.list_of(user)}:
            return False
        await self._sessions.end(user.id, user.tag, session, "you")
        self._events.tell("device.forgotten", visit, user=user.id, session=session, reason="you")
        return True

    async def _read(self, shown: DeviceSecret) -> tuple[bytes | None, Device | None, User | None]:
        """The series, and its owner's row unless nobody may sign in as him."""
        key = self.series.key(shown)
        (raw,) = await self._store.read(key)
        device = self.series.read(key, raw)
        user = await self._users.by_id(device.uid) if device is not None else None
        barred = user is None or user.disabled or user.second_factor == "re-enrol"
        return raw, device, None if barred else user

    async def _turn(self, shown: DeviceSecret, raw: bytes, device: Device, user: User, visit: Visit) -> Given | None:
        """None: somebody was first."""
        by = self.series.after(shown)

        def turned(born: Born) -> tuple[Change, ...]:
            return (self.series.turned(shown, raw, device, by, born),)

        born = await self._sessions.start(
            user.standing,
            Birth.browser(self._sessions.options, ip=visit.ip),
            visit,
            amr=AMR,
            earlier=Earlier(device.session, device.auth_time),
            with_it=turned,
        )
        if isinstance(born, Stale):
            return None
        self._events.tell("device.resumed", visit, user=user.id, sid=born.token.sid, session=born.record.id, amr=AMR)
        return Given(by, born.token, born.child)

    async def _ended(self, verdict: Verdict, shown: DeviceSecret, device: Device, user: User, visit: Visit) -> Over:
        """The series ends, unless it has; where it was copied its owner is told, once."""
        if verdict == "over":
            return Over()
        if verdict == "ahead":
            await self._sessions.end(user.id, shown.tag, device.session, "replaced")
            return Over()
        await self._sessions.end(user.id, shown.tag, device.session, "copied")
        if await self._first_to_tell(shown):
            self._events.tell("device.copied", visit, user=user.id, session=device.session)
            await self._watch.device_copied(user, visit)
        return Over("copied")

    async def _first_to_tell(self, shown: DeviceSecret) -> bool:
        mark = self._names.mark(shown.tag, "copied", digest(shown.series))
        try:
            return await self._store.commit(Add(mark, self._chance(16), _MARK_SECONDS))
        except Unavailable:  # a letter too many rather than none
            return True


def _shown(device: Device) -> Remembered:
    return Remembered(
        session=device.session,
        since=device.auth_time,
        last=device.turned,
        until=device.until,
        ip=device.ip,
        user_agent=device.ua,
    )


def _resumed(user: User, device: Device, given: Given) -> Resumed:
    return Resumed(user, device.session, given.token, given.child, given.secret, device.until)
