"""The tests of a store, to inherit — spec/store.md §8.

    class TestMyStore(StoreSuite):
        @pytest.fixture
        async def store(self):               # empty and open
            ...

        async def wait(self, seconds):       # let that much time pass: move the clock, or sleep
            ...

A store with a server behind it also takes `StoreLossSuite`.
"""

from bridge.testing.store_contract import StoreContract
from bridge.testing.store_losses import StoreLossSuite
from bridge.testing.store_races import StoreRaces
from bridge.testing.store_times import StoreTimes

__all__ = ["StoreLossSuite", "StoreSuite"]


class StoreSuite(StoreContract, StoreTimes, StoreRaces):
    """Everything that a store must do while its server answers."""
