"""Whoever is cancelled leaves neither a lock nor a task behind — DESIGN §5.

A request that ends early, a door's timeout and every shutdown cancel; under anyio again at every turn of the loop.
"""

import asyncio
import random

import anyio
import pytest
from sqlalchemy import text

from bridge.database.database import Database
from tests.databases import opened
from tests.patience import PATIENCE, until

ROUNDS = 25


@pytest.mark.parametrize("how_often", [1, 50])
async def test_the_cancelled_leave_no_lock_and_no_task(database_url: str, how_often: int) -> None:
    draw = random.Random(how_often)
    before = len(asyncio.all_tasks())
    for _ in range(ROUNDS):
        async with opened(database_url) as db:
            await _cancel_some(db, draw, how_often)
            with anyio.fail_after(PATIENCE):
                await _write(db)
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_one_that_fails_among_many_who_write_leaves_no_lock(database_url: str) -> None:
    async def fail(db: Database) -> None:
        async with db.begin() as tx:
            await tx.execute(text("UPDATE store_epoch SET epoch = epoch + 1"))
        raise ZeroDivisionError

    for _ in range(ROUNDS):
        async with opened(database_url) as db:
            with pytest.RaisesGroup(ZeroDivisionError, allow_unwrapped=True, flatten_subgroups=True):
                async with anyio.create_task_group() as group:
                    for work in (_write, _write, fail, _write, _write):
                        group.start_soon(work, db)
            with anyio.fail_after(PATIENCE):
                await _write(db)


async def _cancel_some(db: Database, draw: random.Random, how_often: int) -> None:
    tasks = [asyncio.ensure_future(_write(db) if number % 2 else _read(db)) for number in range(12)]
    await asyncio.sleep(draw.random() * 0.02)
    chosen = [task for task in tasks if draw.random() < 0.7]
    for _ in range(how_often):
        for task in chosen:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _write(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(text("UPDATE store_epoch SET epoch = epoch + 1"))
        await tx.execute(text("SELECT 1"))


async def _read(db: Database) -> None:
    async with db.read() as tx:
        await tx.execute(text("SELECT epoch FROM store_epoch"))
