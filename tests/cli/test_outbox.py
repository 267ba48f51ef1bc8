"""`login-bridge outbox`: what waits, what was given up and why, and another beginning — sessions-and-accounts §6.3."""

from pathlib import Path

from sqlalchemy import update

from bridge.app.rooms import Rooms
from bridge.database.tables import outbox
from tests.cli.conftest import Command, within


async def _two(rooms: Rooms) -> None:
    """A sign-out that was given up, a letter that waits, and one that was given up an hour after it was asked for."""
    given_up = await rooms.outbox.put(None, "backchannel-logout", None, {"client": "shop", "sid": "SID"})
    await rooms.outbox.put(None, "password-changed", None, {"at": "1"}, delay=3_600)
    over = await rooms.outbox.put(None, "reset", None, {"email_key": "ada@example.com"})
    dead = {"state": "dead", "attempts": 6, "finished_at": 1, "last_error": "Untold: shop: slow"}
    async with rooms.database.begin() as tx:
        await tx.execute(update(outbox).where(outbox.c.id == given_up).values(**dead))
        long_ago = outbox.c.created_at - rooms.config.resets.lifetime
        await tx.execute(update(outbox).where(outbox.c.id == over).values(**dead, created_at=long_ago))


def test_what_was_given_up_is_shown_and_begun_again(place: Path, command: Command) -> None:
    assert command("outbox", "list", "--json").json == []
    within(_two)
    shown = command("outbox", "list", "--json").json
    assert [(job["client"], job["state"], job["attempts"], job["error"]) for job in shown] == [
        ("shop", "dead", 6, "Untold: shop: slow"),
        (None, "waiting", 0, ""),
        (None, "dead", 6, "Untold: shop: slow"),
    ]
    table = command("outbox", "list").out
    assert "Untold: shop: slow" in table and "UTC" in table and "SID" not in table
    refused = command("outbox", "retry", "--kind", "reset", "--kind", "new-device")
    assert refused.status == 1 and "nothing of the kind new-device was given up" in refused.err
    over = {"reset": 1}
    assert command("outbox", "retry", "--kind", "reset", "--json").json == {"revived": 0, "kinds": {}, "over": over}
    kinds = {"backchannel-logout": 1}
    assert command("outbox", "retry", "--json").json == {"revived": 1, "kinds": kinds, "over": over}
    assert [(job["state"], job["attempts"]) for job in command("outbox", "list", "--json").json] == [
        ("waiting", 0),
        ("waiting", 0),
        ("dead", 6),
    ]
    assert command("outbox", "retry").out == "0 to be tried again\n1 reset left alone: the link is over\n"
    assert '"outbox.retried"' in command("audit", "export", "--since", "1h").out
