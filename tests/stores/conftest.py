"""Stores to test, on real servers."""

import pytest

pytest.register_assert_rewrite(
    "bridge.testing.store_contract",
    "bridge.testing.store_times",
    "bridge.testing.store_races",
    "bridge.testing.store_losses",
    "bridge.testing.store_machine",
)
