"""The registered OAuth clients: found, checked, registered, imported — RFC 7591 §2, security §20–§22."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Update, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.clients.client import Client, Source
from bridge.clients.hashes import SecretHashes, beside, good_at
from bridge.clients.metadata import OFFERED, SHORTEST_KEY, Document, InvalidMetadata, Offered, is_identifier
from bridge.clients.rows import EXTENSIONS, Row, client_of, draft, has_secret, imported_flags, needs_recoverable_secret
from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database
from bridge.database.lookup import LookUp
from bridge.database.tables import consents, oauth_clients
from bridge.database.versions import bump
from bridge.errors import Unavailable
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.stores.versions import Cached, Versions
from bridge.tokens import new_id

VERSION: Final = "clients"
_LONGEST_SECRET: Final = 1_024
_BY_ID: Final = LookUp(select(oauth_clients).where(oauth_clients.c.client_id == bindparam("client_id")))


@dataclass(frozen=True, slots=True)
class Registered:
    """A client that was just made or changed, and its secret where that is new: shown this once, kept as a hash."""

    client: Client
    secret: Secret | None


@dataclass(frozen=True, slots=True)
class Imported:
    """One document of an import.  `added` is False for a client that was there already: it was left as it is."""

    client_id: str
    added: bool


class Clients:
    """Reads through a cache that is never more than two seconds behind (security §20)."""

    def __init__(
        self,
        *,
        db: Database,
        ring: Ring,
        versions: Versions,
        clock: Clock,
        draw: Chance = chance,
        offered: Offered = OFFERED,
        size: int = 10_000,
    ) -> None:
        self._db = db
        self._ring = ring
        self._versions = versions
        self._clock = clock
        self._draw = draw
        self._offered = offered
        self._hashes = SecretHashes(ring, "client-secret")
        self._cached = Cached[str, Client](self._load, partial(versions.token, VERSION), size=size)

    async def get(self, client_id: str) -> Client | None:
        """The client of that id, disabled or not; None: there is none.  Raises Unavailable."""
        if not is_identifier(client_id):
            return None  # a name that could not be registered is not for a database, which may choke on it (NUL)
        return await self._cached.get(client_id)

    def still(self, client: Client) -> bool:
        """Whether that very object is what `get` would give now; False also where it would have to ask."""
        return self._cached.holds(client.client_id, client)

    async def check_secret(self, client: Client, secret: Secret) -> bool:
        """Whether it is this client's secret.  A hash under an older master key is made anew."""
        kept, found = client.secret_hash, self._hash_of(client, secret)
        if kept is None or found is None:
            return False
        if kept.startswith(found) and not self._hashes.is_newest(found):  # one that ends soon is left as it is
            await self._rehash(client, kept, found, secret)
        return True

    def is_secret(self, client: Client, secret: Secret) -> bool:
        """The same, and nothing is made anew."""
        return self._hash_of(client, secret) is not None

    def _hash_of(self, client: Client, secret: Secret) -> str | None:
        """Which of the hashes that count now is of that secret."""
        hashes = good_at(client.secret_hash, self._clock.now()) if client.secret_hash is not None else ()
        return next((one for one in hashes if self._hashes.check(one, client.client_id, secret)), None)

    def symmetric_secret(self, client: Client) -> Secret | None:
        """The secret itself, as a key: only of a client registered for a symmetric algorithm (security §22)."""
        if client.secret_enc is None:
            return None
        plain = self._ring.open(client.secret_enc, *_place(client.client_id))
        return Secret(plain) if plain is not None else None

    async def create(
        self,
        metadata: Mapping[str, Any],
        *,
        source: Source = "command",
        client_id: str | None = None,
        require_pkce: bool = True,
        first_party: bool = False,
        allow_query_token: bool = False,
    ) -> Registered:
        """Register a client from RFC 7591 metadata; its id (unless given) and secret are made here.

        Raises InvalidMetadata, also for an id that is taken.
        """
        if source == "registration" and first_party:
            raise InvalidMetadata("first_party", "a client that registers itself is never first-party")
        row = draft(
            new_id(self._draw) if client_id is None else client_id,
            metadata,
            source=source,
            offered=self._offered,
            require_pkce=require_pkce,
            first_party=first_party,
            allow_query_token=allow_query_token,
        )
        secret = new_secret(self._draw) if has_secret(row) else None
        self._complete(row, secret)
        async with self._db.begin() as tx:
            if not await self._add(tx, row):
                raise InvalidMetadata("client_id", "is taken")
        await self._publish()
        return Registered(client_of(row), secret)

    async def import_(self, documents: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sequence[Imported]:
        """Take over one registered client, or a list: ids, secrets and redirect URIs as they are.

        PKCE is verified if sent but not required, and the query token is allowed, unless the document says
        otherwise.  All of them or none: InvalidMetadata names the first that is wrong.
        """
        listed = [documents] if isinstance(documents, Mapping) else documents
        rows = [self._imported(number, document) for number, document in enumerate(listed, 1)]
        async with self._db.begin() as tx:
            imported = [Imported(row["client_id"], added=await self._add(tx, row)) for row in rows]
        await self._publish()
        return imported

    async def list(self) -> Sequence[Client]:
        """All clients, in the order they were made."""
        async with self._db.read() as tx:
            rows = await tx.execute(select(oauth_clients).order_by(oauth_clients.c.id))
        return [client_of(row._asdict()) for row in rows]

    async def change(self, client_id: str, change: Callable[[Document], Document]) -> Registered | None:
        """`change` of its document as it is now; what it is and has already, it may stay and keep.

        None: there is no such client.  Raises InvalidMetadata, and nothing is written.
        """

        def changed(before: Row) -> tuple[dict[str, Any], Secret | None]:
            now, flags = client_of(before), {name: before[name] for name in EXTENSIONS}
            offered = replace(
                self._offered,
                grant_types=self._offered.grant_types.union(now.grant_types),
                response_types=self._offered.response_types.union(now.response_types),
            )
            document = change(json.loads(before["metadata"]))
            row = draft(client_id, document, source=before["source"], offered=offered, **flags)
            columns, secret = self.rekeyed(before, row)
            return {name: row[name] for name in ("name", "auth_method", "metadata")} | columns, secret

        return await self._rewrite(client_id, changed)

    async def renew_secret(self, client_id: str, *, overlap: int = 0) -> Registered | None:
        """A new secret.  The one before it is good for `overlap` seconds more, so that nobody need stop.

        None: there is no such client.  Raises InvalidMetadata for one without a secret, and for an overlap where the
        secret is a key: there is one key only.
        """

        def renewed(before: Row) -> tuple[dict[str, Any], Secret | None]:
            if not has_secret(before):
                raise InvalidMetadata("client_secret", "is none of this client's: it shows itself in another way")
            if overlap and needs_recoverable_secret(before):
                raise InvalidMetadata("client_secret", "is a key: the old one cannot be good beside the new one")
            secret = new_secret(self._draw)
            columns = self.kept(before, secret)
            if overlap and before["secret_hash"] is not None:
                until = int(self._clock.now()) + overlap
                columns["secret_hash"] = beside(columns["secret_hash"], before["secret_hash"], until)
            return columns, secret

        return await self._rewrite(client_id, renewed)

    async def disable(self, client_id: str) -> bool:
        """From now on nothing is given to it, within two seconds everywhere.  False: there is no such client."""
        return await self._change(client_id, disabled_at=int(self._clock.now()))

    async def enable(self, client_id: str) -> bool:
        """Undo `disable`.  False: there is no such client."""
        return await self._change(client_id, disabled_at=None)

    async def remove(self, client_id: str) -> bool:
        """Forget it, and withdraw what people allowed it, lest a later client of the same id inherit that; the
        reconciler ends what stands on it.  False: there is no such client."""
        async with self._db.begin() as tx:
            gone = await tx.execute(delete(oauth_clients).where(oauth_clients.c.client_id == client_id))
            await tx.execute(withdrawal(client_id, int(self._clock.now())))
            await bump(tx, VERSION)
        await self._publish()
        return gone.rowcount > 0

    def kept(self, row: Mapping[str, Any], secret: Secret) -> dict[str, Any]:
        """The columns that keep this secret of the client that `row` describes (security §22)."""
        client_id = row["client_id"]
        sealed = self._ring.seal(secret.reveal_bytes(), *_place(client_id)) if needs_recoverable_secret(row) else None
        return {"secret_hash": self._hashes.make(client_id, secret), "secret_enc": sealed}

    def rekeyed(self, before: Row, row: Row) -> tuple[dict[str, Any], Secret | None]:
        """What becomes of the secret when `before` becomes `row`: its columns, and a new one where the client needs
        one now and what is kept does not do."""
        if not has_secret(row):
            return {"secret_hash": None, "secret_enc": None}, None
        recoverable = needs_recoverable_secret(row)
        if before["secret_hash"] is None or (recoverable and before["secret_enc"] is None):
            secret = new_secret(self._draw)
            return self.kept(row, secret), secret
        return {} if recoverable else {"secret_enc": None}, None

    async def _rewrite(
        self, client_id: str, columns_of: Callable[[Row], tuple[dict[str, Any], Secret | None]]
    ) -> Registered | None:
        """The row, held until what was made of it is written."""
        mine = oauth_clients.c.client_id == client_id
        async with self._db.begin() as tx:
            held = (await tx.execute(select(oauth_clients).where(mine).with_for_update())).first()
            if held is None:
                return None
            columns, secret = columns_of(held._asdict())
            changed = update(oauth_clients).where(mine).values(**columns, updated_at=int(self._clock.now()))
            await tx.execute(changed)
            row = (await tx.execute(select(oauth_clients).where(mine))).one()
            await bump(tx, VERSION)
        await self._publish()
        return Registered(client_of(row._asdict()), secret)

    async def _load(self, client_id: str) -> Client | None:
        row = await self._db.first(_BY_ID, client_id=client_id)
        return client_of(row._asdict()) if row is not None else None

    def _imported(self, number: int, document: Mapping[str, Any]) -> dict[str, Any]:
        try:
            client_id = document.get("client_id")
            if not isinstance(client_id, str):
                raise InvalidMetadata("client_id", "is missing")
            row = draft(client_id, document, source="import", offered=self._offered, **imported_flags(document))
            self._complete(row, _given_secret(row, document))
        except InvalidMetadata as error:
            raise InvalidMetadata("", f"client {number} of the import: {error}") from None
        return row

    def _complete(self, row: dict[str, Any], secret: Secret | None) -> None:
        row["created_at"] = row["updated_at"] = int(self._clock.now())
        if secret is not None:
            row |= self.kept(row, secret)

    async def _add(self, tx: AsyncConnection, row: Mapping[str, Any]) -> bool:
        """False: the id was there, and nothing was written."""
        there = select(oauth_clients.c.id).where(oauth_clients.c.client_id == row["client_id"])
        if (await tx.execute(there)).first() is not None:
            return False
        try:
            await tx.execute(insert(oauth_clients).values(row))
        except IntegrityError:
            raise InvalidMetadata("client_id", "is taken") from None  # by somebody else, at this moment
        await bump(tx, VERSION)
        return True

    async def _rehash(self, client: Client, kept: str, found: str, secret: Secret) -> None:
        try:
            async with self._db.begin() as tx:
                await tx.execute(
                    update(oauth_clients)
                    .where(oauth_clients.c.client_id == client.client_id, oauth_clients.c.secret_hash == kept)
                    .values(secret_hash=kept.replace(found, self._hashes.make(client.client_id, secret), 1))
                )
                await bump(tx, VERSION)
        except Unavailable:
            return  # the secret was right; the next call will try again
        await self._publish()

    async def _publish(self) -> None:
        with suppress(Unavailable):  # it has happened, and a new secret must reach its owner; the reconciler publishes
            await self._versions.publish(VERSION)

    async def _change(self, client_id: str, **values: object) -> bool:
        async with self._db.begin() as tx:
            changed = await tx.execute(
                update(oauth_clients)
                .where(oauth_clients.c.client_id == client_id)
                .values(**values, updated_at=int(self._clock.now()))
            )
            await bump(tx, VERSION)
        await self._publish()
        return changed.rowcount > 0


def withdrawal(client_id: str, now: int) -> Update:
    """Takes back what people allowed that client, lest a later one of the same id inherit it."""
    granted = update(consents).where(consents.c.client_id == client_id, consents.c.granted)
    return granted.values(
        version=consents.c.version + 1, granted=False, scopes="", claims="", places=None, changed_at=now
    )


def new_secret(draw: Chance) -> Secret:
    """256 random bits, as a client keeps them."""
    return Secret(base64.urlsafe_b64encode(draw(32)).decode().rstrip("="))


def _given_secret(row: Mapping[str, Any], document: Mapping[str, Any]) -> Secret | None:
    given = document.get("client_secret")
    if not has_secret(row):
        return None
    if not isinstance(given, str) or not 0 < len(given) <= _LONGEST_SECRET:
        raise InvalidMetadata("client_secret", "is missing, and the client is not public")
    if needs_recoverable_secret(row) and len(given.encode()) < SHORTEST_KEY:
        raise InvalidMetadata("client_secret", f"is a key, and so must have {SHORTEST_KEY} bytes at least")
    return Secret(given)


def _place(client_id: str) -> tuple[str, str, str]:
    """The cell in which its recoverable secret lies (security §5)."""
    return "oauth_clients", "secret_enc", client_id
