"""The demo: a user, an API credential and an OpenID client whose secrets are random per checkout — security §27.

Everything of the demo is in `var/demo`, apart from what else may be in `var`: its settings, secrets, databases.  Every
start makes what is printed true again.
"""

import json
import secrets
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from bridge.app.production import DEMO_USER
from bridge.app.rooms import Rooms
from bridge.cli.rooms import opened
from bridge.clients.credential import EVERY_ACTION, Rights
from bridge.config import Config
from bridge.config.keyfiles import DEV_FOLDER, MASTER_FILE, SLOT_FILE, make_keys, make_private, read_private
from bridge.errors import ConfigError
from bridge.secret import Secret
from bridge.users.backend import Authenticated

EMAIL: Final = DEMO_USER
CLIENT_ID: Final = "demo"
CREDENTIAL: Final = "demo"
FOLDER: Final = DEV_FOLDER / "demo"
SETTINGS: Final = FOLDER / "bridge.toml"
KEPT: Final = FOLDER / "demo.json"
EXAMPLE: Final = Path("examples/oidc_client.py")

Given = dict[tuple[str, ...], Any]

_OURS: Final[Given] = {("profile",): "dev", ("preset",): "whmcs"}
_URLS: Final[Given] = {
    ("store", "url"): f"sqlite:///{FOLDER}/store.db",
    ("database", "url"): f"sqlite:///{FOLDER}/bridge.db",
}
_SETTINGS: Final = f"""\
# The demo's settings, written anew at each start.  BRIDGE__SECTION__KEY in the environment goes over them.
profile = "dev"
preset = "whmcs"
secrets.master_file = "{FOLDER}/{MASTER_FILE}"
secrets.slot_file = "{FOLDER}/{SLOT_FILE}"
store.url = "{_URLS["store", "url"]}"
database.url = "{_URLS["database", "url"]}"
"""


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
The demo of login-bridge is at {self.base_url}, for this machine only.  Everything is kept in {FOLDER}/.

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
        # The app calls the issuer by a library that the bridge itself has no use for.
        before = "" if find_spec("httpx2") else f"{sys.executable} -m pip install --quiet httpx2 && "
        return f"{before}{given} {sys.executable} {EXAMPLE}" if EXAMPLE.is_file() else None

    @property
    def commands(self) -> str:
        """Another command, with the settings of the demo."""
        beside = Path(sys.executable).with_name("login-bridge")
        name = "login-bridge" if shutil.which("login-bridge") or not beside.exists() else str(beside)
        return f"{name.removeprefix(f'{Path.cwd()}/')} user list --config {SETTINGS}"


def choose(given: Given) -> tuple[Config, Given]:
    """The demo's settings, and what must be given to whoever reads them from SETTINGS.  Raises ConfigError.

    A REDIS_URL or DATABASE_URL that is set for something else is not written into.
    """
    make_keys(FOLDER)
    SETTINGS.write_text(_SETTINGS, "utf-8")
    given = {**given, **_OURS}
    origins = Config.discover(SETTINGS, given).origins
    given |= {path: url for path, url in _URLS.items() if origins.get(".".join(path)) in {"REDIS_URL", "DATABASE_URL"}}
    settings = Config.discover(SETTINGS, given)
    where = f"server.host = {json.dumps(settings.server.host)}\nserver.port = {settings.server.port}\n"
    SETTINGS.write_text(_SETTINGS + where, "utf-8")
    return settings, given


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
