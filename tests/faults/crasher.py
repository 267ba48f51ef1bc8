"""One bridge in a process of its own that dies between SQL and store: `python -m tests.faults.crasher WHAT EMAIL`.

What it does is done as a door does it; the first thing that is then asked of the store ends the process at once.
"""

import asyncio
import os
import signal
import sys
from typing import Never

from bridge.app.rooms import Rooms, make_rooms
from bridge.clock import SystemClock, chance
from bridge.config import Config
from bridge.grants.records import Family, read_family
from bridge.secret import Secret
from bridge.types import ClientId
from bridge.users.user import User


def die(*_: object) -> Never:
    """As a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


async def crash(what: str, email: str) -> None:
    """Write the ending to SQL, and die before the store hears of it."""
    rooms = make_rooms(Config.load(None, os.environ), clock=SystemClock(), chance=chance)
    await rooms.database.open()
    await rooms.raw_store.open()
    user = await rooms.users.by_email(email)
    assert user is not None
    session, family = os.environ["CRASH_SESSION"], await _family(rooms)
    # Some look at the store before they write to SQL; nobody changes it.
    rooms.raw_store.commit = die  # type: ignore[method-assign]
    await _end(rooms, what, user, session, family)


async def _family(rooms: Rooms) -> Family | None:
    """That of the refresh token."""
    token = rooms.mint.parse("refresh", os.environ.get("CRASH_TOKEN", ""))
    if token is None:
        return None
    (raw,) = await rooms.raw_store.read(rooms.names.family(token.tag, token.family))
    return read_family(raw, token.family, rooms.clock.now())


async def _end(rooms: Rooms, what: str, user: User, session: str, family: Family | None) -> None:
    match what:
        case "all":
            await rooms.sessions.end_all(user.id, user.tag, "user")
        case "session":
            await rooms.sessions.end(user.id, user.tag, session, "you")
        case "consent":
            await rooms.consents.withdraw(user.id, user.tag, ClientId("notes"))
        case "family":
            assert family is not None
            await rooms.families.end(user.tag, family, "revoked")
        case "password":
            changed = await rooms.users.set_password(user, Secret("a new one that nobody knows"))
            assert changed is not None
            await rooms.sessions.publish_stamp(user.id, user.tag)
        case _:
            assert what == "disable"
            await rooms.users.disable(user.id)
            await rooms.sessions.publish_stamp(user.id, user.tag)


if __name__ == "__main__":
    asyncio.run(crash(*sys.argv[1:]))
