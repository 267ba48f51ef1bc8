"""How a random secret is kept: `h1.<key id>.<hex>`, an HMAC under the master ring — security §22.

Random secrets need no slow hash: nobody guesses 190 bits, and these are checked on every call.  A secret that was
renewed may be good beside its successor for a while: `<hash> <hash before>@<Unix seconds>`.
"""

import hmac

from bridge.ring import Purpose, Ring
from bridge.secret import Secret, mac

_FORM = "h1"


def beside(new: str, old: str, until: int) -> str:
    """Both hashes: the new one, and that before it, which is good until then (Unix seconds).  An older one is gone."""
    return f"{new} {old.partition(' ')[0]}@{until}"


def good_at(kept: str, now: float) -> tuple[str, ...]:
    """The hashes that count at that time, the newest first."""
    newest, _, older = kept.partition(" ")
    until = older_until(kept)
    return (newest, older.partition("@")[0]) if until is not None and now < until else (newest,)


def older_until(kept: str) -> int | None:
    """Until when the hash before the newest is good, or was (Unix seconds); None: there is none."""
    until = kept.partition(" ")[2].partition("@")[2]
    return int(until) if until else None


class SecretHashes:
    """Makes and checks them for one purpose."""

    def __init__(self, ring: Ring, purpose: Purpose) -> None:
        self._ring = ring
        self._purpose: Purpose = purpose

    def make(self, owner: str, secret: Secret) -> str:
        """The hash of that owner's secret.  The owner is part of it: a hash moved to another row matches nothing."""
        key = self._ring.newest
        return f"{_FORM}.{key.id}.{self._hex(key.derive(self._purpose), owner, secret)}"

    def check(self, kept: str, owner: str, secret: Secret) -> bool:
        """Whether it is the hash of this secret of this owner."""
        form, _, rest = kept.partition(".")
        key_id, _, hexed = rest.partition(".")
        key = self._ring.get(key_id)
        if form != _FORM or key is None:
            return False
        return hmac.compare_digest(self._hex(key.derive(self._purpose), owner, secret), hexed)

    def is_ours(self, kept: str) -> bool:
        """Whether it has our form at all; an imported bcrypt has not."""
        return kept.startswith(f"{_FORM}.")

    def is_newest(self, kept: str) -> bool:
        """Whether it was made with the newest key of the ring."""
        return kept.startswith(f"{_FORM}.{self._ring.newest.id}.")

    def _hex(self, key: bytes, owner: str, secret: Secret) -> str:
        return mac(key, self._purpose, owner, secret.reveal_bytes()).hex()
