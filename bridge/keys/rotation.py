"""When a signing key comes and goes: pending, active, retiring, retired — Core §10.1.1.  Pure decisions.

A key is published before it signs, for longer than clients keep our keys without asking again, and stays published
after it signed, for as long as anything that it signed is of use.  One that leaked goes at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bridge.keys.algorithms import ALGORITHMS, Algorithm

State = Literal["pending", "active", "retiring", "retired", "compromised"]
PUBLISHED: Final[tuple[State, ...]] = ("pending", "active", "retiring")
"""The states in which a key stands in the JWKS, and what it signed is believed."""
SIGNING: Final[tuple[State, ...]] = ("pending", "active")
"""The states in which a private key is still of use."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All in seconds."""

    every: int
    """The age at which an active key is replaced; 0: only by command."""
    before: int
    """A key is published for so long before it signs."""
    after: int
    """And for so long after it signed."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a key stands, and since when (Unix seconds)."""

    kid: str
    alg: str
    state: State
    since: int


@dataclass(frozen=True, slots=True)
class Make:
    """A new key."""

    alg: Algorithm
    state: State


@dataclass(frozen=True, slots=True)
class Move:
    """A key goes on to another state."""

    kid: str
    state: State


Step = Make | Move


def due(keys: Sequence[Stage], schedule: Schedule, now: int) -> list[Step]:
    """What is to be done now, so that each algorithm has its one active key and no key is older than it may be."""
    steps: list[Step] = []
    for alg in ALGORITHMS:
        active, pending = _of(keys, alg, "active"), _of(keys, alg, "pending")
        if not active:
            steps += _instead(alg, pending)
        elif pending and now - pending[0].since >= schedule.before:
            steps += [*(Move(key.kid, "retiring") for key in active), Move(pending[0].kid, "active")]
        elif not pending and schedule.every and now - active[0].since >= schedule.every - schedule.before:
            steps.append(Make(alg, "pending"))
    ended = (key for key in keys if key.state == "retiring" and now - key.since >= schedule.after)
    return [*steps, *(Move(key.kid, "retired") for key in ended)]


def missing(keys: Sequence[Stage]) -> list[Step]:
    """An active key for each algorithm that has none: what a worker needs before it can begin."""
    return [
        step for alg in ALGORITHMS if not _of(keys, alg, "active") for step in _instead(alg, _of(keys, alg, "pending"))
    ]


def rotated(keys: Sequence[Stage], algorithms: Sequence[Algorithm] = ALGORITHMS) -> list[Step]:
    """A successor for every active key of these algorithms that has none yet."""
    return [Make(alg, "pending") for alg in algorithms if not _of(keys, alg, "pending")]


def compromised(keys: Sequence[Stage], kid: str) -> list[Step]:
    """The key goes at once, and its successor signs at once: what a thief signs is worse than an unknown `kid`."""
    (key,) = (key for key in keys if key.kid == kid)
    gone: list[Step] = [Move(kid, "compromised")]
    if key.state != "active":
        return gone
    return [*gone, *(step for alg in ALGORITHMS if alg == key.alg for step in _instead(alg, _of(keys, alg, "pending")))]


def due_at(key: Stage, schedule: Schedule, keys: Sequence[Stage] = ()) -> int | None:
    """When it goes on to its next state by itself, among `keys`; None: it does not."""
    match key.state:
        case "pending":
            return key.since + schedule.before
        case "active" if successors := _of(keys, key.alg, "pending"):
            return due_at(successors[0], schedule)
        case "active":
            return key.since + schedule.every if schedule.every else None
        case "retiring":
            return key.since + schedule.after
        case _:
            return None


def _instead(alg: Algorithm, pending: Sequence[Stage]) -> Iterator[Step]:
    """Nothing signs by that algorithm: what is published already, or a new one, does at once."""
    yield Move(pending[0].kid, "active") if pending else Make(alg, "active")


def _of(keys: Sequence[Stage], alg: str, state: State) -> list[Stage]:
    """Oldest first."""
    return sorted((key for key in keys if (key.alg, key.state) == (alg, state)), key=lambda key: (key.since, key.kid))
