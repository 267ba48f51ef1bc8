"""Roles of API credentials: named sets of actions, of which any grants — whmcs-api §2.4, security §30.

No role is there from the beginning.  A role of `*` gives every action but the powerful ones, as a credential's own `*`
does: those are named one by one, in a role too.
"""

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from bridge.clients.credential import parse_actions
from bridge.clock import Clock
from bridge.database.database import Database, Tx
from bridge.database.tables import api_credentials, api_roles, credential_roles
from bridge.database.versions import Published, bump
from bridge.errors import Unavailable

VERSION: Final = "credentials"
"""What a role allows is cached with the credentials that have it."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class RoleTaken(ValueError):
    """A role of that name is there already."""


class RoleInUse(ValueError):
    """Credentials have it; the message names them."""


class UnknownRole(ValueError):
    """There is no role of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One role."""

    name: str
    actions: frozenset[str]
    """Lower-case names of actions, or `*`."""
    credentials: tuple[str, ...] = ()
    """The names of those that have it."""
    created_at: int = 0
    updated_at: int = 0


class Roles:
    """Every call is a transaction of its own, and raises `Unavailable` when the database does not answer."""

    def __init__(self, *, db: Database, versions: Published, clock: Clock) -> None:
        self._db = db
        self._versions = versions
        self._clock = clock

    async def add(self, name: str, actions: Iterable[str]) -> Role:
        """A new role.  ValueError for a name that is none and for no actions at all; RoleTaken."""
        if not _NAME.fullmatch(name):
            raise ValueError("the name must have 1 to 100 of A-Z a-z 0-9 . _ -")
        allowed, now = _some(actions), int(self._clock.now())
        row = {"name": name, "actions": json.dumps(sorted(allowed)), "created_at": now, "updated_at": now}
        try:
            async with self._db.begin() as tx:
                await tx.execute(insert(api_roles).values(row))
        except IntegrityError:
            raise RoleTaken(f"the role {name} is there already") from None
        return Role(name=name, actions=allowed, created_at=now, updated_at=now)

    async def change(self, name: str, actions: Iterable[str]) -> bool:
        """Let it allow these instead, within two seconds everywhere.  False: there is none of that name; ValueError."""
        allowed = json.dumps(sorted(_some(actions)))
        new = update(api_roles).where(api_roles.c.name == name)
        async with self._db.begin() as tx:
            done = await tx.execute(new.values(actions=allowed, updated_at=int(self._clock.now())))
            await bump(tx, VERSION)
        with suppress(Unavailable):  # it has happened; the reconciler publishes it again
            await self._versions.publish(VERSION)
        return done.rowcount > 0

    async def remove(self, name: str) -> bool:
        """Forget it.  False: there is none of that name; RoleInUse."""
        for role in await self.list():
            if role.name == name and role.credentials:
                raise RoleInUse(f"the role {name} is that of {', '.join(role.credentials)}")
        try:
            async with self._db.begin() as tx:
                return (await tx.execute(delete(api_roles).where(api_roles.c.name == name))).rowcount > 0
        except IntegrityError:
            raise RoleInUse(f"the role {name} was given to somebody at this moment") from None

    async def list(self) -> Sequence[Role]:
        """All roles by name, and who has them."""
        having = select(credential_roles.c.role_id, api_credentials.c.name)
        having = having.join(api_credentials, api_credentials.c.id == credential_roles.c.credential_id)
        async with self._db.read() as tx:
            rows = (await tx.execute(select(api_roles))).all()
            given = (await tx.execute(having.order_by(api_credentials.c.id))).all()
        holders: dict[int, list[str]] = {}
        for number, name in given:
            holders.setdefault(number, []).append(name)
        return sorted((_role_of(row, holders.get(row.id, ())) for row in rows), key=lambda role: role.name)


async def give(tx: Tx, credential: int, names: Iterable[str]) -> None:
    """Let the credential have these roles and no other.  Raises UnknownRole."""
    wanted = sorted(set(names))
    theirs = select(api_roles.c.name, api_roles.c.id).where(api_roles.c.name.in_(wanted))
    found = (await tx.execute(theirs.with_for_update(read=True))).all()  # nobody removes them meanwhile
    numbers = {row.name: row.id for row in found}
    if missing := [name for name in wanted if name not in numbers]:
        raise UnknownRole(f"there is no role {missing[0]}")
    await tx.execute(delete(credential_roles).where(credential_roles.c.credential_id == credential))
    if wanted:
        rows = [{"credential_id": credential, "role_id": numbers[name]} for name in wanted]
        await tx.execute(insert(credential_roles), rows)


async def given_to(tx: Tx, credential: int | None = None) -> dict[int, dict[str, frozenset[str]]]:
    """Number of a credential → its roles' names → what each allows; of all credentials, or of one."""
    wanted = select(credential_roles.c.credential_id, api_roles.c.name, api_roles.c.actions)
    wanted = wanted.join(api_roles, api_roles.c.id == credential_roles.c.role_id).order_by(api_roles.c.name)
    if credential is not None:
        wanted = wanted.where(credential_roles.c.credential_id == credential)
    given: dict[int, dict[str, frozenset[str]]] = {}
    for number, name, actions in await tx.execute(wanted):
        given.setdefault(number, {})[name] = frozenset(json.loads(actions))
    return given


def _some(actions: Iterable[str]) -> frozenset[str]:
    if not (allowed := parse_actions(actions)):
        raise ValueError("it would allow nothing: name its actions")
    return allowed


def _role_of(row: Any, holders: Iterable[str]) -> Role:
    return Role(
        name=row.name,
        actions=frozenset(json.loads(row.actions)),
        credentials=tuple(holders),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
