"""Fills an instance for a benchmark: a user, sessions, clients, a credential — through the rooms, as the doors do."""

from dataclasses import dataclass
from pathlib import Path

from bridge.app.rooms import Rooms, make_rooms
from bridge.clients.credential import Rights
from bridge.clock import SystemClock, chance
from bridge.config import Config
from bridge.database.migrate import migrate
from bridge.secret import Secret
from bridge.sessions.birth import Birth, Born
from bridge.types import Visit
from bridge.users.user import User

EMAIL, PASSWORD = "demo@example.test", "correct horse battery staple"
REDIRECT = "https://app.example.test/callback"
CLIENTS = {"bench-es256": "ES256", "bench-rs256": "RS256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What a script needs to know."""

    op_cookie: str
    app_cookies: Path
    """A file of one Cookie header a line."""
    secrets: dict[str, str]
    identifier: str
    secret: str


async def fill(environment: dict[str, str], folder: Path, *, sessions: int) -> Filled:
    """Make the tables and what lies in them."""
    config = Config.load(None, environment)
    await migrate(config.database.url)
    rooms = make_rooms(config, clock=SystemClock(), chance=chance)
    await rooms.database.open()
    await rooms.raw_store.open()
    try:
        return await _fill(rooms, folder, sessions)
    finally:
        await rooms.raw_store.close()
        await rooms.database.close()


async def _fill(rooms: Rooms, folder: Path, sessions: int) -> Filled:
    user = await rooms.users.create(email=EMAIL, password=Secret(PASSWORD), first_name="Demo", email_verified=True)
    first = await _session(rooms, user)
    cookies = folder / "cookies"
    others = [await _session(rooms, await _user(rooms, number)) for number in range(sessions)]
    name = rooms.cookies.name("app")
    cookies.write_text("".join(f"{name}={born.child.text.reveal()}\n" for born in others if born.child))
    made = {client_id: await _client(rooms, user, client_id, alg) for client_id, alg in CLIENTS.items()}
    credential = await rooms.credentials.create("bench", Rights(actions=frozenset({"*"})))
    return Filled(
        op_cookie=f"{rooms.cookies.name('op')}={first.token.text.reveal()}",
        app_cookies=cookies,
        secrets=made,
        identifier=credential.credential.identifier,
        secret=credential.secret.reveal(),
    )


def address(number: int) -> str:
    """The e-mail address of one of the users."""
    return f"user{number}@example.test"


async def _user(rooms: Rooms, number: int) -> User:
    return await rooms.users.create(email=address(number), password=Secret(PASSWORD), email_verified=True)


async def _session(rooms: Rooms, user: User) -> Born:
    await rooms.sessions.publish_stamp(user.id, user.tag)
    wish = Birth.browser(rooms.config.sessions)
    born = await rooms.sessions.start(user.standing, wish, Visit("pages"), amr=("pwd",))
    assert isinstance(born, Born)
    return born


async def _client(rooms: Rooms, user: User, client_id: str, alg: str) -> str:
    document = {
        "client_name": client_id,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "client_credentials"],
        "id_token_signed_response_alg": alg,
        "scope": "openid profile email api",
    }
    made = await rooms.clients.create(document, client_id=client_id)
    await rooms.consents.grant(user.id, user.tag, made.client.client_id, ("openid", "profile", "email"))
    assert made.secret is not None
    return made.secret.reveal()
