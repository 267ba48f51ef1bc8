"""Fills an instance for a benchmark: a user, sessions, clients, a credential — through the rooms, as the doors do."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update

from bridge.app.rooms import Rooms, make_rooms
from bridge.clients.credential import Rights
from bridge.clock import SystemClock, chance
from bridge.config import Config
from bridge.database.migrate import migrate
from bridge.database.tables import users
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.types import Visit
from bridge.users.user import User

EMAIL, PASSWORD = "demo@example.test", "correct horse battery staple"
REDIRECT = "https://app.example.test/callback"
CLIENTS = {"bench-es256": "ES256", "bench-rs256": "RS256", "bench-refresh": "ES256"}
REFRESHING = "bench-refresh"
"""The one that is given refresh tokens."""
HOUR = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What a script needs to know."""

    op_cookie: str
    app_cookies: Path
    """A file of one Cookie header a line."""
    secrets: dict[str, str]
    identifier: str
    secret: str


def settings(folder: Path, *, port: int, redis: int, number: int = 0) -> dict[str, str]:
    """An instance's environment; `number`: its database in Redis."""
    return {
        "BRIDGE__PROFILE": "dev",
        "BRIDGE__PRESET": "whmcs",
        "BRIDGE__SERVER__PORT": str(port),
        "BRIDGE__STORE__URL": f"redis://127.0.0.1:{redis}/{number}",
        "BRIDGE__DATABASE__URL": f"sqlite:///{folder}/bridge.db",
        "BRIDGE__EVENTS__LOG_LEVEL": "warning",
        "BRIDGE__SECRETS__MASTER_FILE": str(_secret_file(folder / "master", "1:")),
        "BRIDGE__SECRETS__SLOT_FILE": str(_secret_file(folder / "slot", "")),
        # Hashes as cheap as they can be: what surrounds them is what is measured.
        "BRIDGE__USERS__ARGON2_MEMORY": "8",
        "BRIDGE__USERS__ARGON2_PASSES": "1",
        "BRIDGE__LOGIN__FLOOR_MS": "0",
        # All of them come from one address.
        "BRIDGE__OIDC__VISITS_PER_MINUTE": "1000000",
        # To end somebody's oldest session is another measurement.
        "BRIDGE__SESSIONS__CAP": "1000",
    }


@asynccontextmanager
async def opened(environment: Mapping[str, str]) -> AsyncIterator[Rooms]:
    """The rooms of a new instance, its tables made."""
    config = Config.load(None, environment)
    await migrate(config.database.url)
    rooms = make_rooms(config, clock=SystemClock(), chance=chance)
    await rooms.database.open()
    await rooms.raw_store.open()
    try:
        yield rooms
    finally:
        await rooms.raw_store.close()
        await rooms.database.close()


async def fill(environment: Mapping[str, str], folder: Path, *, sessions: int) -> Filled:
    """Make the tables and what lies in them."""
    async with opened(environment) as rooms:
        return await _fill(rooms, folder, sessions)


async def _fill(rooms: Rooms, folder: Path, sessions: int) -> Filled:
    user = await rooms.users.create(email=EMAIL, password=Secret(PASSWORD), first_name="Demo", email_verified=True)
    first = await begin(rooms, user)
    cookies = folder / "cookies"
    others = [await begin(rooms, await _user(rooms, number)) for number in range(sessions)]
    name = rooms.cookies.name("app")
    cookies.write_text("".join(f"{name}={born.child.text.reveal()}\n" for born in others if born.child))
    made = {client_id: await _client(rooms, user, client_id, alg) for client_id, alg in CLIENTS.items()}
    credential = await rooms.credentials.create("bench", Rights(actions=frozenset({"*"})))
    await _settle(rooms)
    return Filled(
        op_cookie=f"{rooms.cookies.name('op')}={first.token.text.reveal()}",
        app_cookies=cookies,
        secrets=made,
        identifier=credential.credential.identifier,
        secret=credential.secret.reveal(),
    )


async def _settle(rooms: Rooms) -> None:
    """Everybody has been here for an hour: at who is new the reconciler looks every second, for a minute."""
    async with rooms.database.begin() as tx:
        await tx.execute(update(users).values(stamp_changed_at=users.c.stamp_changed_at - HOUR))


def _secret_file(path: Path, prefix: str) -> Path:
    path.write_text(prefix + base64.urlsafe_b64encode(path.name.encode().ljust(32, b"-")).decode().rstrip("=") + "\n")
    return path


def address(number: int) -> str:
    """The e-mail address of one of the users."""
    return f"user{number}@example.test"


async def _user(rooms: Rooms, number: int) -> User:
    return await rooms.users.create(email=address(number), password=Secret(PASSWORD), email_verified=True)


async def begin(rooms: Rooms, user: User) -> Born:
    """A session of his, as a browser has it."""
    await rooms.sessions.publish_stamp(user.id, user.tag)
    wish = Birth.browser(rooms.config.sessions)
    born = await rooms.sessions.start(user.standing, wish, Visit("pages"), amr=("pwd",))
    assert isinstance(born, Born)
    return born


async def _client(rooms: Rooms, user: User, client_id: str, alg: str) -> str:
    document = {
        "client_name": client_id,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token" if client_id == REFRESHING else "client_credentials"],
        "id_token_signed_response_alg": alg,
        "scope": "openid profile email api",
    }
    made = await rooms.clients.create(document, client_id=client_id)
    await rooms.consents.grant(user.id, user.tag, made.client.client_id, ("openid", "profile", "email"))
    assert made.secret is not None
    return made.secret.reveal()
