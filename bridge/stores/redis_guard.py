"""The login guard's counters in Redis, on the store's own connections — sessions-and-accounts.md §8.2."""

from collections.abc import Sequence

from bridge.stores.guard import Window
from bridge.stores.redis import RedisStore
from bridge.stores.scripts import Script, Word

# KEYS: one hash per window, with s the number of a slot, c the count in it, p the count in the one before.
# ARGV: limit and length in ms of each.  Those of `admit` end in the number of windows: one more is the cap.
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
local function wait(i)
  local slot, c, p, length = count(i)
  local passed = now % length
  return p * (1 - passed / length) + c + 1 > tonumber(ARGV[2 * i - 1]) and length - passed or 0
end
local function more(i)
  local slot, c, p, length = count(i)
  keep(i, slot, c + 1, p, length)
end
local windows, worst = tonumber(ARGV[#ARGV]), 0
for i = 1, windows do worst = math.max(worst, wait(i)) end
if worst > 0 then return worst end
for i = 1, windows do more(i) end
for i = windows + 1, #KEYS do
  local full = wait(i)
  if full > 0 then return -full end
  more(i)
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
_COUNT = Script(
    _SEEN
    + """
local slot, c, p, length = count(1)
return math.floor(p * (1 - (now % length) / length) + c)
"""
)
_CLEAR = Script("return redis.call('DEL', KEYS[1])")


class RedisGuard:
    """A `Guard` shared by all workers; the time is the server's.  A lost answer counts, and is not asked again."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store

    async def admit(self, windows: Sequence[Window], cap: Window | None = None) -> float:
        distinct = list(dict.fromkeys(windows))
        keys, numbers = _written([*distinct, cap] if cap else distinct)
        return int(await self._store.run(_ADMIT, keys, [*numbers, len(distinct)])) / 1000

    async def refund(self, windows: Sequence[Window]) -> None:
        await self._store.run(_REFUND, *_written(list(dict.fromkeys(windows))))

    async def count(self, window: Window) -> int:
        return int(await self._store.run(_COUNT, *_written([window])))

    async def clear(self, key: str) -> None:
        await self._store.run(_CLEAR, [key], [])


def _written(windows: Sequence[Window]) -> tuple[list[str], list[Word]]:
    numbers: list[Word] = [number for window in windows for number in (window.limit, round(window.seconds * 1000))]
    return [window.key for window in windows], numbers
