"""What is good once, by SQL alone — security §3, §8."""

import anyio
import pytest

from bridge.database.database import Database
from bridge.database.endings import Endings
from bridge.database.once import first_use
from bridge.testing.hands import Hands
from bridge.types import Key, SlotTag, UserId

NOW = 1_800_000_000
ADA, TAG = UserId(7), SlotTag("0123456789a")
LINK, OTHER = Key("lb:01234567:m:{0123456789a}:sso:a"), Key("lb:01234567:m:{0123456789a}:sso:b")


async def used(db: Database, key: Key = LINK) -> bool:
    async with db.begin() as tx:
        return await first_use(tx, key, ADA, TAG, now=NOW, until=NOW + 900)


async def test_each_is_used_once(db: Database) -> None:
    assert [await used(db), await used(db), await used(db, OTHER)] == [True, False, True]


async def test_of_twenty_at_once_one_uses_it(db: Database) -> None:
    won: list[bool] = []

    async def try_it() -> None:
        won.append(await used(db))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(try_it)
    assert sorted(won) == [False] * 19 + [True]


async def test_what_is_undone_was_not_used(db: Database) -> None:
    async def undone() -> None:
        async with db.begin() as tx:
            assert await first_use(tx, LINK, ADA, TAG, now=NOW, until=NOW + 900)
            raise KeyError("undone")

    with pytest.raises(KeyError, match="undone"):
        await undone()
    assert await used(db)


async def test_it_is_no_record_that_was_replaced_and_is_swept_when_it_is_over(db: Database) -> None:
    hands = Hands(NOW)
    endings = Endings(db, hands)
    await used(db)
    await endings.end_key(OTHER, "a-session", ADA, TAG, NOW + 900.0)
    assert [ended.key for ended in (await endings.recent(None)).keys] == [OTHER]
    hands.move(899)
    assert await endings.sweep() == 0 and not await used(db)
    hands.move(1)
    assert await endings.sweep() == 2 and await used(db)
