"""What every test may ask for: the event loop the bridge runs on, and real servers."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Async tests run on uvloop, as `login-bridge serve` does."""
    return "asyncio", {"use_uvloop": True}
