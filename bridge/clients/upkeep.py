"""Clients as an API caller makes and changes them, by number, each with its audit row — whmcs-api §3.4, security §30.

These are rows of the same table as all clients.  What an operator made on the command line, what registered itself and
what is first-party is not a caller's to see or to change: he could send everybody's codes elsewhere.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clients.client import Client
from bridge.clients.clients import VERSION, Clients, withdrawal
from bridge.clients.metadata import OFFERED, Document, Offered
from bridge.clients.rows import Row, client_of, draft
from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database
from bridge.database.tables import oauth_clients
from bridge.errors import Unavailable
from bridge.events.ledger import Deed
from bridge.secret import Secret

SINGLE_SIGN_ON: Final = "single_sign_on"
_THEIRS: Final = ("legacy", "import")
_SECRET_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Numbered:
    """A client and its number, and its secret where that was just made: shown this once, kept as a hash."""

    number: int
    client: Client
    secret: Secret | None = None


class ClientUpkeep:
    """Reads on the primary.  Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self,
        *,
        db: Database,
        clients: Clients,
        clock: Clock,
        offered: Offered = OFFERED,
        draw: Chance = chance,
    ) -> None:
        self._db = db
        self._clients = clients
        self._clock = clock
        self._offered = Offered(
            grant_types=offered.grant_types | {SINGLE_SIGN_ON},
            response_types=offered.response_types,
            id_token_algs=offered.id_token_algs,
        )
        self._draw = draw

    async def all(self) -> Sequence[Numbered]:
        """By number."""
        async with self._db.read() as tx:
            rows = (await tx.execute(_theirs().order_by(oauth_clients.c.id))).all()
        return [_numbered(row._asdict()) for row in rows]

    async def find(self, *, number: int | None = None, client_id: str | None = None) -> Numbered | None:
        """The one of that number, or of that id."""
        async with self._db.read() as tx:
            row = (await tx.execute(_one(number, client_id))).first()
        return _numbered(row._asdict()) if row is not None else None

    async def add(self, deed: Deed, document: Document, *, prefix: str, require_pkce: bool) -> Numbered:
        """A new one, `prefix` and 128 random bits being its id.  Raises InvalidMetadata."""
        client_id = f"{prefix}.{base64.b64encode(self._draw(16)).decode()}"
        row = self._drafted(client_id, document, require_pkce=require_pkce)
        secret = self._new_secret()
        now = int(self._clock.now())
        values = {**row, **self._clients.kept(row, secret), "created_at": now, "updated_at": now}
        try:
            await deed.tx.execute(insert(oauth_clients).values(values))
        except IntegrityError:
            raise Unavailable("a fresh identifier was there already") from None
        made = (await deed.tx.execute(_one(None, client_id))).one()._asdict()
        await self._note(deed, client_id, "made")
        return _numbered(made, secret)

    async def change(
        self, deed: Deed, number: int, change: Callable[[Document], Document], *, reset_secret: bool
    ) -> Numbered | None:
        """`change` of its document as it is now; None: there is none.  Raises InvalidMetadata, and nothing is written.

        With `reset_secret` the old secret is nobody's from now on.
        """
        held = (await deed.tx.execute(_one(number, None).with_for_update())).first()
        if held is None:
            return None
        before = held._asdict()
        flags = {name: before[name] for name in ("require_pkce", "first_party", "allow_query_token")}
        document = change(json.loads(before["metadata"]))
        row = draft(before["client_id"], document, source=before["source"], offered=self._offered, **flags)
        values = {name: row[name] for name in ("name", "auth_method", "metadata")}
        secret = self._new_secret() if reset_secret else None
        if secret is not None:
            values |= self._clients.kept(row, secret)
        mine = update(oauth_clients).where(oauth_clients.c.id == number)
        await deed.tx.execute(mine.values(**values, updated_at=int(self._clock.now())))
        await self._note(deed, before["client_id"], "secret reset" if reset_secret else "changed")
        return _numbered((await deed.tx.execute(_one(number, None))).one()._asdict(), secret)

    async def remove(self, deed: Deed, number: int) -> Numbered | None:
        """Forget it, and withdraw what people allowed it: the reconciler ends what stands on that.  None: no such."""
        held = (await deed.tx.execute(_one(number, None).with_for_update())).first()
        if held is None:
            return None
        client_id = held._asdict()["client_id"]
        await deed.tx.execute(delete(oauth_clients).where(oauth_clients.c.id == number))
        await deed.tx.execute(withdrawal(client_id, int(self._clock.now())))
        await self._note(deed, client_id, "removed")
        return _numbered(held._asdict())

    def _drafted(self, client_id: str, document: Document, *, require_pkce: bool) -> dict[str, Any]:
        return draft(
            client_id,
            document,
            source="legacy",
            offered=self._offered,
            require_pkce=require_pkce,
            first_party=False,
            allow_query_token=False,
        )

    def _new_secret(self) -> Secret:
        return Secret(base64.b64encode(self._draw(_SECRET_BYTES)).decode())

    @staticmethod
    async def _note(deed: Deed, client_id: str, what: str) -> None:
        await deed.record("client.changed", client=client_id, reason=what)
        deed.outdates(VERSION)


def _theirs() -> Select[Any]:
    theirs = oauth_clients.c.source.in_(_THEIRS) & oauth_clients.c.first_party.is_(False)
    return select(oauth_clients).where(theirs, oauth_clients.c.auth_method != "none")


def _one(number: int | None, client_id: str | None) -> Select[Any]:
    return _theirs().where(
        oauth_clients.c.id == number if number is not None else oauth_clients.c.client_id == client_id
    )


def _numbered(row: Row, secret: Secret | None = None) -> Numbered:
    return Numbered(row["id"], client_of(row), secret)
