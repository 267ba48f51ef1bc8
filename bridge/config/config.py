"""Config: every setting, typed, with its origin — DESIGN §10."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints
from urllib.parse import urlsplit

from bridge.accounts.options import AccountOptions
from bridge.clock import SystemClock
from bridge.config.presets import PRESETS, PROFILES
from bridge.config.read import (
    Given,
    Mistakes,
    Values,
    files_named,
    from_environment,
    from_toml,
    masked,
    over,
    section,
    unknown,
)
from bridge.config.sections import (
    DatabaseOptions,
    Preset,
    Profile,
    SecretsOptions,
    ServerOptions,
    StoreOptions,
)
from bridge.database.address import parse_address
from bridge.errors import ConfigError
from bridge.events.options import EventsOptions
from bridge.fetch.options import FetchOptions
from bridge.grants.options import GrantOptions
from bridge.legacy.options import LegacyOptions
from bridge.login.options import LoginOptions
from bridge.oidc.options import OidcOptions
from bridge.outbox.options import MailOptions
from bridge.pages.options import PagesOptions
from bridge.resets.options import ResetOptions
from bridge.ring import Ring, slot_key
from bridge.secret import Secret
from bridge.sessions.options import SessionOptions
from bridge.stores.url import open_store
from bridge.users.options import UserOptions

PROXY_UNNAMED: Final = (
    "server.trusted_proxies is empty, but server.base_url is https and there is no server.tls_cert: the TLS proxy "
    "before this server must be named, or all the world has its address"
)
FILE_VARIABLE: Final = "BRIDGE_CONFIG"
DEFAULT_FILE: Final = Path("bridge.toml")

_PLAIN: Final = ("preset", "profile")
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  # where such a server is reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator can set.  `Config()` is the safe default; `Config.load` is what the command reads."""

    preset: Preset = "app"
    profile: Profile = "production"
    server: ServerOptions = field(default_factory=ServerOptions)
    """Where the bridge listens, and under which address the world knows it."""
    store: StoreOptions = field(default_factory=StoreOptions)
    """Where sessions, codes and tokens live."""
    database: DatabaseOptions = field(default_factory=DatabaseOptions)
    """Where users, clients, keys and the audit live."""
    secrets: SecretsOptions = field(default_factory=SecretsOptions)
    """The two secrets that are in neither database nor store.  `login-bridge init` makes them."""
    mail: MailOptions = field(default_factory=MailOptions)
    """How mail leaves."""
    fetch: FetchOptions = field(default_factory=FetchOptions)
    """What the bridge may call of the addresses that apps name: public ones, by https on port 443, unless listed."""
    sessions: SessionOptions = field(default_factory=SessionOptions)
    """How long sessions live, and where their tokens are good.  All durations in seconds."""
    users: UserOptions = field(default_factory=UserOptions)
    """How users and their passwords are kept, and which new ones are accepted."""
    accounts: AccountOptions = field(default_factory=AccountOptions)
    """Customer accounts, which the legacy API calls clients."""
    login: LoginOptions = field(default_factory=LoginOptions)
    """What holds up whoever guesses passwords."""
    resets: ResetOptions = field(default_factory=ResetOptions)
    """How long a reset link lives, and how many may be asked for."""
    pages: PagesOptions = field(default_factory=PagesOptions)
    """Your name, logo and colour on every page and in every mail."""
    grants: GrantOptions = field(default_factory=GrantOptions)
    """How long what an app was granted lives.  All durations in seconds."""
    oidc: OidcOptions = field(default_factory=OidcOptions)
    """The OpenID Provider."""
    legacy: LegacyOptions = field(default_factory=LegacyOptions)
    """The API of WHMCS: ValidateLogin and its like."""
    events: EventsOptions = field(default_factory=EventsOptions)
    """What is written down of what happens, and for how long."""
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    """`section.key` → the file, variable, preset or "default" it came from."""
    files: Mapping[str, Path] = field(default_factory=dict, compare=False)
    """`section.key` → the file of its own in which a secret stood."""

    @classmethod
    def discover(
        cls,
        named: Path | None = None,
        given: Mapping[tuple[str, ...], Any] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> "Config":
        """The settings as `login-bridge` reads them: the file, the environment over it, `given` over both.

        The file is the named one, else BRIDGE_CONFIG, else `bridge.toml` if it is here, else none.  Raises ConfigError.
        """
        return cls.load(settings_file(named, environment), environment, given)

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        given: Mapping[tuple[str, ...], Any] | None = None,
    ) -> "Config":
        """Read the file, the environment over it, and `given` (the command line) over both.

        Raises ConfigError whose message names every mistake, one on each line.
        """
        mistakes = Mistakes()
        values = from_toml(file, mistakes) if file else {}
        values = over(values, from_environment(environment or {}))
        values = over(values, {path: Given(value, "command line") for path, value in (given or {}).items()})
        config = cls._build(values, mistakes)
        for name, what in config.contradictions():
            if not mistakes.names & {name, name.partition(".")[0]}:  # it follows from one that is named already
                mistakes.add(name, what, config.origins.get(name, "default"))
        if mistakes.lines:
            raise ConfigError("\n".join(mistakes.lines))
        return config

    @classmethod
    def _build(cls, values: Values, mistakes: Mistakes) -> "Config":
        """From what was given; a section with a mistake keeps its defaults, so that the others are read too."""
        classes = sections()
        unknown(values, classes, _PLAIN, mistakes)
        origins: dict[str, str] = {}
        preset = _choice("preset", get_args(Preset), values, mistakes, origins)
        profile = _choice("profile", get_args(Profile), values, mistakes, origins)
        beneath: Values = {
            **{path: Given(value, f"preset {preset}") for path, value in PRESETS[preset].items()},
            **{path: Given(value, f"profile {profile}") for path, value in PROFILES[profile].items()},
        }
        values = over(beneath, values)
        built = {name: section(options, name, values, mistakes, origins) for name, options in classes.items()}
        good: dict[str, Any] = {name: options for name, options in built.items() if options is not None}
        return cls(preset=preset, profile=profile, origins=origins, files=files_named(values), **good)

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Settings that are wrong beside the others: each one's name, and what is wrong."""
        yield from self._about_address()
        yield from self._about_secrets()
        yield from self._about_places()
        if not self.dev and any(origin.startswith("http:") for origin in self.sessions.ticket_origins):
            yield "sessions.ticket_origins", "must be https in production"

    @property
    def dev(self) -> bool:
        """Whether this is the dev profile: localhost only, plain cookies, demo accounts (security §27)."""
        return self.profile == "dev"

    @property
    def proxy_unnamed(self) -> bool:
        """Whether something before this server must be ending TLS whose X-Forwarded-For nobody believes."""
        server = self.server
        https = server.base_url.startswith("https://") and server.tls_cert is None
        return https and not self.dev and not server.trusted_proxies

    @property
    def base_url(self) -> str:
        """The public address and issuer, without a slash at the end."""
        if self.server.base_url:
            return self.server.base_url
        host = _ANY.get(self.server.host, self.server.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server.port}"

    def _about_address(self) -> Iterator[tuple[str, str]]:
        url, name = self.server.base_url, "server.base_url"
        if not url:
            if not self.dev:
                yield name, "is needed in production: the public https address"
            return
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield name, "must be an absolute URL"
        elif parts.query or parts.fragment or parts.username or url.endswith(("/", "?", "#")):
            yield name, "must have no query, fragment, user or slash at the end"
        elif parts.scheme == "http" and not self.dev:
            yield name, "must be https in production"

    def _about_secrets(self) -> Iterator[tuple[str, str]]:
        for name, check in (("master", Ring.parse), ("slot", slot_key)):
            given: Secret | None = getattr(self.secrets, name)
            if given is not None:
                if why := _complaint(check, given.reveal()):
                    yield f"secrets.{name}", why
            elif not self.dev:  # which keeps them in var/, made at first start
                yield f"secrets.{name}", f"is needed in production; `login-bridge init` makes secrets.{name}_file"

    def _about_places(self) -> Iterator[tuple[str, str]]:
        if why := _complaint(parse_address, self.database.url):
            yield "database.url", why
        if why := _complaint(lambda url: open_store(url, clock=SystemClock()), self.store.url):
            yield "store.url", why
        most = {"memory": 1, "sqlite": 2}.get(urlsplit(self.store.url).scheme)
        if most is not None and self.server.workers > most:
            yield "server.workers", f"must be at most {most} with the store at {self.store.url}; Redis takes more"
        if (self.server.tls_cert is None) != (self.server.tls_key is None):
            yield "server.tls_cert", "and server.tls_key go together"

    def shown(self) -> dict[str, tuple[object, str]]:
        """`section.key` → value and origin, for `config show`; a secret shows only whether it is set."""
        out: dict[str, tuple[object, str]] = {
            name: (getattr(self, name), self.origins.get(name, "default")) for name in _PLAIN
        }
        for name in sections():
            for key, value in _members(getattr(self, name)):
                out[f"{name}.{key}"] = (_shown(value), self.origins.get(f"{name}.{key}", "default"))
        return out


