"""How often something is begun by whom nobody knows — security §17, §23."""

from ipaddress import ip_address

from bridge.interactions.arrivals import HOUR, Arrivals
from bridge.ring import Ring
from bridge.stores.guard import MemoryGuard
from bridge.testing.hands import Hands
from bridge.tokens import Names

RING = Ring.parse(Ring.new_line("k1"))


async def test_all_addresses_together_have_a_limit_and_who_is_beyond_his_own_takes_nobodys_place() -> None:
    clock = Hands(1_000_000.0)
    guard, names = MemoryGuard(clock), Names("https://login.example")
    arrivals = Arrivals(guard=guard, names=names, ring=RING, limit=2, seconds=HOUR, in_all=5)
    first = [await arrivals.admit(ip_address("192.0.2.1")) for _ in range(9)]
    assert first[:2] == [0, 0] and all(first[2:])
    others = [await arrivals.admit(ip_address(f"2001:db8:{number}::1")) for number in range(1, 6)]
    assert others[:3] == [0, 0, 0] and all(0 < wait <= HOUR for wait in others[3:])
    assert await arrivals.admit(None), "whose address is not known is one of all"
    clock.move(2 * HOUR)
    assert await arrivals.admit(ip_address("2001:db8:9::1")) == 0
