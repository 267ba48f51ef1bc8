"""Revocation survives a lying store — security §3; store §2, rules 8 and 9."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from bridge.errors import Unavailable
from bridge.sessions.birth import Born
from bridge.sessions.reconciler import Reconciler
from bridge.sessions.stamp import draw_stamp
from bridge.stores.gate import Gate
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Add, Change, Drop, Put, Tag
from bridge.testing.hands import Hands
from bridge.tokens import LoginToken
from bridge.types import FamilyId
from tests.patience import until
from tests.sessions.world import ANN, VISIT, Ended, Recent, World


class Rolling(MemoryStore):
    """A store that can be set back to a snapshot, as a restart without its last writes does, and notices it."""

    def __init__(self) -> None:
        super().__init__(Hands())
        self.run = 1
        self.believed: str | None = None
        self.down = False

    @property
    def lost(self) -> bool:
        return self.believed is not None and self.believed != f"run {self.run}"

    def regained(self, identity: str | None = None) -> None:
        self.believed = identity

    async def identity(self) -> str:
        if self.down:
            raise Unavailable("down")
        return f"run {self.run}"

    def snapshot(self) -> tuple[dict[str, tuple[bytes, float]], dict[str, dict[str, float]]]:
        return dict(self._values), {name: dict(members) for name, members in self._indexes.items()}

    def restore(self, snapshot: tuple[dict[str, tuple[bytes, float]], dict[str, dict[str, float]]]) -> None:
        self._values, self._indexes = snapshot
        self.run += 1


class Scene(World):
    """A world with a reconciler beside it, behind whose gate everybody else stands."""

    def __init__(self) -> None:
        self.raw = Rolling()
        super().__init__(Gate(self.raw))
        self.seen: list[Recent] = []
        self.reconciler = Reconciler[Recent](
            store=self.raw,
            truth=self.rows,
            tools=self.sessions.tools,
            clock=self.clock,
            events=self.events,
            steps=[self._step],
        )

    async def _step(self, recent: Recent) -> None:
        self.seen.append(recent)


@pytest.fixture
async def scene() -> Scene:
    """A world whose store was believed already."""
    scene = Scene()
    await scene.reconciler.tick()
    return scene


async def test_3_a_stamp_that_the_store_forgot_is_published_before_anybody_reads(scene: Scene) -> None:
    born = await scene.login()
    before = scene.raw.snapshot()
    await scene.sessions.end_all(ANN, born.token.tag, "password")
    scene.raw.restore(before)
    with pytest.raises(Unavailable):
        await scene.at(born.token)
    await scene.reconciler.tick()
    assert await scene.why(born.token) == "password-changed"
    assert scene.heard.kinds()[-2:] == ["store.lost", "store.regained"]


async def test_3_a_session_that_the_store_forgot_to_be_over_ends_again_with_its_children(scene: Scene) -> None:
    born = await scene.login()
    before = scene.raw.snapshot()
    await scene.sessions.end(ANN, born.token.tag, born.record.id, "administrator")
    scene.raw.restore(before)
    await scene.reconciler.tick()
    assert await scene.why(born.token) == "ended-by-administrator"
    assert await scene.why(born.child, "middleware") == "ended-by-administrator"


async def test_3_a_token_that_was_replaced_and_lives_again_ends_its_session(scene: Scene) -> None:
    born = await scene.login()
    before = scene.raw.snapshot()
    rotated = await scene.sessions.rotate(await scene.alive(born.token), await scene.standing(), VISIT, amr=["pwd"])
    assert isinstance(rotated, Born)
    await scene.reconciler.tick()
    assert await scene.why(rotated.token) == "alive"  # as long as the store goes forward nothing ends
    scene.raw.restore(before)
    await scene.reconciler.tick()
    assert await scene.why(born.token) != "alive"
    assert [row.session_id for row in scene.rows.sessions] == [born.record.id]


async def test_3_a_crash_between_sql_and_the_store_is_mended_by_the_next_tick(scene: Scene) -> None:
    born, other = await scene.login(), await scene.login()
    tag = born.token.tag
    await scene.rows.end_session(ANN, tag, born.record.id, "you", 0)
    assert await scene.why(born.token) == "alive"
    await scene.reconciler.tick()
    assert await scene.why(born.token) == "ended-by-you"
    await scene.rows.restamp(ANN, draw_stamp("password"))
    await scene.reconciler.tick()
    assert await scene.why(other.token) == "password-changed"


async def test_3_one_time_things_of_before_a_loss_are_refused_first_thing(scene: Scene) -> None:
    """The epoch is raised before anything else is published, and once for each loss."""
    assert scene.rows.identities == ["run 1"]
    scene.raw.restore(scene.raw.snapshot())
    scene.rows.error = Unavailable("no SQL")
    with pytest.raises(Unavailable):
        await scene.reconciler.tick()
    assert scene.rows.identities == ["run 1", "run 2"]
    assert scene.raw.lost  # nobody reads before all is published
    scene.rows.error = None
    await scene.reconciler.tick()
    assert not scene.raw.lost
    assert scene.rows.identities == ["run 1", "run 2"]


async def test_3_the_steps_of_others_belong_to_the_publication(scene: Scene) -> None:
    async def fails(_: Recent) -> None:
        raise Unavailable("families")

    broken = Reconciler[Recent](
        store=scene.raw,
        truth=scene.rows,
        tools=scene.sessions.tools,
        clock=scene.clock,
        events=scene.events,
        steps=[fails],
    )
    scene.raw.restore(scene.raw.snapshot())
    with pytest.raises(Unavailable):
        await broken.tick()
    assert scene.raw.lost
    await scene.reconciler.tick()
    assert scene.seen and not scene.raw.lost


async def test_a_loss_during_the_publication_keeps_the_gate_closed(scene: Scene) -> None:
    async def lost_again(_: Recent) -> None:
        if scene.raw.run == 2:
            scene.raw.run += 1

    reconciler = Reconciler[Recent](
        store=scene.raw,
        truth=scene.rows,
        tools=scene.sessions.tools,
        clock=scene.clock,
        events=scene.events,
        steps=[lost_again],
    )
    scene.raw.run = 2
    await reconciler.tick()
    assert scene.raw.lost
    await reconciler.tick()
    assert not scene.raw.lost


async def test_a_loss_without_a_new_identity_is_a_loss(scene: Scene) -> None:
    """A connection found the server behind: the same run may have lost its last writes."""
    scene.raw.believed = "doubted"
    scene.seen.clear()
    await scene.reconciler.tick()
    assert not scene.raw.lost
    assert scene.heard.kinds()[-2:] == ["store.lost", "store.regained"]


async def test_what_ended_while_nobody_could_publish_is_not_forgotten(scene: Scene) -> None:
    asked: list[float | None] = []

    class Asked(type(scene.rows)):  # type: ignore[misc]
        async def recent(self, since: float | None) -> Recent:
            asked.append(since)
            return Recent([], [], [])

    reconciler = Reconciler[Recent](
        store=scene.raw, truth=Asked(), tools=scene.sessions.tools, clock=scene.clock, events=scene.events
    )
    await reconciler.tick()
    start = scene.clock.now()
    for _ in range(9):
        scene.clock.move(1)
        await reconciler.tick()
    scene.raw.down = True
    scene.clock.move(5_000)
    with pytest.raises(Unavailable):
        await reconciler.tick()
    scene.raw.down = False
    await reconciler.tick()
    assert asked[0] is None
    assert asked[1:10] == [start + n - 59 - 1 for n in range(9)]
    assert asked[10] is not None and asked[10] <= start + 9 - 60


async def test_an_ended_session_keeps_its_first_reason(scene: Scene) -> None:
    born = await scene.login()
    await scene.sessions.end(ANN, born.token.tag, born.record.id, "evicted")
    scene.rows.sessions[:] = [Ended(ANN, born.token.tag, born.record.id, "administrator")]
    await scene.reconciler.tick()
    assert await scene.why(born.token) == "evicted"


async def test_the_reconciler_runs_until_it_is_stopped_and_outlives_trouble(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sessions.reconciler.EVERY", 0.001)
    scene.raw.down = True
    running = asyncio.create_task(scene.reconciler.run())
    await asyncio.sleep(0.01)
    born = await scene.login()
    await scene.rows.end_session(ANN, born.token.tag, born.record.id, "you", 0)
    scene.raw.down = False

    async def ended() -> bool:
        return await scene.why(born.token) != "alive"

    await until(ended)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


class Unread(MemoryStore):
    """Commits are counted: publishing what is already so writes nothing."""

    def __init__(self) -> None:
        super().__init__(Hands())
        self.writes: list[Sequence[Change]] = []

    async def commit(self, *changes: Change) -> bool:
        self.writes.append(changes)
        return await super().commit(*changes)


async def test_a_stamp_that_is_absent_is_left_to_whoever_asks_for_it(scene: Scene) -> None:
    """Else a start would publish the stamp of everybody who ever signed in."""
    born = await scene.login()
    await scene.sessions.end_all(ANN, born.token.tag, "admin")
    stamp = scene.names.stamp(born.token.tag)
    assert await scene.store.commit(Drop(stamp))
    scene.raw.restore(scene.raw.snapshot())
    await scene.reconciler.tick()
    assert await scene.store.read(stamp) == [None]
    assert await scene.why(born.token) == "ended-by-administrator"


async def test_what_ended_is_remembered_until_nothing_of_it_could_live(scene: Scene) -> None:
    short, family, unknown = await scene.login(), await scene.login(), "0" * 22
    tag = short.token.tag
    key = scene.names.family(tag, FamilyId("0" * 16))
    await scene.store.commit(Add(key, b"1", 600), Tag(scene.names.born_under(tag, family.record.id), key, 600))
    for session_id in (short.record.id, family.record.id, unknown):
        await scene.sessions.end(ANN, tag, session_id, "you")
    longest = scene.clock.now() + scene.options.ended_ttl
    assert scene.rows.until == {
        short.record.id: short.record.abs + 600,
        family.record.id: longest,
        unknown: longest,
    }


async def test_publishing_again_what_is_so_writes_nothing() -> None:
    store = Unread()
    world = World(store)
    born = await world.login()
    await world.sessions.end_all(ANN, born.token.tag, "admin")
    other = await world.login()
    await world.sessions.end(ANN, other.token.tag, other.record.id, "you")
    reconciler = Reconciler[Recent](
        store=store, truth=world.rows, tools=world.sessions.tools, clock=world.clock, events=world.events
    )
    store.writes.clear()
    await reconciler.tick()
    await reconciler.tick()
    assert store.writes == []
    assert isinstance(born.token, LoginToken)


class Full(Rolling):
    """A server that can be read but not written."""

    full = False

    async def commit(self, *changes: Change) -> bool:
        if self.full:
            raise Unavailable("out of memory")
        return await super().commit(*changes)


async def test_a_store_that_takes_no_writes_is_shut_once_an_ending_cannot_be_told() -> None:
    scene, store = Scene(), Full()
    gate = Gate(store)
    world = World(gate)
    reconciler = Reconciler[Recent](
        store=store, truth=world.rows, tools=world.sessions.tools, clock=world.clock, events=scene.events, gate=gate
    )
    await reconciler.tick()
    born = await world.login()
    store.full = True
    await reconciler.tick()
    assert await world.why(born.token) == "alive", "nothing waits to be told: whoever is in may stay"
    with pytest.raises(Unavailable):
        await world.sessions.end_all(ANN, born.token.tag, "disabled")
    with pytest.raises(Unavailable):
        await reconciler.tick()
    with pytest.raises(Unavailable, match="endings wait"):
        await world.why(born.token)
    store.full = False
    await reconciler.tick()
    assert await world.why(born.token) == "disabled"


class Listing(Rolling):
    """Indexes that are read are counted, and somebody may be born while one is."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = 0
        self.meanwhile: Sequence[Change] = ()

    async def members(self, index: str) -> list[str]:
        self.listed += 1
        found = await super().members(index)
        born, self.meanwhile = self.meanwhile, ()
        await self.commit(*born)
        return found


