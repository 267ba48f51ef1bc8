"""The API credentials: found, checked, made — whmcs-api §2.2, security §20, §22."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clients.credential import Credential, CredentialKind, Rights, credential_of, row_of
from bridge.clients.hashes import SecretHashes
from bridge.clients.roles import give, given_to
from bridge.clock import Chance, Clock, chance
from bridge.database.database import Database
from bridge.database.lookup import LookUp
from bridge.database.tables import api_credentials
from bridge.database.versions import bump
from bridge.errors import Unavailable
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.stores.versions import Cached, Versions
from bridge.tokens import base62

VERSION: Final = "credentials"
_BY_IDENTIFIER: Final = LookUp(select(api_credentials).where(api_credentials.c.identifier == bindparam("identifier")))
_BCRYPT: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_IDENTIFIER: Final = re.compile(r"[^\x00-\x1f\x7f]{1,191}")


class Verdict(Protocol):
    """What a slow hash said."""

    @property
    def ok(self) -> bool: ...
    @property
    def upgrade(self) -> str | None:
        """A better hash of the same secret, to be kept instead."""
        ...


class Hasher(Protocol):
    """The slow hashes, which live with the users (`bridge.users.passwords`)."""

    async def verify(self, hashed: str | None, password: Secret, /) -> Verdict:
        """As much work for None as for a hash.  Raises Busy."""
        ...

    async def hash(self, password: Secret, /) -> str: ...


class CredentialTaken(ValueError):
    """A credential of that name or identifier is there already."""


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A credential that was just made, and its secret: shown this once, kept as a hash."""

    credential: Credential
    secret: Secret


