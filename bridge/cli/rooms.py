"""The rooms for a command: SQL, the store and what stands on them, without doors and background work — DESIGN §4."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from bridge.app.rooms import Rooms, make_rooms
from bridge.clock import SystemClock, chance
from bridge.config import Config
from bridge.database.revision import check_revision
from bridge.errors import ConfigError, Unavailable
from bridge.types import Visit

Result = TypeVar("Result")

ACTOR: Final = "command"
VISIT: Final = Visit("command")


def within(file: Path | None, work: Callable[[Rooms], Awaitable[Result]]) -> Result:
    """Do the work in the rooms of the settings in `file`.  Raises ConfigError, Unavailable, and what the work does."""

    async def done() -> Result:
        async with opened(Config.discover(file)) as rooms:
            return await work(rooms)

    return asyncio.run(done())


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Rooms]:
    """The rooms, connected to a database that is up to date; what happened is in the audit before they close.

    A store that does not answer is no reason to refuse: SQL is the truth, and the reconciler publishes it.
    """
    rooms = closed(config)
    try:
        await rooms.database.open()
        await check_revision(rooms.database)
        await _check_slot_key(rooms)
        with suppress(Unavailable):
            await rooms.raw_store.open()
        yield rooms
    finally:
        await rooms.audit.close()
        await close(rooms)


def closed(config: Config) -> Rooms:
    """The rooms, not yet connected.  Raises ConfigError."""
    rooms = make_rooms(config, clock=SystemClock(), chance=chance)
    rooms.events.listen(rooms.audit)
    return rooms


async def close(rooms: Rooms) -> None:
    """Let go of store and database."""
    await rooms.raw_store.close()
    await rooms.database.close()


async def _check_slot_key(rooms: Rooms) -> None:
    """Under another slot key a new user would lie where nobody looks for him (security §19)."""
    for user in await rooms.users.list(limit=1):
        if rooms.slots.of_user(user.id) != user.tag:
            raise ConfigError("secrets.slot is not the slot key under which this database was made")
