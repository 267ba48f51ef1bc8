"""The store: one read, one atomic commit — spec/store.md §1."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

SHORTEST_TTL = 0.001
LONGEST_TTL = 400 * 86_400.0
MOST_CHANGES = 500
INDEX_PREFIX = "x:"


class Expect(Struct, frozen=True):
    """Guard only: the key holds exactly `value`; None: it is absent."""

    key: str
    value: bytes | None


class Add(Struct, frozen=True):
    """Guard: the key is absent.  Then it is written, for `ttl` seconds."""

    key: str
    value: bytes
    ttl: float


class Take(Struct, frozen=True):
    """Guard: the key still holds what was read.  Then it is removed."""

    key: str
    seen: bytes


class Swap(Struct, frozen=True):
    """Guard: the key still holds what was read.  Then it is replaced, for `ttl` seconds."""

    key: str
    seen: bytes
    value: bytes
    ttl: float


class Put(Struct, frozen=True):
    """No guard: the last writer wins.  Only for what is terminal (spec/store.md §2, rule 2)."""

    key: str
    value: bytes
    ttl: float


class Drop(Struct, frozen=True):
    """No guard: the key is absent afterwards."""

    key: str


class Tag(Struct, frozen=True):
    """`member` belongs to `index` for `ttl` seconds; a later, shorter Tag shortens neither index nor membership."""

    index: str
    member: str
    ttl: float


class Untag(Struct, frozen=True):
    """`member` no longer belongs to `index`."""

    index: str
    member: str


Change: TypeAlias = Expect | Add | Take | Swap | Put | Drop | Tag | Untag


class Store(Protocol):
    """Where sessions, codes, tokens, tickets and marks live; every write is one atomic step.

    All verbs raise `Unavailable` when the outcome is not known; nobody but the store itself tries again.
    """

    @property
    def lost(self) -> bool:
        """True from the moment a connection found that the server may have lost data, until `regained()`."""
        ...

    def regained(self, identity: str | None = None) -> None:
        """What SQL knows has been published again: the store may be believed (security.md §3).

        `identity`: what `identity()` said before the publication began; if another was met since, the store stays
        lost, because what was published may be gone again.
        """
        ...

    async def open(self) -> None:
        """Connect, or make the file; raises `Unavailable`."""
        ...

    async def close(self) -> None:
        """Let go of connections and files; the store is not used afterwards."""
        ...

    async def identity(self) -> str:
        """A text that changes when the server may have lost or rolled back data."""
        ...

    async def read(self, *keys: str) -> Sequence[bytes | None]:
        """The values, in the order of `keys`; None: absent."""
        ...

    async def commit(self, *changes: Change) -> bool:
        """Judge every guard on the state before, then write in order: all of it or nothing.

        False: somebody was first, and nothing was written.  ValueError, before anything is sent: a ttl outside
        1 ms … 400 days, more than 500 changes, keys of two slots.
        """
        ...

    async def members(self, index: str) -> list[str]:
        """The members whose time is not over, sorted."""
        ...


def slot(key: str) -> str:
    """What decides where a key lives: the text in its first {…}, else the whole key (as Redis Cluster has it)."""
    name, brace, _ = key.partition("{")[2].partition("}")
    return name if brace and name else key


def check(changes: Sequence[Change]) -> None:
    """Raise ValueError for what no store may be asked to do (spec/store.md §1, rule 3)."""
    if len(changes) > MOST_CHANGES:
        raise ValueError(f"a commit of {len(changes)} changes; at most {MOST_CHANGES}")
    if len({slot(_CHECKS[type(change)](change)) for change in changes}) > 1:
        raise ValueError("a commit over two slots")


# Each says where its change is, once that is in order.  They run for every change of every commit: what holds nearly
# always is asked at once, and only what is wrong is somebody else's to name.
def _check_expect(change: Expect) -> str:
    if type(change.value) is not bytes and change.value is not None:
        raise _no_value()
    return _checked(change.key)


def _check_write(change: Add | Put) -> str:
    if type(change.value) is not bytes:
        raise _no_value()
    if not SHORTEST_TTL <= change.ttl <= LONGEST_TTL:  # nan fails both comparisons
        raise _no_ttl(change.ttl)
    return _checked(change.key)


def _check_take(change: Take) -> str:
    if type(change.seen) is not bytes:
        raise _no_value()
    return _checked(change.key)


def _check_swap(change: Swap) -> str:
    if type(change.seen) is not bytes or type(change.value) is not bytes:
        raise _no_value()
    if not SHORTEST_TTL <= change.ttl <= LONGEST_TTL:
        raise _no_ttl(change.ttl)
    return _checked(change.key)


def _check_tag(change: Tag) -> str:
    if not SHORTEST_TTL <= change.ttl <= LONGEST_TTL:
        raise _no_ttl(change.ttl)
    return _check_untag(change)


def _check_untag(change: Tag | Untag) -> str:
    change.index.encode()  # a lone surrogate is a ValueError now, not a half-sent batch later
    change.member.encode()
    return INDEX_PREFIX + change.index


# One look-up instead of a row of comparisons.
_CHECKS: Mapping[type[Change], Callable[[Any], str]] = {
    Expect: _check_expect,
    Add: _check_write,
    Put: _check_write,
    Take: _check_take,
    Swap: _check_swap,
    Drop: lambda change: _checked(change.key),
    Tag: _check_tag,
    Untag: _check_untag,
}


def _checked(key: str) -> str:
    # A string key here would meet an index there, and an error in the write phase leaves half a commit.
    if key.startswith(INDEX_PREFIX):
        raise ValueError(f"a key may not begin with {INDEX_PREFIX!r}: indexes live there")
    if not key.isascii():
        key.encode()
    return key


def _no_value() -> ValueError:
    return ValueError("a value that is not bytes")


def _no_ttl(ttl: float) -> ValueError:
    return ValueError(f"a ttl of {ttl} s; 1 ms to 400 days")
