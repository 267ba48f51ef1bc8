"""Somebody who has no account yet waits until he has shown that he reads the mail of his address — security §5, §24.

A row waits for its link; with the first link that is used, all that waited for the same address are gone.  It holds the
browser that asked (as a hash) and its visit: only there may the link sign anybody in.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select

from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database, Tx
from bridge.database.lookup import LookUp
from bridge.database.mailed import MailedTokens, hash_of
from bridge.database.tables import sign_ups
from bridge.events.ledger import Deed
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.tokens import digest
from bridge.users.email import email_key

SIGN_UP: Final = "sign-up"
"""Of the outbox's job; its payload's `sign_up` is the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """One request for an account."""

    id: int
    email: str
    """As it was typed: the letter goes there, if nobody has that address."""
    browser: str
    """SHA-256 of the `__Host-lb_pre` of the browser that asked."""
    interaction: str | None
    """The visit in which it was asked for; None: in none."""
    expires_at: int

    def is_from(self, pre: str | None) -> bool:
        """Whether this is the browser that asked, by its cookie as it came."""
        return pre is not None and digest(pre) == self.browser


class SignUps:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, *, db: Database, ring: Ring, clock: Clock, lifetime: int, draw: Chance = chance) -> None:
        """`lifetime`: seconds for which a request waits."""
        self._db = db
        self._clock = clock
        self._lifetime = lifetime
        self._tokens = MailedTokens("sign_ups", ring, draw)

    async def ask(self, tx: Tx, email: str, *, binding: str, interaction: str | None) -> int:
        """Let it wait; returns its number.  `binding`: the value of the browser's `__Host-lb_pre`."""
        now = self._now()
        values = {
            "email": email.strip(),
            "email_key": email_key(email),
            "browser": digest(binding),
            "interaction": interaction,
            "created_at": now,
            "expires_at": now + self._lifetime,
            **self._tokens.new(),
        }
        made = (await tx.execute(insert(sign_ups).values(values))).inserted_primary_key
        assert made is not None
        return int(made[0])

    async def by_token(self, token: Secret) -> SignUp | None:
        """What waits for that token, for a page that asks; None: nothing, or no longer."""
        row = await self._db.first(_BY_TOKEN, hash=hash_of(token) or "", now=self._now())
        return _sign_up_of(row) if row is not None else None

    async def token_of(self, sign_up: int) -> tuple[SignUp, Secret] | None:
        """For the letter: the request and its token; None: nothing can come of it any more."""
        row = await self._db.first(_BY_ID, id=sign_up, now=self._now())
        token = self._tokens.open(row) if row is not None else None
        return (_sign_up_of(row), token) if token is not None else None

    async def take(self, deed: Deed, token: Secret) -> bool:
        """Use it up, and with it all that wait for the same address.  Of all who try, one is told True."""
        mine = (sign_ups.c.token_hash == (hash_of(token) or "")) & (sign_ups.c.expires_at > self._now())
        key = (await deed.tx.execute(select(sign_ups.c.email_key).where(mine))).scalar()
        if (await deed.tx.execute(delete(sign_ups).where(mine))).rowcount != 1:
            return False
        await deed.tx.execute(delete(sign_ups).where(sign_ups.c.email_key == key))
        return True

    async def forget(self) -> int:
        """Delete what is too old; says how many rows that were."""
        async with self._db.begin() as tx:
            return (await tx.execute(delete(sign_ups).where(sign_ups.c.expires_at <= self._now()))).rowcount

    def _now(self) -> int:
        return int(self._clock.now())


def _sign_up_of(row: Any) -> SignUp:
    return SignUp(
        id=row.id, email=row.email, browser=row.browser, interaction=row.interaction, expires_at=row.expires_at
    )


_ALIVE: Final = sign_ups.c.expires_at > bindparam("now")
_BY_TOKEN: Final = LookUp(select(sign_ups).where(sign_ups.c.token_hash == bindparam("hash"), _ALIVE))
_BY_ID: Final = LookUp(select(sign_ups).where(sign_ups.c.id == bindparam("id"), _ALIVE))