class Over(World):
    """Somebody with a session that is over, which the reconciler of his store has seen."""

    def __init__(self) -> None:
        self.listing = Listing()
        super().__init__(self.listing)
        self.reconciler = Reconciler[Recent](
            store=self.listing, truth=self.rows, tools=self.sessions.tools, clock=self.clock, events=self.events
        )

    async def begin(self) -> None:
        await self.reconciler.tick()
        self.born = await self.login()
        self.child = self.born.child
        assert self.child is not None
        self.places = [self.names.session(self.born.token), self.names.session(self.child)]
        self.before = await self.listing.read(*self.places)
        await self.sessions.end(ANN, self.born.token.tag, self.born.record.id, "you")
        await self.reconciler.tick()

    async def lives_again(self, *places: int) -> None:
        """The store lost the last writes to these keys, and does not know it."""
        for place in places:
            raw = self.before[place]
            assert raw is not None
            await self.listing.commit(Put(self.places[place], raw, 600))

    async def ticks(self, number: int) -> int:
        """So many, each a second later; says how many indexes were read."""
        self.listing.listed = 0
        for _ in range(number):
            self.clock.move(1)
            await self.reconciler.tick()
        return self.listing.listed


@pytest.fixture
async def over() -> Over:
    over = Over()
    await over.begin()
    return over


