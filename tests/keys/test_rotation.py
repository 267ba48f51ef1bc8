"""Signing keys come and go without a moment in which a client could not verify — Core §10.1.1; §12 no. 86."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from bridge.database.database import Database
from bridge.database.tables import signing_keys
from bridge.errors import ConfigError
from bridge.events.event import Event, Events
from bridge.keys.algorithms import ALGORITHMS, new_key
from bridge.keys.keyring import Keyring, UnknownKey
from bridge.keys.rotation import (
    Make,
    Move,
    Schedule,
    Stage,
    State,
    Step,
    compromised,
    due,
    due_at,
    missing,
    rotated,
)
from bridge.ring import Ring
from bridge.testing.hands import Hands
from tests.databases import opened

RING_LINE = Ring.new_line("r1")
RING = Ring.parse(RING_LINE)
SCHEDULE = Schedule(every=1_000, before=100, after=500)
BY_HAND = Schedule(every=0, before=100, after=500)
CLAIMS = {"iss": "https://op.test"}


def rs(*keys: tuple[State, int]) -> list[Stage]:
    """Keys of RS256 (`a`, `b`, …), beside an active one of each other algorithm that is as new as can be."""
    named = [Stage("abcdef"[n], "RS256", state, since) for n, (state, since) in enumerate(keys)]
    return [*named, *(Stage(alg, alg, "active", 10_000) for alg in ALGORITHMS[1:])]


@pytest.mark.parametrize(
    ("keys", "schedule", "now", "steps"),
    [
        (rs(("active", 0)), SCHEDULE, 899, []),
        (rs(("active", 0)), SCHEDULE, 900, [Make("RS256", "pending")]),
        (rs(("active", 0)), BY_HAND, 100_000, []),
        (rs(("active", 0), ("pending", 900)), SCHEDULE, 999, []),
        (rs(("active", 0), ("pending", 900)), SCHEDULE, 1_000, [Move("a", "retiring"), Move("b", "active")]),
        (rs(("active", 0), ("pending", 900)), BY_HAND, 1_000, [Move("a", "retiring"), Move("b", "active")]),
        (rs(("retiring", 1_000), ("active", 1_000)), SCHEDULE, 1_499, []),
        (rs(("retiring", 1_000), ("active", 1_000)), SCHEDULE, 1_500, [Move("a", "retired")]),
        (rs(("retired", 0), ("compromised", 0), ("active", 1_000)), SCHEDULE, 1_500, []),
        (rs(("pending", 0)), SCHEDULE, 1, [Move("a", "active")]),
        (rs(("retiring", 0)), SCHEDULE, 1, [Make("RS256", "active")]),
        (rs(), BY_HAND, 1, [Make("RS256", "active")]),
    ],
)
def test_what_is_due(keys: Sequence[Stage], schedule: Schedule, now: int, steps: list[Step]) -> None:
    assert due(keys, schedule, now) == steps


def test_a_life_by_the_schedule_never_leaves_a_client_without_the_key_it_needs() -> None:
    """For ten lives: what signs was published for long enough, and what signed stays for long enough."""
    keys: dict[str, Stage] = {}
    published: dict[str, int] = {}
    signed: dict[str, int] = {}
    for now in range(0, 10_000, 7):
        for number, step in enumerate(due(list(keys.values()), SCHEDULE, now)):
            if isinstance(step, Make):
                kid = f"{now}-{number}"
                keys[kid] = Stage(kid, step.alg, step.state, now)
            else:
                keys[step.kid] = Stage(step.kid, keys[step.kid].alg, step.state, now)
        for key in keys.values():
            if key.state in ("pending", "active", "retiring"):
                published.setdefault(key.kid, now)
            else:
                assert now - signed[key.kid] >= SCHEDULE.after
            if key.state == "active":
                assert now - published[key.kid] >= SCHEDULE.before or published[key.kid] == 0
                signed[key.kid] = now
        assert sorted(key.alg for key in keys.values() if key.state == "active") == sorted(ALGORITHMS)
    assert len(keys) == 3 * 11  # ten that are over or nearly so, and what signs now


def test_a_rotation_makes_a_successor_of_what_has_none() -> None:
    assert rotated(rs(("active", 0))) == [Make(alg, "pending") for alg in ALGORITHMS]
    assert rotated(rs(("active", 0), ("pending", 5))) == [Make(alg, "pending") for alg in ALGORITHMS[1:]]


@pytest.mark.parametrize(
    ("keys", "kid", "steps"),
    [
        (rs(("active", 0)), "a", [Move("a", "compromised"), Make("RS256", "active")]),
        (rs(("active", 0), ("pending", 5)), "a", [Move("a", "compromised"), Move("b", "active")]),
        (rs(("active", 0), ("pending", 5)), "b", [Move("b", "compromised")]),
        (rs(("retiring", 0), ("active", 5)), "a", [Move("a", "compromised")]),
    ],
)
def test_what_leaked_goes_at_once_and_another_one_signs(keys: Sequence[Stage], kid: str, steps: list[Step]) -> None:
    assert compromised(keys, kid) == steps


def test_a_worker_begins_with_what_is_there() -> None:
    assert missing(rs(("active", 0))) == []
    assert missing(rs(("pending", 0))) == [Move("a", "active")]


def test_it_is_told_when_a_key_goes_on() -> None:
    since = [due_at(Stage("a", "RS256", state, 10), SCHEDULE) for state in ("pending", "active", "retiring", "retired")]
    assert since == [110, 1_010, 510, None]
    assert due_at(Stage("a", "RS256", "active", 10), BY_HAND) is None


class Told:
    """Listens to the keyring's events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def hear(self, event: Event) -> None:
        self.events.append((event.actor, event.reason, event.details["state"]))


