"""What the sessions ask of SQL, which is the truth about endings — security §3, store §2.

`bridge.database.endings.Endings` satisfies `Truth` by its shape; the rooms do not know one another.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.sessions.record import EndReason
from bridge.types import ClientId, Key, SlotTag, Stamp, Standing, UserId


class EndedSession(Protocol):
    """A session that was ended."""

    @property
    def user(self) -> UserId: ...
    @property
    def tag(self) -> SlotTag: ...
    @property
    def session_id(self) -> str: ...
    @property
    def reason(self) -> str: ...


class EndedKey(Protocol):
    """The name of a record whose token was replaced."""

    @property
    def user(self) -> UserId: ...
    @property
    def tag(self) -> SlotTag: ...
    @property
    def session_id(self) -> str: ...
    @property
    def key(self) -> str: ...


class RecentEndings(Protocol):
    """What ended within some time: what the reconciler publishes again."""

    @property
    def users(self) -> Sequence[Standing]: ...
    @property
    def sessions(self) -> Sequence[EndedSession]: ...
    @property
    def keys(self) -> Sequence[EndedKey]: ...


class Truth(Protocol):
    """Every call is a transaction of its own on the primary.  Raises `Unavailable`."""

    async def stamp_of(self, user: UserId) -> Stamp | None:
        """The user's stamp now; None: there is no such user."""
        ...

    async def restamp(self, user: UserId, new: Stamp, *, expected: Stamp | None = None) -> bool:
        """Write the new stamp, where `expected` is given only over that very one.  False: nothing was written."""
        ...

    async def end_session(
        self,
        user: UserId,
        tag: SlotTag,
        session_id: str,
        reason: EndReason,
        until: float,
        *,
        told: Mapping[ClientId, str],
    ) -> None:
        """The session has ended; remembered until that Unix time.  The first reason stays.

        `told`: the clients that it was known to, each to be told of it in the same transaction, once.
        """
        ...

    async def end_key(self, key: Key, session_id: str, user: UserId, tag: SlotTag, until: float) -> None:
        """The record at `key` was replaced by another of the same session."""
        ...
