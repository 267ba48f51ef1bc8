"""Clients that register themselves, and the tokens by which they may — RFC 7591 §3, RFC 7592 §2, security §17.

An initial access token lets somebody register; a registration access token, given out with each client, lets its
holder read, change and remove that one client.  Both are random, and kept as hashes.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clients.client import DEFAULT_SCOPES, Client
from bridge.clients.clients import VERSION, Clients, new_secret, withdrawal
from bridge.clients.hashes import SecretHashes
from bridge.clients.metadata import OFFERED, Document, InvalidMetadata, Metadata, Offered, localized, read_metadata
from bridge.clients.rows import Row, client_of, draft, has_secret
from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database, Tx
from bridge.database.tables import consents, initial_access_tokens, oauth_clients
from bridge.database.versions import bump
from bridge.events.ledger import Deed
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.tokens import new_id

MOST_BYTES: Final = 16_384
"""Of a document, as it is kept."""
MOST_LEVELS: Final = 8
"""Of a document, itself the first."""
_INITIAL: Final = re.compile(r"lbi_([0-9A-Za-z]{22})_[A-Za-z0-9_-]{43}", re.ASCII)
_MANAGING: Final = re.compile(r"lbm_[A-Za-z0-9_-]{43}", re.ASCII)
# What registered clients never get (security §17): tokens without a person.
_PERSONLESS: Final = frozenset({"client_credentials"})
_OPERATORS: Final = frozenset({"resource_server"})
_KNOWN: Final = frozenset({*Metadata.__struct_fields__, "contacts", "software_id", "software_version"}) - _OPERATORS
# RFC 7592 §2.2: the server's own, which an update must not hold.
_OURS: Final = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)


class NotAdmitted(Exception):
    """No such initial access token, or it is used up, or over; all the same to who shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialToken:
    """Lets somebody register clients.  `token` is there only where it was just made."""

    name: str
    left: int | None
    """So many clients more; None: any number."""
    scopes: tuple[str, ...]
    """What they may ask for."""
    expires_at: int | None
    created_at: int
    token: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A registered client and the token that manages it; a secret where that was just made."""

    client: Client
    managing: Secret
    secret: Secret | None = None


class Registrations:
    """Reads on the primary.  Every call raises `Unavailable` when the database does not answer."""

    def __init__(
        self,
        *,
        db: Database,
        clients: Clients,
        ring: Ring,
        clock: Clock,
        offered: Offered = OFFERED,
        require_pkce: bool = True,
        unused: int = 0,
        draw: Chance = chance,
    ) -> None:
        """`unused`: seconds after which a client that nobody ever signed in to is forgotten; 0: never."""
        self._db = db
        self._clients = clients
        self._clock = clock
        self._offered = replace(offered, grant_types=offered.grant_types - _PERSONLESS)
        self._require_pkce = require_pkce
        self._unused = unused
        self._draw = draw
        self._hashes = SecretHashes(ring, "registration")

    # ---- registering -------------------------------------------------------------------------------------------

    async def register(self, deed: Deed, document: Document, *, by: Secret | None) -> Registration:
        """A new client.  `by`: the initial access token, which has one use less; None: anybody may.

        Raises InvalidMetadata, NotAdmitted; then nothing was written and no use is gone.
        """
        scopes = DEFAULT_SCOPES if by is None else await self._spend(deed.tx, by)
        client_id = new_id(self._draw)
        row = self._drafted(client_id, document, scopes, require_pkce=self._require_pkce)
        secret = new_secret(self._draw) if has_secret(row) else None
        managing, now = self._new_managing(), self._now()
        values = {
            **row,
            **(self._clients.kept(row, secret) if secret else {}),
            "registration_hash": self._hashes.make(client_id, managing),
            "created_at": now,
            "updated_at": now,
        }
        await deed.tx.execute(insert(oauth_clients).values(values))
        await self._note(deed, client_id, "registered")
        made = (await deed.tx.execute(_registered(client_id))).one()
        return Registration(client=client_of(made._asdict()), managing=managing, secret=secret)

    async def admits(self, by: Secret) -> bool:
        """Whether that initial access token lets somebody register now.  Uses nothing up."""
        async with self._db.read() as tx:
            return await self._invitation(tx, by, _usable(self._now())) is not None

    # ---- managing ----------------------------------------------------------------------------------------------

    async def find(self, client_id: str, managing: Secret) -> Client | None:
        """The client that this token manages; None: there is none, or it is another's token."""
        async with self._db.read() as tx:
            row = (await tx.execute(_registered(client_id))).first()
        return client_of(row._asdict()) if row is not None and self._manages(row._asdict(), managing) else None

    async def change(self, deed: Deed, client_id: str, managing: Secret, document: Document) -> Registration | None:
        """What it says from now on, whole: what is left out is forgotten (RFC 7592 §2.2); scopes that it has not are as
        good as not asked for.  The token is another one afterwards.  None: as for `find`.  Raises InvalidMetadata, and
        nothing is written."""
        before = await self._held(deed.tx, client_id, managing)
        if before is None:
            return None
        self._check_update(before, document)
        row = self._drafted(client_id, document, client_of(before).scopes, require_pkce=before["require_pkce"])
        columns, secret = self._clients.rekeyed(before, row)
        new = self._new_managing()
        values = {name: row[name] for name in ("name", "auth_method", "metadata")} | columns
        values |= {"registration_hash": self._hashes.make(client_id, new), "updated_at": self._now()}
        await deed.tx.execute(update(oauth_clients).where(oauth_clients.c.id == before["id"]).values(values))
        after = client_of((await deed.tx.execute(_registered(client_id))).one()._asdict())
        if not _addresses(after) <= _addresses(client_of(before)):
            # Nobody was asked about that address: what people allowed, they allowed the ones they were shown.
            await deed.tx.execute(withdrawal(client_id, self._now()))
        await self._note(deed, client_id, "changed by its registration access token")
        return Registration(client=after, managing=new, secret=secret)

    async def remove(self, deed: Deed, client_id: str, managing: Secret) -> bool:
        """Forget it; what stands on it ends.  False: as None of `find`."""
        before = await self._held(deed.tx, client_id, managing)
        if before is None:
            return False
        await self._forget_one(deed.tx, client_id)
        await self._note(deed, client_id, "removed by its registration access token")
        return True

    async def forget(self) -> int:
        """Remove the clients that nobody ever allowed anything, once they are old enough.  How many."""
        if not self._unused:
            return 0
        old = oauth_clients.c.created_at < self._now() - self._unused
        known = select(consents.c.client_id).where(consents.c.client_id == oauth_clients.c.client_id).exists()
        idle = select(oauth_clients.c.client_id).where(oauth_clients.c.source == "registration", old, ~known)
        async with self._db.begin() as tx:
            found = (await tx.execute(idle)).scalars().all()
            for client_id in found:
                await self._forget_one(tx, client_id)
            if found:
                await bump(tx, VERSION)
        return len(found)

    # ---- initial access tokens ---------------------------------------------------------------------------------

    async def invite(
        self, name: str, *, uses: int | None = 1, lifetime: int | None = None, scopes: Sequence[str] = DEFAULT_SCOPES
    ) -> InitialToken | None:
        """A new initial access token.  `lifetime` in seconds.  None: the name is taken."""
        identifier, now = new_id(self._draw), self._now()
        token = Secret(f"lbi_{identifier}_{self._random()}")
        values = {
            "name": name,
            "identifier": identifier,
            "token_hash": self._hashes.make(identifier, token),
            "uses_left": uses,
            "scopes": " ".join(scopes),
            "expires_at": now + lifetime if lifetime is not None else None,
            "created_at": now,
        }
        try:
            async with self._db.begin() as tx:
                await tx.execute(insert(initial_access_tokens).values(values))
        except IntegrityError:
            return None
        return replace(_initial(values), token=token)

    async def invited(self) -> Sequence[InitialToken]:
        """All of them, used up or not, by age."""
        async with self._db.read() as tx:
            rows = await tx.execute(select(initial_access_tokens).order_by(initial_access_tokens.c.id))
            return [_initial(row._asdict()) for row in rows]

    async def uninvite(self, name: str) -> bool:
        """Nobody registers by it any more; what was registered stays.  False: there is none of that name."""
        async with self._db.begin() as tx:
            gone = await tx.execute(delete(initial_access_tokens).where(initial_access_tokens.c.name == name))
        return gone.rowcount > 0

    # ---- inside ------------------------------------------------------------------------------------------------

    async def _spend(self, tx: Tx, token: Secret) -> tuple[str, ...]:
        """One use less, and what its clients may ask for."""
        table = initial_access_tokens
        row = await self._invitation(tx, token)
        if row is None:
            raise NotAdmitted
        usable = (table.c.id == row["id"]) & _usable(self._now())
        # A condition and a count in one statement: of fifty at once no more than `uses_left` get through.
        spent = await tx.execute(update(table).where(usable).values(uses_left=table.c.uses_left - 1))
        if spent.rowcount != 1:
            raise NotAdmitted
        return tuple(row["scopes"].split())

    async def _invitation(self, tx: Tx, token: Secret, *conditions: ColumnElement[bool]) -> Row | None:
        """The row of that initial access token."""
        formed, table = _INITIAL.fullmatch(token.reveal()), initial_access_tokens
        if formed is None:
            return None
        found = (await tx.execute(select(table).where(table.c.identifier == formed[1], *conditions))).first()
        row = found._asdict() if found is not None else None
        return row if row is not None and self._hashes.check(row["token_hash"], row["identifier"], token) else None

    def _drafted(
        self, client_id: str, document: Document, scopes: Sequence[str], *, require_pkce: bool
    ) -> dict[str, Any]:
        return draft(
            client_id,
            effective(document, scopes),
            source="registration",
            offered=self._offered,
            require_pkce=require_pkce,
            first_party=False,
            allow_query_token=False,
        )

    def _check_update(self, before: Row, document: Document) -> None:
        if document.get("client_id") != before["client_id"]:
            raise InvalidMetadata("client_id", "is not the one of this client")
        for name in _OURS:
            if name in document:
                raise InvalidMetadata(name, "is not the client's to set")
        shown = document.get("client_secret")
        if shown is None:
            return
        if not isinstance(shown, str) or not self._clients.is_secret(client_of(before), Secret(shown)):
            raise InvalidMetadata("client_secret", "is not the one of this client")

    async def _held(self, tx: Tx, client_id: str, managing: Secret) -> Row | None:
        """The row, until the transaction ends."""
        row = (await tx.execute(_registered(client_id).with_for_update())).first()
        return row._asdict() if row is not None and self._manages(row._asdict(), managing) else None

    def _manages(self, row: Row, managing: Secret) -> bool:
        kept = row["registration_hash"]
        formed = _MANAGING.fullmatch(managing.reveal()) is not None
        return formed and kept is not None and self._hashes.check(kept, row["client_id"], managing)

    async def _forget_one(self, tx: Tx, client_id: str) -> None:
        await tx.execute(delete(oauth_clients).where(oauth_clients.c.client_id == client_id))
        await tx.execute(withdrawal(client_id, self._now()))

    def _new_managing(self) -> Secret:
        return Secret(f"lbm_{self._random()}")

    def _random(self) -> str:
        return base64.urlsafe_b64encode(self._draw(32)).decode().rstrip("=")

    def _now(self) -> int:
        return int(self._clock.now())

    @staticmethod
    async def _note(deed: Deed, client_id: str, what: str) -> None:
        await deed.record("client.changed", client=client_id, reason=what)
        deed.outdates(VERSION)