async def test_what_is_over_is_looked_at_each_second_and_not_listed_again(over: Over) -> None:
    assert await over.ticks(25) == 0
    assert await over.why(over.child, "middleware") == "ended-by-you"


@pytest.mark.parametrize("places", [(0,), (1,), (0, 1)], ids=["parent", "child", "both"])
async def test_3_what_lives_again_behind_our_back_is_over_within_a_second(over: Over, places: Sequence[int]) -> None:
    await over.lives_again(*places)
    again = [await over.why(over.born.token), await over.why(over.child, "middleware")]
    assert [again[place] for place in places] == ["alive"] * len(places)
    assert await over.ticks(1) > 0
    assert [await over.why(over.born.token), await over.why(over.child, "middleware")] == ["ended-by-you"] * 2
    assert await over.ticks(1) == 0


async def test_3_what_the_store_forgot_and_remembers_as_alive_is_over_within_a_second(over: Over) -> None:
    await over.listing.commit(*(Drop(key) for key in over.places))
    await over.ticks(3)
    await over.lives_again(0, 1)
    await over.ticks(1)
    assert [await over.why(over.born.token), await over.why(over.child, "middleware")] == ["ended-by-you"] * 2


async def test_3_who_was_born_while_the_session_was_listed_is_looked_at_too() -> None:
    over = Over()
    await over.reconciler.tick()
    born = await over.login()
    assert born.child is not None
    tag = born.token.tag
    (raw,) = await over.listing.read(over.names.session(born.child))
    late, index = over.names.family(tag, FamilyId("0" * 16)), over.names.born_under(tag, born.record.id)
    assert raw is not None
    await over.rows.end_session(ANN, tag, born.record.id, "you", 0)
    over.listing.meanwhile = (Add(late, raw, 600), Tag(index, late, 600))
    await over.ticks(1)
    await over.listing.commit(Put(late, raw, 600))
    await over.ticks(1)
    assert await over.listing.read(late) != [raw]


