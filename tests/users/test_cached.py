"""Users from a cache that is never more than two seconds behind — security §20; store §2, rule 3."""

from bridge.clock import SystemClock
from bridge.secret import Secret
from bridge.stores.memory import MemoryStore
from bridge.stores.versions import Versions
from bridge.tokens import Names
from bridge.types import UserId
from bridge.users.cached import CachedUsers
from bridge.users.sql import SqlUsers
from bridge.users.user import User


class Counting:
    """Counts the rows that were read."""

    def __init__(self, users: SqlUsers) -> None:
        self.name, self.capabilities, self.authenticate, self.by_email = (
            users.name,
            users.capabilities,
            users.authenticate,
            users.by_email,
        )
        self._users = users
        self.reads = 0

    async def by_id(self, user: UserId) -> User | None:
        self.reads += 1
        return await self._users.by_id(user)


class Current:
    """SQL's versions, by hand."""

    def __init__(self) -> None:
        self.version = 0

    async def current(self) -> dict[str, int]:
        return {"users": self.version}


class Second:
    """A monotonic clock by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_user_is_read_once_until_something_changes(users: SqlUsers) -> None:
    truth, time, counting = Current(), Second(), Counting(users)
    versions = Versions(MemoryStore(SystemClock()), Names("https://a.example"), truth, monotonic=time)
    cached = CachedUsers(counting, versions)
    ada = await users.create(email="ada@example.com", first_name="Ada")
    await versions.publish("users")
    await versions.poll()
    assert [await cached.by_id(ada.id) for _ in range(5)] == [ada] * 5
    assert [await cached.by_id(UserId(99)) for _ in range(5)] == [None] * 5
    assert counting.reads == 2
    changed = await users.change_profile(ada.id, first_name="Augusta")
    truth.version += 1
    await versions.publish("users")
    assert await cached.by_id(ada.id) == changed
    time.now += 2  # nobody could say whether it changed again
    assert await cached.by_id(ada.id) == changed
    assert counting.reads == 4


async def test_a_row_with_another_stamp_than_the_stores_is_read_anew(users: SqlUsers) -> None:
    counting = Counting(users)
    versions = Versions(MemoryStore(SystemClock()), Names("https://a.example"), Current(), monotonic=Second())
    cached = CachedUsers(counting, versions)
    ada = await users.create(email="ada@example.com", password=Secret("correct horse battery"))
    await versions.publish("users")
    await versions.poll()
    assert await cached.by_id(ada.id, stamp=ada.stamp) == ada
    disabled = await users.disable(ada.id)
    assert disabled is not None
    assert await cached.by_id(ada.id) == ada  # the version was not published yet: what people see may be old
    assert await cached.by_id(ada.id, stamp=disabled.stamp) == disabled
    assert counting.reads == 2
