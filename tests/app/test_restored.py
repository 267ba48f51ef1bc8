"""A database that came back from a backup, as docs/operating.md says — security §3."""

import shutil
from pathlib import Path

import pytest

from bridge.app import Bridge
from bridge.errors import ConfigError
from bridge.secret import Secret
from tests.app.conftest import Make
from tests.app.scene import request
from tests.app.test_claim import on
from tests.running import ADA, PASSWORD
from tests.servers import Server

LOST = "lost@example.com"


async def _signed_in(bridge: Bridge, email: str) -> str:
    said = await bridge.local_api("ValidateLogin", {"email": email, "password2": PASSWORD})
    return str(said["passwordhash"])


async def _is_alive(bridge: Bridge, token: str) -> bool:
    return (await bridge.who(request("/", headers={"cookie": f"__Host-login_auth_tk={token}"}))).alive is not None


async def test_what_the_backup_does_not_know_is_over_when_the_store_was_emptied(
    make: Make, database: Path, own_redis: Server, tmp_path: Path
) -> None:
    where = on(own_redis)
    bridge = make(where)
    async with bridge.running():
        rooms = bridge.rooms
        ada = await rooms.users.by_email(ADA)
        assert ada is not None
        stolen = await _signed_in(bridge, ADA)
        backup = shutil.copy(database, tmp_path / "backup.db")
        await rooms.sessions.end_all(ada.id, ada.tag, "admin")
        await rooms.users.create(email=LOST, password=Secret(PASSWORD))
        await rooms.users.change_profile(ada.id, last_name="King")
        lost = await _signed_in(bridge, LOST)
        assert not await _is_alive(bridge, stolen) and await _is_alive(bridge, lost)
    for beside in ("-wal", "-shm"):
        database.with_name(database.name + beside).unlink(missing_ok=True)
    shutil.copy(backup, database)
    with pytest.raises(ConfigError, match=r"older than the store \(users\).*docs/operating\.md"):
        await make(where).open()
    own_redis.tell("FLUSHDB")
    bridge = make(where)
    async with bridge.running():
        assert not await _is_alive(bridge, stolen) and not await _is_alive(bridge, lost)
        assert await _is_alive(bridge, await _signed_in(bridge, ADA))