async def test_another_store_is_listed_anew(over: Over) -> None:
    over.listing.run += 1
    assert await over.ticks(1) > 0
    assert await over.ticks(1) == 0


async def test_what_ended_long_ago_is_not_remembered(over: Over) -> None:
    ended, over.rows.sessions = over.rows.sessions, []
    await over.ticks(10)
    over.rows.sessions = ended
    assert await over.ticks(1) > 0


async def test_of_more_than_can_be_remembered_the_rest_is_listed_each_time(
    over: Over, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sessions.reconciler.MOST_KNOWN", 2)
    for _ in range(3):
        await over.sessions.end(ANN, over.born.token.tag, (await over.login()).record.id, "you")
    await over.ticks(1)
    assert await over.ticks(1) == 4, "two of the four, each of them twice"


async def test_what_is_remembered_grows_with_what_is_found_also_where_there_is_no_room(
    over: Over, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that lied shows one more birth: it is looked at from then on, too."""
    monkeypatch.setattr("bridge.sessions.reconciler.MOST_KNOWN", 0)
    late = over.names.family(over.born.token.tag, FamilyId("0" * 16))
    index = over.names.born_under(over.born.token.tag, over.born.record.id)
    await over.lives_again(0)
    await over.listing.commit(Add(late, b"alive", 600), Tag(index, late, 600))
    await over.ticks(1)
    await over.listing.commit(Put(late, b"alive", 600))
    await over.ticks(1)
    assert await over.listing.read(late) != [b"alive"]


async def test_3_of_many_replaced_tokens_that_live_again_each_one_ends_its_session(
    over: Over, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.sessions.reconciler.AT_ONCE", 2)
    born = [await over.login() for _ in range(5)]
    over.rows.keys += [Ended(ANN, one.token.tag, one.record.id, key=over.names.session(one.token)) for one in born]
    await over.ticks(1)
    assert "alive" not in [await over.why(one.token) for one in born]