def settings_file(named: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Which file `Config.discover` reads; None: there is none."""
    if named is not None:
        return named
    if environment.get(FILE_VARIABLE):
        return Path(environment[FILE_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def sections() -> dict[str, type[Any]]:
    """Section name → its options class, in the order of the reference."""
    hints = get_type_hints(Config)
    return {each.name: hints[each.name] for each in fields(Config) if each.name not in (*_PLAIN, "origins", "files")}


def _members(options: Any) -> list[tuple[str, object]]:
    return [(each.name, getattr(options, each.name)) for each in fields(options)]


def _shown(value: object) -> object:
    if isinstance(value, Secret):
        return "(set)"
    return masked(value) if isinstance(value, str) else value


def _choice(name: str, choices: tuple[Any, ...], values: Values, mistakes: Mistakes, origins: dict[str, str]) -> Any:
    default = {"preset": "app", "profile": "production"}[name]
    given = values.get((name,))
    if given is None:
        return default
    if given.value not in choices:
        mistakes.add(name, f"must be one of {', '.join(choices)}", given.origin)
        return default
    origins[name] = given.origin
    return given.value


def _complaint(read: Callable[[str], object], text: str) -> str | None:
    """What it says of the text, without the setting's name in front; None: nothing."""
    try:
        read(text)
    except (ConfigError, ValueError) as error:
        return re.sub(r"^(secrets|store|database)\.\w+[: ]+", "", str(error))
    return None