@asynccontextmanager
async def workers(url: str, clock: Hands, told: Told) -> AsyncIterator[tuple[Keyring, Keyring]]:
    """Two of one installation."""
    async with opened(url) as one, opened(url) as two:
        yield _keyring(one, clock, told), _keyring(two, clock, told)


def _keyring(db: Database, clock: Hands, told: Told) -> Keyring:
    return Keyring(db=db, ring=RING, clock=clock, events=Events(clock, told), schedule=SCHEDULE)


def _states(keyring: Keyring) -> list[tuple[str, str]]:
    return sorted((key.alg, key.state) for key in keyring.published())


async def test_of_many_workers_one_does_what_is_due(sqlite_url: str) -> None:
    clock, told = Hands(), Told()
    async with workers(sqlite_url, clock, told) as (one, two):
        await one.ensure()
        await two.ensure()
        clock.move(SCHEDULE.every - SCHEDULE.before)
        told.events.clear()
        await asyncio.gather(*(worker.tend() for worker in (one, two, one, two)))
        assert told.events == [("schedule", "made", "pending")] * 3
        clock.move(SCHEDULE.before)
        await two.refresh()
        told.events.clear()
        await asyncio.gather(*(worker.tend() for worker in (one, two, one, two)))
        assert sorted(told.events) == [("schedule", "moved", state) for state in ["active"] * 3 + ["retiring"] * 3]
        assert _states(one) == [(alg, state) for alg in sorted(ALGORITHMS) for state in ("active", "retiring")]


