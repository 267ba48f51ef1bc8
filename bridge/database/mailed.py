"""A token that goes out by mail: its hash for whoever shows it, a sealed copy for whoever mails it — security §5, §24.

The outbox's job names a row, never a token.  The copy is there so that a letter which is sent again is the same
letter; it is dropped with the last use.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from bridge.clock import Chance, chance
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.tokens import base62, digest

_LENGTH: Final = 43
_FORM: Final = re.compile(r"[0-9A-Za-z]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MailedTokens:
    """Those of one table, in its columns `token_hash` and `token_enc`."""

    table: str
    ring: Ring
    draw: Chance = chance

    def new(self) -> dict[str, Any]:
        """The columns of a new token of 256 random bits."""
        text = base62(int.from_bytes(self.draw(32), "big"), _LENGTH)
        hashed = digest(text)
        return {"token_hash": hashed, "token_enc": self.ring.seal(text.encode(), *self._place(hashed))}

    def open(self, row: Any) -> Secret | None:
        """The row's token; None: it is used up, or was sealed under a key that is gone."""
        if row.token_enc is None:
            return None
        plain = self.ring.open(row.token_enc, *self._place(row.token_hash))
        return Secret(plain.decode()) if plain is not None else None

    def _place(self, hashed: str) -> tuple[str, str, str]:
        return self.table, "token_enc", hashed


def hash_of(token: Secret) -> str | None:
    """By what its row is found; None: it cannot be one of ours, and nobody need be asked."""
    try:
        text = token.reveal()
    except UnicodeDecodeError:
        return None
    return digest(text) if _FORM.fullmatch(text) else None
