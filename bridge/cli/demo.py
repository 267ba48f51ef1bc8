"""The demo: a user, an API credential and an OpenID client whose secrets are random per checkout — security §27.

They are kept in `var/demo.json`, and every start makes them true again: what is printed works.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bridge.app.rooms import Rooms
from bridge.cli.output import Refusal
from bridge.cli.rooms import opened
from bridge.clients.credential import EVERY_ACTION, Rights
from bridge.config import Config
from bridge.config.keyfiles import DEV_FOLDER, make_private, read_private
from bridge.errors import ConfigError
from bridge.secret import Secret
from bridge.users.backend import Authenticated

EMAIL: Final = "demo@example.com"
CLIENT_ID: Final = "demo"
CREDENTIAL: Final = "demo"
KEPT: Final = DEV_FOLDER / "demo.json"
EXAMPLE: Final = Path("examples/oidc_client.py")
IN_PRODUCTION: Final = f"this database has the demo's user {EMAIL}: disable it, or make a database of your own"

DEMO: Final[Mapping[tuple[str, ...], Any]] = {("profile",): "dev", ("preset",): "whmcs"}
"""The settings of the demo, over every other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What must be the same at the next start."""

    password: str
    identifier: str
    secret: str
    client_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What there is to try, and where."""

    base_url: str
    port: int
    kept: Kept

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "base_url": self.base_url,
            "page": self.page,
            "user": {"email": EMAIL, "password": self.kept.password},
            "credential": {"identifier": self.kept.identifier, "secret": self.kept.secret},
            "curl": self.curl,
            "issuer": self.base_url,
            "discovery": self.discovery,
            "client": {
                "client_id": CLIENT_ID,
                "client_secret": self.kept.client_secret,
                "redirect_uri": self.redirect_uri,
            },
            "app": self.app,
            "commands": self.commands,
        }

    def as_text(self) -> str:
        """For a terminal; every line in it can be used as it stands."""
        app = f"  {self.app}  # then open {self.app_url}\n" if self.app else ""
        return f"""\
The demo of login-bridge is at {self.base_url}, for this machine only.  Everything is kept in {DEV_FOLDER}/.

Click through it
  {self.page}
  {EMAIL}, password {self.kept.password}

Validate a login, as a client of the WHMCS API does
  {self.curl}

Sign in to an app by OpenID Connect
  issuer         {self.base_url}
  discovery      {self.discovery}
  client_id      {CLIENT_ID}
  client_secret  {self.kept.client_secret}
  redirect_uri   {self.redirect_uri}
{app}
Other commands work on the demo as
  {self.commands}
"""

    @property
    def page(self) -> str:
        """Where a person begins."""
        return f"{self.base_url}/account"

    @property
    def discovery(self) -> str:
        """Where an app begins."""
        return f"{self.base_url}/.well-known/openid-configuration"

    @property
    def curl(self) -> str:
        """A ValidateLogin that succeeds."""
        sent = {
            "action": "ValidateLogin",
            "identifier": self.kept.identifier,
            "secret": self.kept.secret,
            "email": EMAIL,
            "password2": self.kept.password,
            "responsetype": "json",
        }
        fields = " ".join(f"-d {name}={value}" for name, value in sent.items())
        return f"curl {self.base_url}/includes/api.php {fields}"

    @property
    def app_port(self) -> int:
        """The next one: 8001 where the demo has 8000."""
        return self.port + 1 if self.port < 65_535 else self.port - 1

    @property
    def app_url(self) -> str:
        """Where the demo's app is expected."""
        return f"http://127.0.0.1:{self.app_port}"

    @property
    def redirect_uri(self) -> str:
        """Where it takes its codes."""
        return f"{self.app_url}/callback"

    @property
    def app(self) -> str | None:
        """How to start an app that signs in here; None: there is none, because this is no checkout."""
        given = (
            f"ISSUER={self.base_url} CLIENT_ID={CLIENT_ID} CLIENT_SECRET={self.kept.client_secret} PORT={self.app_port}"
        )
        return f"{given} {sys.executable} {EXAMPLE}" if EXAMPLE.is_file() else None

    @property
    def commands(self) -> str:
        """Another command, with the settings of the demo."""
        elsewhere = (
            "" if self.base_url == Config(profile="dev").base_url else f"BRIDGE__SERVER__BASE_URL={self.base_url} "
        )
        return f"BRIDGE__PROFILE=dev {elsewhere}login-bridge user list"


async def prepare(settings: Config) -> Demo:
    """Bring the database up to date and make what the demo shows.  Raises ConfigError, Unavailable."""
    from bridge.database.migrate import migrate  # noqa: PLC0415  brings Alembic

    await migrate(settings.database.url)
    demo = Demo(base_url=settings.base_url, port=settings.server.port, kept=_kept())
    async with opened(settings) as rooms:
        await _user(rooms, demo.kept)
        await _credential(rooms, demo.kept)
        await _client(rooms, demo)
    return demo


async def refuse_in_production(rooms: Rooms) -> None:
    """Raise Refusal if the demo's user could sign in."""
    user = await rooms.users.by_email(EMAIL)
    if user is not None and not user.disabled:
        raise Refusal(IN_PRODUCTION)


async def _user(rooms: Rooms, kept: Kept) -> None:
    password = Secret(kept.password)
    if isinstance(await rooms.users.authenticate(EMAIL, password), Authenticated):
        return
    user = await rooms.users.by_email(EMAIL)
    if user is None:
        made = {"first_name": "Demo", "last_name": "User", "groups": ("demo",), "email_verified": True}
        await rooms.users.create(email=EMAIL, password=password, **made)  # type: ignore[arg-type]
        return
    await rooms.users.set_password(user, password, reason="admin")
    await rooms.users.enable(user.id)


async def _credential(rooms: Rooms, kept: Kept) -> None:
    secret = Secret(kept.secret)
    found = await rooms.credentials.find(kept.identifier)
    if found is not None and not found.disabled and await rooms.credentials.check(found, secret):
        return
    await rooms.credentials.remove(CREDENTIAL)
    rights = Rights.parse(actions=[EVERY_ACTION])
    await rooms.credentials.create(CREDENTIAL, rights, identifier=kept.identifier, secret=secret)


async def _client(rooms: Rooms, demo: Demo) -> None:
    metadata = {
        "client_id": CLIENT_ID,
        "client_secret": demo.kept.client_secret,
        "client_name": "Demo App",
        "redirect_uris": [demo.redirect_uri],
        "post_logout_redirect_uris": [f"{demo.app_url}/"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_basic",
        "require_pkce": True,
        "allow_query_token": False,
    }
    found = await rooms.clients.get(CLIENT_ID)
    usable = found is not None and not found.disabled and found.redirect_uris == (demo.redirect_uri,)
    if found is not None and usable and await rooms.clients.check_secret(found, Secret(demo.kept.client_secret)):
        return
    await rooms.clients.remove(CLIENT_ID)
    await rooms.clients.import_(metadata)


def _kept() -> Kept:
    """What was kept, or is drawn and kept now."""
    drawn = Kept(password=_draw(20), identifier=_draw(32), secret=_draw(32), client_secret=_draw(43))
    make_private(KEPT, json.dumps(asdict(drawn)) + "\n")
    try:
        return Kept(**json.loads(read_private(KEPT)))
    except (ValueError, TypeError):
        raise ConfigError(f"{KEPT} is broken: remove it") from None


def _draw(length: int) -> str:
    """Letters and digits: they need no quotes in a shell."""
    return "".join(secrets.choice("abcdefghijkmnopqrstuvwxyz23456789") for _ in range(length))
