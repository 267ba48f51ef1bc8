"""What follows a confirmed or undone address at once: every session of the user is over — security §3, §24."""

from typing import Any

from bridge.errors import Unavailable
from bridge.resets.readdress import Readdress
from bridge.types import SlotTag, UserId, Visit
from bridge.users.email_changes import EmailChange, Gone
from bridge.users.user import User
from tests.accounts.world import World

HERE = Visit("pages")


class Published:
    """Hears whose stamp is published; `down`: the store does not answer."""

    def __init__(self, *, down: bool = False) -> None:
        self.users: list[UserId] = []
        self.down = down

    async def publish_stamp(self, user: UserId, tag: SlotTag) -> None:
        self.users.append(user)
        if self.down:
            raise Unavailable("the store is away")


async def asked(world: World, sessions: Any) -> tuple[Readdress, EmailChange]:
    ada = await world.user("ada")
    change = await world.ask(world.changes.request, ada.id, "countess@example.com")
    assert isinstance(change, EmailChange)
    return Readdress(changes=world.changes, outbox=world.outbox, sessions=sessions, ledger=world.ledger), change


async def test_confirming_and_undoing_publish_the_new_stamp(world: World) -> None:
    sessions = Published()
    readdress, change = await asked(world, sessions)
    for way in (readdress.confirm, readdress.undo):
        found = await world.changes.token_of(change.id)
        assert found is not None
        assert isinstance(await way(found[1], HERE), User)
        assert isinstance(await way(found[1], HERE), Gone)
    assert sessions.users == [change.user, change.user]


async def test_a_store_that_is_away_undoes_nothing(world: World) -> None:
    readdress, change = await asked(world, Published(down=True))
    found = await world.changes.token_of(change.id)
    assert found is not None and isinstance(await readdress.confirm(found[1], HERE), User)
    now = await world.users.by_id(change.user)
    assert now is not None and now.email == "countess@example.com"
