"""Wrong admin logins by address — whmcs-api §2.4."""

from ipaddress import ip_address

from bridge.legacy.bans import Bans
from bridge.legacy.options import LegacyOptions
from bridge.ring import Ring
from bridge.stores.guard import MemoryGuard
from bridge.testing.hands import Hands
from bridge.tokens import Names

HERE, THERE = ip_address("203.0.113.9"), ip_address("2001:db8::1")


def bans(clock: Hands) -> Bans:
    options = LegacyOptions(admin_failures=3, admin_ban=600)
    ring = Ring.parse(Ring.new_line("m1"))
    return Bans(guard=MemoryGuard(clock), names=Names("https://login.example.com"), ring=ring, options=options)


async def test_a_ban_ends() -> None:
    clock = Hands()
    guarded = bans(clock)
    assert [await guarded.admit(HERE) for _ in range(4)] == [True, True, True, False]
    assert await guarded.admit(THERE) and await guarded.admit(None)
    clock.move(1_200)
    assert await guarded.admit(HERE)


async def test_what_was_forgiven_does_not_count() -> None:
    guarded = bans(Hands())
    for _ in range(10):
        assert await guarded.admit(HERE)
        await guarded.forgive(HERE)


async def test_parallel_guesses_do_not_slip_through() -> None:
    """An attempt counts before it is checked."""
    guarded = bans(Hands())
    assert sum([await guarded.admit(HERE) for _ in range(50)]) == 3
