"""Config: every setting, typed, with its origin — DESIGN §10."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints
from urllib.parse import urlsplit

from bridge.config.presets import PRESETS, PROFILES
from bridge.config.read import Given, Mistakes, Values, from_environment, from_toml, section, unknown_sections
from bridge.config.sections import (
    DatabaseOptions,
    LogOptions,
    MailOptions,
    Preset,
    Profile,
    SecretsOptions,
    ServerOptions,
    StoreOptions,
)
from bridge.errors import ConfigError
from bridge.legacy.options import LegacyOptions
from bridge.login.options import LoginOptions
from bridge.oidc.options import OidcOptions
from bridge.pages.options import PagesOptions
from bridge.resets.options import ResetOptions
from bridge.secret import Secret
from bridge.sessions.options import SessionOptions
from bridge.users.options import UserOptions

_PLAIN: Final = {"preset", "profile"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything an operator can set.  `Config()` is the safe default; `Config.load` is what the command reads."""

    preset: Preset = "app"
    profile: Profile = "production"
    server: ServerOptions = field(default_factory=ServerOptions)
    store: StoreOptions = field(default_factory=StoreOptions)
    database: DatabaseOptions = field(default_factory=DatabaseOptions)
    secrets: SecretsOptions = field(default_factory=SecretsOptions)
    mail: MailOptions = field(default_factory=MailOptions)
    log: LogOptions = field(default_factory=LogOptions)
    sessions: SessionOptions = field(default_factory=SessionOptions)
    users: UserOptions = field(default_factory=UserOptions)
    login: LoginOptions = field(default_factory=LoginOptions)
    resets: ResetOptions = field(default_factory=ResetOptions)
    pages: PagesOptions = field(default_factory=PagesOptions)
    oidc: OidcOptions = field(default_factory=OidcOptions)
    legacy: LegacyOptions = field(default_factory=LegacyOptions)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)
    """`section.key` → the file, variable, preset or "default" it came from."""

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
        values: Values = {
            **(from_toml(file, mistakes) if file else {}),
            **from_environment(environment or {}),
            **{path: Given(value, "command line") for path, value in (given or {}).items()},
        }
        config = cls._build(values, mistakes)
        if config is not None and not mistakes.lines:
            mistakes.lines += config.mistakes()
        if config is None or mistakes.lines:
            raise ConfigError("\n".join(mistakes.lines))
        return config

    @classmethod
    def _build(cls, values: Values, mistakes: Mistakes) -> "Config | None":
        classes = sections()
        unknown_sections(values, set(classes), _PLAIN, mistakes)
        preset = _choice("preset", get_args(Preset), values, mistakes)
        profile = _choice("profile", get_args(Profile), values, mistakes)
        beneath: Values = {
            **{path: Given(value, f"preset {preset}") for path, value in PRESETS[preset].items()},
            **{path: Given(value, f"profile {profile}") for path, value in PROFILES[profile].items()},
        }
        origins: dict[str, str] = {}
        built = {name: section(options, name, beneath | values, mistakes, origins) for name, options in classes.items()}
        if None in built.values():
            return None
        return cls(preset=preset, profile=profile, origins=origins, **built)  # type: ignore[arg-type]

    def mistakes(self) -> list[str]:
        """What is wrong between settings, each one clear line; empty when they can be used together."""
        return [*self._about_address(), *self._about_secrets()]

    @property
    def dev(self) -> bool:
        """Whether this is the dev profile: localhost only, plain cookies, demo accounts (security §27)."""
        return self.profile == "dev"

    @property
    def base_url(self) -> str:
        """The public address and issuer, without a slash at the end."""
        return self.server.base_url or f"http://{self.server.host}:{self.server.port}"

    def _about_address(self) -> list[str]:
        url = self.server.base_url
        if not url:
            return [] if self.dev else ["server.base_url: is needed in production: the public https address"]
        parts, found = urlsplit(url), []
        if parts.scheme not in ("http", "https") or not parts.hostname:
            found.append("server.base_url: must be an absolute URL")
        if parts.query or parts.fragment or parts.username or url.endswith("/"):
            found.append("server.base_url: must have no query, fragment, user or slash at the end")
        if parts.scheme == "http" and not self.dev:
            found.append("server.base_url: must be https in production")
        return found

    def _about_secrets(self) -> list[str]:
        if self.dev:
            return []  # kept in var/, made at first start
        return [
            f"secrets.{name}: is needed in production; `login-bridge init` makes the file for secrets.{name}_file"
            for name in ("master", "slot")
            if getattr(self.secrets, name) is None
        ]

    def shown(self) -> dict[str, tuple[object, str]]:
        """`section.key` → value and origin, for `config show`; a secret shows only whether it is set."""
        out: dict[str, tuple[object, str]] = {
            "preset": (self.preset, self.origins.get("preset", "default")),
            "profile": (self.profile, self.origins.get("profile", "default")),
        }
        for name in sections():
            for key, value in _members(getattr(self, name)):
                secret = isinstance(value, Secret)
                out[f"{name}.{key}"] = ("(set)" if secret else value, self.origins.get(f"{name}.{key}", "default"))
        return out


def sections() -> dict[str, type[Any]]:
    """Section name → its options class, in the order of the reference."""
    hints = get_type_hints(Config)
    return {each.name: hints[each.name] for each in fields(Config) if each.name not in (*_PLAIN, "origins")}


def _members(options: Any) -> list[tuple[str, object]]:
    return [(each.name, getattr(options, each.name)) for each in fields(options)]


def _choice(name: str, choices: tuple[Any, ...], values: Values, mistakes: Mistakes) -> Any:
    given = values.get((name,))
    if given is None:
        return {"preset": "app", "profile": "production"}[name]
    if given.value not in choices:
        mistakes.add(name, f"must be one of {', '.join(choices)}", given.origin)
        return choices[0]
    return given.value
