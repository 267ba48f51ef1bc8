"""Apps behind the middleware."""

import pytest

from bridge.clock import SystemClock
from bridge.stores.memory import MemoryStore
from tests.middleware.scene import Login
from tests.sessions.conftest import store

__all__ = ["login", "store"]


@pytest.fixture
def login() -> Login:
    """The bridge of one app, on a store in memory."""
    return Login(MemoryStore(SystemClock()))
