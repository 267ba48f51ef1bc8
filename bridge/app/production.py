"""What no bridge in production opens with: the demo's user — security §27."""

from typing import Final

from bridge.app.rooms import Rooms
from bridge.errors import ConfigError

DEMO_USER: Final = "demo@example.com"
DEMO_IN_PRODUCTION: Final = f"this database has the demo's user {DEMO_USER}: disable it, or make a database of your own"


async def refuse_the_demo(rooms: Rooms) -> None:
    """Raise ConfigError if he could sign in, unless this is the dev profile; Unavailable."""
    if rooms.config.dev:
        return
    user = await rooms.users.by_email(DEMO_USER)
    if user is not None and not user.disabled:
        raise ConfigError(DEMO_IN_PRODUCTION)
