"""Workers of one installation, in one loop: they share database and store, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.app import Bridge
from bridge.config import Config
from tests.running import PRODUCTION, QUICK, SECRETS, Furnished, Given, Site, Told
from tests.stores.servers import patient


@asynccontextmanager
async def worker(database: Furnished, more: Given) -> AsyncIterator[Site]:
    """One of them; all that are given the same are of one installation."""
    settings = {**SECRETS, **QUICK, **PRODUCTION, ("database", "url"): f"sqlite:///{database.file}", **more}
    config, told = Config.load(None, {}, settings), Told()
    bridge = Bridge(config, listeners=[told])
    bridge.rooms.keyring._keys = dict(database.keys)
    bridge.rooms.database._patience = 30.0
    patient(bridge.rooms.raw_store)
    async with bridge.running():
        yield Site(bridge=bridge, url=config.base_url, told=told, loop=asyncio.get_running_loop())
