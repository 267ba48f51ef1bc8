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


# KEYS[i], the i-th letter of ARGV[1], and behind that as many words as the letter needs: a value that was seen, one
# that is written (of an index: a member), a ttl in ms.  The first loop judges, the second writes.  Nothing in the
# second can fail, because everything was checked before it was sent: an error there would leave half.
COMMIT = Script("""
local words = {e = 1, n = 0, a = 2, t = 1, s = 3, p = 2, d = 0, i = 2, o = 1}
local at = 2
for i = 1, #KEYS do
  local op = string.sub(ARGV[1], i, i)
  if op == 'e' or op == 't' or op == 's' then
    if redis.call('GET', KEYS[i]) ~= ARGV[at] then return 0 end
  elseif op == 'a' or op == 'n' then
    if redis.call('EXISTS', KEYS[i]) == 1 then return 0 end
  end
  at = at + words[op]
end
local now
at = 2
for i = 1, #KEYS do
  local op, key = string.sub(ARGV[1], i, i), KEYS[i]
  at = at + words[op]
  local value, ttl = ARGV[at - 2], ARGV[at - 1]
  if op == 'a' or op == 's' or op == 'p' then
    redis.call('SET', key, value, 'PX', ttl)
  elseif op == 't' or op == 'd' then
    redis.call('DEL', key)
  elseif op == 'i' then
    if not now then
      local time = redis.call('TIME')
      now = time[1] * 1000 + math.floor(time[2] / 1000)
    end
    redis.call('ZADD', key, 'GT', string.format('%.0f', now + ttl), value)
    if redis.call('PTTL', key) < tonumber(ttl) then redis.call('PEXPIRE', key, ttl) end
  elseif op == 'o' then
    redis.call('ZREM', key, ARGV[at - 1])
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
_Written = tuple[str, str, tuple[Word, ...]]
"""Key, letter and words of one change."""


def written(changes: Sequence[Change]) -> tuple[list[str], list[Word]]:
    """The keys and the arguments of `COMMIT` for these changes."""
    keys: list[str] = []
    letters = ""
    arguments: list[Word] = []
    for change in changes:
        key, letter, words = _WORDS[type(change)](change)
        keys.append(key)
        letters += letter
        arguments += words
    return keys, [letters, *arguments]


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
    return (change.key, "n", ()) if change.value is None else (change.key, "e", (change.value,))


def _ms(ttl: float) -> int:
    return max(1, round(ttl * 1000))


# One look-up instead of a row of comparisons: this runs for every change of every commit.
_WORDS: Mapping[type[Change], Callable[[Any], _Written]] = {
    Expect: _expect,
    Add: lambda change: (change.key, "a", (change.value, _ms(change.ttl))),
    Take: lambda change: (change.key, "t", (change.seen,)),
    Swap: lambda change: (change.key, "s", (change.seen, change.value, _ms(change.ttl))),
    Put: lambda change: (change.key, "p", (change.value, _ms(change.ttl))),
    Drop: lambda change: (change.key, "d", ()),
    Tag: lambda change: (INDEX_PREFIX + change.index, "i", (change.member, _ms(change.ttl))),
    Untag: lambda change: (INDEX_PREFIX + change.index, "o", (change.member,)),
}
