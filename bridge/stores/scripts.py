"""What runs inside Redis, and how a commit is written down for it — spec/store.md §5."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import hiredis

from bridge.stores.store import INDEX_PREFIX, Add, Change, Drop, Expect, Put, Swap, Tag, Take, Untag


class Script:
    """A Lua text and the name the server gives it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self.sha: str = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


# KEYS[i], and for each four arguments: op, seen, value, ttl in ms.  The first loop judges, the second writes.
# Nothing in the second can fail, because everything was checked before it was sent: an error there would leave half.
COMMIT = Script("""
for i = 1, #KEYS do
  local op = ARGV[4 * i - 3]
  if op == 'expect' or op == 'take' or op == 'swap' then
    if redis.call('GET', KEYS[i]) ~= ARGV[4 * i - 2] then return 0 end
  elseif op == 'add' or op == 'absent' then
    if redis.call('EXISTS', KEYS[i]) == 1 then return 0 end
  end
end
local now
for i = 1, #KEYS do
  local op, key, value, ttl = ARGV[4 * i - 3], KEYS[i], ARGV[4 * i - 1], ARGV[4 * i]
  if op == 'add' or op == 'swap' or op == 'put' then
    redis.call('SET', key, value, 'PX', ttl)
  elseif op == 'take' or op == 'drop' then
    redis.call('DEL', key)
  elseif op == 'tag' then
    if not now then
      local time = redis.call('TIME')
      now = time[1] * 1000 + math.floor(time[2] / 1000)
    end
    redis.call('ZADD', key, 'GT', string.format('%.0f', now + ttl), value)
    if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
  elseif op == 'untag' then
    redis.call('ZREM', key, value)
  end
end
return 1
""")

MEMBERS = Script("""
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
""")

Word = str | int | bytes
_Written = tuple[str, tuple[Word, Word, Word, Word]]


def written(changes: Sequence[Change]) -> tuple[list[str], list[Word]]:
    """The keys and the arguments of `COMMIT` for these changes."""
    keys: list[str] = []
    arguments: list[Word] = []
    for change in changes:
        key, words = _WORDS[type(change)](change)
        keys.append(key)
        arguments += words
    return keys, arguments


def packed(*words: Word) -> bytes:
    """One command as the wire has it."""
    return cast(bytes, hiredis.pack_command(cast(Any, words)))


def packed_sha(script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> bytes:
    """A call of a script that the server probably knows."""
    return packed("EVALSHA", script.sha, len(keys), *keys, *arguments)


def packed_text(script: Script, keys: Sequence[str], arguments: Sequence[Word]) -> bytes:
    """The same for a server that does not: it knows the script afterwards."""
    return packed("EVAL", script.text, len(keys), *keys, *arguments)


def _expect(change: Expect) -> _Written:
    if change.value is None:
        return change.key, ("absent", b"", b"", 0)
    return change.key, ("expect", change.value, b"", 0)


def _swap(change: Swap) -> _Written:
    return change.key, ("swap", change.seen, change.value, _ms(change.ttl))


def _tag(change: Tag) -> _Written:
    return INDEX_PREFIX + change.index, ("tag", b"", change.member, _ms(change.ttl))


# One look-up instead of a row of comparisons: this runs for every change of every commit.
_WORDS: Mapping[type[Change], Callable[[Any], _Written]] = {
    Expect: _expect,
    Add: lambda change: (change.key, ("add", b"", change.value, _ms(change.ttl))),
    Take: lambda change: (change.key, ("take", change.seen, b"", 0)),
    Swap: _swap,
    Put: lambda change: (change.key, ("put", b"", change.value, _ms(change.ttl))),
    Drop: lambda change: (change.key, ("drop", b"", b"", 0)),
    Tag: _tag,
    Untag: lambda change: (INDEX_PREFIX + change.index, ("untag", b"", change.member, 0)),
}


def _ms(ttl: float) -> int:
    return max(1, round(ttl * 1000))
