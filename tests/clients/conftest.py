"""One house for all clients: starting it takes longer than a call."""

from collections.abc import Iterator

import anyio
import pytest

from bridge.database.migrate import migrate
from tests.clients.house import House, running


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = f"sqlite:///{tmp_path_factory.mktemp('house')}/bridge.db"
    anyio.run(migrate, url)
    with running(url) as house:
        yield house
