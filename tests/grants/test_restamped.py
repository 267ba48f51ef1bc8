"""Whom a new stamp signed out, on a store in memory and rows that the test writes — security §3."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from bridge.grants.restamped import FIRST, OVERLAP, PATIENCE, Restamped
from bridge.sessions.birth import Born
from bridge.sessions.stamp import draw_stamp
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Swap
from bridge.types import ClientId, Stamp, StampReason, Standing, UserId
from tests.sessions.world import ANN, World

SHOP = ClientId("shop")


@dataclass
class Followed:
    """A world in which stamps are followed."""

    world: World
    left: list[tuple[UserId, Mapping[ClientId, str]]] = field(default_factory=list)
    looked: list[tuple[float, float]] = field(default_factory=list)
    changed: list[Standing] = field(default_factory=list)
    after_the_look: Stamp | None = None

    async def restamped(self, since: float, until: float) -> list[Standing]:
        self.looked.append((since, until))
        return self.changed

    async def stamp_of(self, user: UserId) -> Stamp | None:
        return self.after_the_look or await self.world.rows.stamp_of(user)

    async def leave(self, user: UserId, clients: Mapping[ClientId, str]) -> None:
        self.left.append((user, clients))

    async def known(self, born: Born, sid: str) -> None:
        """A client was there under that session."""
        world = self.world
        raw = (await world.store.read(born.key))[0]
        assert raw is not None
        record = msgspec.structs.replace(born.record, clients={SHOP: sid})
        assert await world.store.commit(Swap(born.key, raw, world.sessions.tools.codec.encode(born.key, record), 600))

    def follower(self) -> Restamped:
        return Restamped(
            store=self.world.store,
            tools=self.world.sessions.tools,
            truth=self,
            clock=self.world.clock,
            leave=self.leave,
        )

    def restamp(self, born: Born, stamp: Stamp) -> None:
        self.world.rows.stamps[ANN] = stamp
        self.changed = [Standing(ANN, born.token.tag, stamp)]


def a_world() -> Followed:
    from bridge.testing.hands import Hands

    hands = Hands()
    return Followed(World(MemoryStore(clock=hands)))


async def test_each_session_of_an_older_stamp_says_to_whom_it_was_known() -> None:
    followed = a_world()
    first, second, unknown = [await followed.world.login() for _ in range(3)]
    await followed.known(first, "a")
    await followed.known(second, "b")
    followed.restamp(unknown, draw_stamp("password"))
    later = await followed.world.login()
    await followed.known(later, "c")
    follower = followed.follower()
    await follower.tick()
    assert sorted(sid for _, clients in followed.left for sid in clients.values()) == ["a", "b"]
    await follower.tick()
    assert len(followed.left) == 2, "once"


async def test_a_stamp_that_changed_while_we_looked_is_left_to_the_next_look() -> None:
    """Else somebody who came in a moment ago, under the newest, would be taken for one of the oldest."""
    followed = a_world()
    born = await followed.world.login()
    await followed.known(born, "a")
    followed.restamp(born, draw_stamp("password"))
    follower = followed.follower()
    followed.after_the_look = draw_stamp("user")
    await follower.tick()
    assert followed.left == []
    followed.after_the_look = None
    await follower.tick()
    assert len(followed.left) == 1


async def test_a_stamp_is_looked_at_when_the_session_that_stays_has_it() -> None:
    """Three seconds, which no request outlives; and again for a minute, lest one that was long on its way be missed."""
    followed = a_world()
    follower, now = followed.follower(), followed.world.clock.now()
    await follower.tick()
    followed.world.clock.move(1)
    await follower.tick()
    assert followed.looked == [
        (now - PATIENCE - FIRST, now - PATIENCE),
        (now - PATIENCE - OVERLAP, now + 1 - PATIENCE),
    ]
    assert (PATIENCE, OVERLAP) == (3, 60)


async def test_whoever_is_new_was_signed_in_nowhere() -> None:
    followed = a_world()
    born = await followed.world.login()
    await followed.known(born, "a")
    reasons: tuple[StampReason, ...] = ("new", "import")
    for reason in reasons:
        followed.restamp(born, draw_stamp(reason))
        await followed.follower().tick()
    assert followed.left == []