async def test_while_nothing_is_due_nobody_asks_sql(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Hands()
    async with workers(sqlite_url, clock, Told()) as (one, _):
        await one.ensure()
        monkeypatch.setattr(Database, "begin", lambda *_: pytest.fail("SQL"))
        await one.tend()


async def test_what_a_worker_signs_before_it_knows_is_verified_by_the_one_that_does(sqlite_url: str) -> None:
    clock = Hands()
    async with workers(sqlite_url, clock, Told()) as (one, two):
        await one.ensure()
        await two.ensure()
        before = {alg: two.sign(alg, CLAIMS) for alg in ALGORITHMS}
        await one.rotate(actor="command")
        clock.move(SCHEDULE.before)
        await one.tend()
        for alg in ALGORITHMS:
            late, new = two.sign(alg, CLAIMS), one.sign(alg, CLAIMS)
            assert late.split(".")[0] == before[alg].split(".")[0] != new.split(".")[0]
            assert one.verify(late) == one.verify(new) == CLAIMS
        await two.refresh()
        assert all(two.verify(before[alg]) == CLAIMS for alg in ALGORITHMS)
        assert two.public_jwks() == one.public_jwks()


async def test_the_suite_rotates_keys(sqlite_url: str) -> None:
    """`server-rotate-keys`: a new key is there at once, and the old one still."""
    async with workers(sqlite_url, Hands(), Told()) as (one, _):
        await one.ensure()
        before = {key["kid"] for key in one.public_jwks()["keys"]}
        pending = await one.rotate(actor="command")
        after = {key["kid"] for key in one.public_jwks()["keys"]}
        assert before < after and after - before == {key.kid for key in pending}
        assert len(await one.rotate(actor="command")) == 3  # again: they are still waiting, and no more are made
        assert {key["kid"] for key in one.public_jwks()["keys"]} == after


async def test_a_compromised_key_is_gone_from_every_place(sqlite_url: str) -> None:
    async with workers(sqlite_url, Hands(), Told()) as (one, two):
        await one.ensure()
        await two.ensure()
        token = one.sign("ES256", CLAIMS)
        (kid,) = [key.kid for key in one.published() if key.alg == "ES256"]
        active = await one.compromise(kid, actor="command")
        await two.refresh()
        for worker in (one, two):
            assert worker.verify(token) is None
            assert kid not in [key["kid"] for key in worker.public_jwks()["keys"]]
            assert worker.verify(worker.sign("ES256", CLAIMS)) == CLAIMS
        assert sorted(key.alg for key in active) == sorted(ALGORITHMS)
        with pytest.raises(UnknownKey):
            await one.compromise(kid, actor="command")
        with pytest.raises(UnknownKey):
            await one.compromise("nothing", actor="command")


async def test_a_worker_with_an_older_master_key_believes_no_compromised_key_either(sqlite_url: str) -> None:
    """It cannot open what another made in its place, and signs nothing by that algorithm rather than by what leaked."""
    newer = Ring.parse(f"{Ring.new_line('k2')}\n{RING_LINE}")
    async with opened(sqlite_url) as one, opened(sqlite_url) as two:
        old, new = (
            Keyring(db=db, ring=ring, clock=Hands(), events=Events(Hands()), schedule=SCHEDULE)
            for db, ring in ((one, RING), (two, newer))
        )
        await old.ensure()
        await new.refresh()
        leaked, kid = old.sign("ES256", CLAIMS), next(key.kid for key in old.published() if key.alg == "ES256")
        await new.compromise(kid, actor="command")
        with pytest.raises(ConfigError, match=r"secrets\.master"):
            await old.refresh()
        assert old.verify(leaked) is None and kid not in json.dumps(old.public_jwks())
        assert old.verify(new.sign("ES256", CLAIMS)) == CLAIMS
        with pytest.raises(ConfigError, match="no active ES256"):
            old.sign("ES256", CLAIMS)
        assert new.verify(old.sign("RS256", CLAIMS)) == CLAIMS


async def test_what_signs_no_more_has_no_private_part_any_more(sqlite_url: str) -> None:
    clock = Hands()
    async with opened(sqlite_url) as db:
        one = _keyring(db, clock, Told())
        await one.ensure()
        await one.rotate(actor="command")
        clock.move(SCHEDULE.before)
        await one.tend()
        async with db.read() as tx:
            rows = (await tx.execute(select(signing_keys.c.state, signing_keys.c.private_enc))).all()
        assert {(row.state, bool(row.private_enc)) for row in rows} == {("retiring", False), ("active", True)}
        again = _keyring(db, clock, Told())  # a worker that starts now
        await again.refresh()
        assert again.public_jwks() == one.public_jwks()
        clock.move(SCHEDULE.after)
        await again.tend()
        assert {stage.state for stage in await again.stages()} == {"retired", "active"}
        assert len(again.published()) == 3


async def test_without_an_active_key_nothing_is_signed(sqlite_url: str) -> None:
    async with opened(sqlite_url) as db:
        with pytest.raises(ConfigError, match="no active ES256 key"):
            _keyring(db, Hands(), Told()).sign("ES256", CLAIMS)


def test_no_kid_looks_like_an_option_of_a_command() -> None:
    """One thumbprint in 64 begins with a hyphen."""
    assert not [kid for _ in range(400) if (kid := str(new_key("EdDSA").kid)).startswith("-")]
