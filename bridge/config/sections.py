"""The settings that belong to no room: where we listen and stand, and where our secrets are."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bridge.secret import Secret
from bridge.types import IPNetwork

Preset = Literal["app", "provider", "whmcs"]
Profile = Literal["production", "dev"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Where the bridge listens, and under which address the world knows it."""

    base_url: str = ""
    """The public address, which is also the issuer: https, no slash at the end.  Needed in production; in the dev
    profile it follows host and port."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 8000
    """The port to listen on."""
    workers: int = 1
    """How many processes serve.  More than one needs a store that they share (sqlite: at most two)."""
    trusted_proxies: tuple[IPNetwork, ...] = ()
    """Addresses or networks whose X-Forwarded-For is believed.  Everybody else's is ignored.  Name your TLS proxy here
    (127.0.0.1, say): else all the world has its address, in limits, logs and lists of allowed addresses."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names to answer to, beside that of base_url.  Empty: any, because nothing is ever built from Host."""
    metrics_allowed: tuple[IPNetwork, ...] = ()
    """Addresses that may read /metrics.  Empty: only this machine (127.0.0.0/8 and ::1)."""
    tls_cert: Path | None = None
    """A PEM certificate chain, to serve https without a proxy."""
    tls_key: Path | None = None
    """Its private key."""
    graceful_timeout: int = 10
    """Seconds that a request under way may still take when the server is asked to stop."""
    most_connections: int = 1_000
    """Connections that one worker has open at a time; a request on one more is answered 503.  0: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Where sessions, codes and tokens live."""

    url: str = field(default="sqlite:///var/store.db", repr=False)
    """sqlite:///FILE (one host, one or two workers), redis://, rediss:// or unix:// (production), memory:// (tests).
    Plain REDIS_URL in the environment sets it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """Where users, clients, keys and the audit live."""

    url: str = field(default="sqlite:///var/bridge.db", repr=False)
    """sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME or mysql://…  Plain DATABASE_URL sets it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsOptions:
    """The two secrets that are in neither SQL nor Redis.  `login-bridge init` makes them."""

    master: Secret | None = None
    """The master key ring: lines of `id:base64url of 32 bytes`, newest first.  Better as master_file."""
    slot: Secret | None = None
    """The slot key: base64url of 32 bytes, never changed in the life of an instance.  Better as slot_file."""
