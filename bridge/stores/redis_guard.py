"""The login guard's counters in Redis, on the store's own connections — sessions-and-accounts.md §8.2."""

from collections.abc import Sequence

from bridge.stores.guard import Window
from bridge.stores.redis import RedisStore
from bridge.stores.scripts import Script, Word

# KEYS: one hash per window, with s the number of a slot, c the count in it, p the count in the one before.
# ARGV: limit and length in ms of each.
_SEEN = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function count(i)
  local length = tonumber(ARGV[2 * i])
  local slot = math.floor(now / length)
  local held = redis.call('HMGET', KEYS[i], 's', 'c', 'p')
  local s, c, p = tonumber(held[1] or -2), tonumber(held[2] or 0), tonumber(held[3] or 0)
  if s == slot - 1 then p = c c = 0 elseif s ~= slot then p = 0 c = 0 end
  return slot, c, p, length
end
local function keep(i, slot, c, p, length)
  redis.call('HSET', KEYS[i], 's', string.format('%.0f', slot), 'c', c, 'p', p)
  redis.call('PEXPIRE', KEYS[i], string.format('%.0f', 2 * length))
end
"""
_ADMIT = Script(
    _SEEN
    + """
local worst = 0
for i = 1, #KEYS do
  local slot, c, p, length = count(i)
  local passed = now % length
  if p * (1 - passed / length) + c + 1 > tonumber(ARGV[2 * i - 1]) then worst = math.max(worst, length - passed) end
end
if worst > 0 then return worst end
for i = 1, #KEYS do
  local slot, c, p, length = count(i)
  keep(i, slot, c + 1, p, length)
end
return 0
"""
)
_REFUND = Script(
    _SEEN
    + """
for i = 1, #KEYS do
  local slot, c, p, length = count(i)
  if c > 0 then keep(i, slot, c - 1, p, length) elseif p > 0 then keep(i, slot, 0, p - 1, length) end
end
return 0
"""
)
_CLEAR = Script("return redis.call('DEL', KEYS[1])")


class RedisGuard:
    """A `Guard` shared by all workers; the time is the server's.  A lost answer counts, and is not asked again."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def admit(self, windows: Sequence[Window]) -> float:
        waiting = await self._store.run(_ADMIT, *_written(windows))
        return int(waiting) / 1000

    async def refund(self, windows: Sequence[Window]) -> None:
        await self._store.run(_REFUND, *_written(windows))

    async def clear(self, key: str) -> None:
        await self._store.run(_CLEAR, [key], [])


def _written(windows: Sequence[Window]) -> tuple[list[str], list[Word]]:
    distinct = list(dict.fromkeys(windows))
    numbers: list[Word] = [number for window in distinct for number in (window.limit, round(window.seconds * 1000))]
    return [window.key for window in distinct], numbers