def effective(document: Document, scopes: Sequence[str]) -> dict[str, Any]:
    """What is registered of a document: the members we know, with the values that hold (RFC 7591 §3.2.1).

    Scopes beyond `scopes` are left out, as §2 allows.  Raises InvalidMetadata.
    """
    if not _within(document, MOST_LEVELS):
        raise InvalidMetadata("", f"the document is deeper than {MOST_LEVELS} levels")
    kept = {name: value for name, value in document.items() if name in _KNOWN or localized(name)}
    metadata = read_metadata(kept)
    asked = metadata.scopes if isinstance(metadata.scope, str) else scopes
    if not (granted := [scope for scope in asked if scope in scopes]):
        raise InvalidMetadata("scope", "holds nothing that may be registered")
    whole = {name: value for name, value in msgspec.to_builtins(metadata).items() if value not in (None, "")}
    whole |= {name: kept[name] for name in kept.keys() - whole.keys()}
    whole |= {"response_types": list(metadata.responses), "scope": " ".join(granted)}
    try:
        # Python also reads and writes NaN and Infinity, over which whoever reads the client later would fall.
        size = len(json.dumps(whole, ensure_ascii=False, allow_nan=False).encode())
    except ValueError:
        raise InvalidMetadata("", "the document holds half a character, or a number that is none") from None
    if size > MOST_BYTES:
        raise InvalidMetadata("", f"the document is larger than {MOST_BYTES} bytes")
    return whole


def _within(value: object, levels: int) -> bool:
    """Whether it is no deeper: what can just be read here, another, on a deeper stack, could not."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels > 0 and all(_within(part, levels - 1) for part in parts)


def _addresses(client: Client) -> set[tuple[str, bool]]:
    """Where its answers go, and whether at any port of the loopback, as to a native app."""
    return {(uri, client.application_type == "native") for uri in client.redirect_uris}


def _registered(client_id: str) -> Select[Any]:
    ours = oauth_clients.c.source == "registration"
    return select(oauth_clients).where(oauth_clients.c.client_id == client_id, ours)


def _usable(now: int) -> ColumnElement[bool]:
    table = initial_access_tokens
    left = or_(table.c.uses_left.is_(None), table.c.uses_left > 0)
    return left & or_(table.c.expires_at.is_(None), table.c.expires_at > now)


def _initial(row: Row) -> InitialToken:
    return InitialToken(
        name=row["name"],
        left=row["uses_left"],
        scopes=tuple(row["scopes"].split()),
        expires_at=row["expires_at"],
        created_at=row["created_at"],
    )
