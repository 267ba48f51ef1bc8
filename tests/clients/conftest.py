"""One house for all clients: starting it takes longer than a call."""

from collections.abc import Iterator

import pytest

from tests.clients.house import House, running


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = f"sqlite:///{tmp_path_factory.mktemp('house')}/bridge.db"
    with running(url) as house:
        yield house