class Credentials:
    """Reads through a cache that is never more than two seconds behind (security §20)."""

    def __init__(
        self, *, db: Database, ring: Ring, versions: Versions, hasher: Hasher, clock: Clock, draw: Chance = chance
    ) -> None:
        self._db = db
        self._versions = versions
        self._hasher = hasher
        self._clock = clock
        self._draw = draw
        self._hashes = SecretHashes(ring, "credential-secret")
        self._cached = Cached[str, Credential](self._load, lambda: versions.token(VERSION), size=1_000)

    async def find(self, identifier: str) -> Credential | None:
        """The credential of that identifier or admin name, disabled or not; None: there is none."""
        return await self._cached.get(identifier) if _IDENTIFIER.fullmatch(identifier) else None

    async def check(self, credential: Credential, secret: Secret) -> bool:
        """Whether it is this credential's secret; for kind `admin`: the md5 of the password, 32 lower-hex.

        What was kept in a form that is no longer the best is kept anew (security §22).  Raises Busy.
        """
        if credential.kind == "admin":
            return await self._check_admin(credential, secret)
        if not self._hashes.is_ours(credential.secret_hash):
            return await self._check_imported(credential, secret)
        if not self._hashes.check(credential.secret_hash, credential.identifier, secret):
            return False
        if not self._hashes.is_newest(credential.secret_hash):
            await self._keep(credential, self._hashes.make(credential.identifier, secret))
        return True

    async def check_nobody(self, secret: Secret) -> None:
        """As slow as `check` for an admin, for a name that nobody has."""
        await self._hasher.verify(None, secret)

    async def create(
        self, name: str, rights: Rights, *, identifier: str | None = None, secret: Secret | None = None
    ) -> NewCredential:
        """A credential with identifier and secret, 32 characters each and made here unless they are given.

        ValueError for what cannot be one; CredentialTaken.
        """
        made = self._new(name, "identifier", identifier or _draw_text(self._draw), rights)
        kept = secret or Secret(_draw_text(self._draw))
        made = replace(made, secret_hash=self._hashes.make(made.identifier, kept))
        return NewCredential(await self._insert(made, rights.roles), kept)

    async def import_bcrypt(self, name: str, rights: Rights, *, identifier: str, hashed: str) -> Credential:
        """A credential whose secret is known only as a bcrypt, until its first use.  ValueError, CredentialTaken."""
        if not _BCRYPT.fullmatch(hashed):
            raise ValueError("the hash of the secret is no bcrypt")
        made = self._new(name, "identifier", identifier, rights)
        return await self._insert(replace(made, secret_hash=hashed), rights.roles)

    async def create_admin(self, name: str, rights: Rights, *, username: str, md5: Secret) -> Credential:
        """An admin's login: `md5` is 32 lower-hex of his password, or a bcrypt of that.  ValueError, CredentialTaken.

        The md5 opens the API by itself, so it is wrapped in argon2id (security §22).
        """
        made = self._new(name, "admin", username, rights)
        text = md5.reveal()
        if not (_BCRYPT.fullmatch(text) or _MD5.fullmatch(text)):
            raise ValueError("neither an md5 (32 lower-hex) nor a bcrypt of one")
        made = replace(made, secret_hash=text if _BCRYPT.fullmatch(text) else await self._hasher.hash(md5))
        return await self._insert(made, rights.roles)

    async def list(self) -> Sequence[Credential]:
        """All credentials, in the order they were made."""
        async with self._db.read() as tx:
            rows = (await tx.execute(select(api_credentials).order_by(api_credentials.c.id))).all()
            roles = await given_to(tx)
        return [credential_of(row._asdict(), roles.get(row.id, {})) for row in rows]

    async def give_roles(self, name: str, roles: Iterable[str]) -> bool:
        """Let it have these roles and no other, within two seconds everywhere.  False: there is none of that name.

        Raises UnknownRole.
        """
        mine = select(api_credentials.c.id).where(api_credentials.c.name == name).with_for_update()
        async with self._db.begin() as tx:
            number = (await tx.execute(mine)).scalar()
            if number is None:
                return False
            await give(tx, number, roles)
            await bump(tx, VERSION)
        await self._publish()
        return True

    async def disable(self, name: str) -> bool:
        """Refuse it from now on, within two seconds everywhere.  False: there is none of that name."""
        return await self._change(name, disabled_at=int(self._clock.now()))

    async def enable(self, name: str) -> bool:
        """Undo `disable`.  False: there is none of that name."""
        return await self._change(name, disabled_at=None)

    async def remove(self, name: str) -> bool:
        """Forget it.  False: there is none of that name."""
        async with self._db.begin() as tx:
            gone = await tx.execute(delete(api_credentials).where(api_credentials.c.name == name))
            await bump(tx, VERSION)
        await self._publish()
        return gone.rowcount > 0

    async def _load(self, identifier: str) -> Credential | None:
        row = await self._db.first(_BY_IDENTIFIER, identifier=identifier)
        if row is None:
            return None
        async with self._db.read() as tx:
            roles = await given_to(tx, row.id)
        return credential_of(row._asdict(), roles.get(row.id, {}))

    async def _check_admin(self, credential: Credential, md5: Secret) -> bool:
        verdict = await self._hasher.verify(credential.secret_hash, md5)
        if verdict.ok and verdict.upgrade is not None:
            await self._keep(credential, verdict.upgrade)
        return verdict.ok

    async def _check_imported(self, credential: Credential, secret: Secret) -> bool:
        verdict = await self._hasher.verify(credential.secret_hash, secret)
        if verdict.ok:
            await self._keep(credential, self._hashes.make(credential.identifier, secret))
        return verdict.ok

    async def _keep(self, credential: Credential, hashed: str) -> None:
        """The better hash, unless somebody changed the old one meanwhile."""
        old = (api_credentials.c.name == credential.name) & (api_credentials.c.secret_hash == credential.secret_hash)
        try:
            async with self._db.begin() as tx:
                await tx.execute(update(api_credentials).where(old).values(secret_hash=hashed))
                await bump(tx, VERSION)
        except Unavailable:
            return  # the secret was right; the next call will try again
        await self._publish()

    async def _insert(self, credential: Credential, roles: Iterable[str]) -> Credential:
        try:
            async with self._db.begin() as tx:
                key = (await tx.execute(insert(api_credentials).values(row_of(credential)))).inserted_primary_key
                assert key is not None
                await give(tx, key[0], roles)
                given = await given_to(tx, key[0])
                await bump(tx, VERSION)
        except IntegrityError:
            raise CredentialTaken("a credential of that name or identifier is there already") from None
        await self._publish()
        return replace(credential, roles=given.get(key[0], {}))

    async def _publish(self) -> None:
        with suppress(Unavailable):  # it has happened, and a new secret must reach its owner; the reconciler publishes
            await self._versions.publish(VERSION)

    async def _change(self, name: str, **values: object) -> bool:
        async with self._db.begin() as tx:
            changed = await tx.execute(
                update(api_credentials)
                .where(api_credentials.c.name == name)
                .values(**values, updated_at=int(self._clock.now()))
            )
            await bump(tx, VERSION)
        await self._publish()
        return changed.rowcount > 0

    def _new(self, name: str, kind: CredentialKind, identifier: str, rights: Rights) -> Credential:
        if not _NAME.fullmatch(name):
            raise ValueError("the name must have 1 to 100 characters")
        if not _IDENTIFIER.fullmatch(identifier):
            raise ValueError("the identifier must have 1 to 191 characters")
        now = int(self._clock.now())
        return Credential(
            name=name,
            kind=kind,
            identifier=identifier,
            allowed_ips=rights.allowed_ips,
            actions=rights.actions,
            sessions=rights.sessions,
            error_on_2fa=rights.error_on_2fa,
            sso_without_2fa=rights.sso_without_2fa,
            created_at=now,
            updated_at=now,
        )


def _draw_text(draw: Chance) -> str:
    """32 letters and digits, 190 random bits (whmcs-api §2.2)."""
    return base62(int.from_bytes(draw(32), "big") % 62**32, 32)
