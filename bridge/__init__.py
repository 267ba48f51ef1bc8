"""The login bridge: one login for a legacy API, for ASGI apps and for OpenID Connect.

    from bridge import Bridge, BridgeMiddleware, Config

Names are resolved when they are asked for (PEP 562): a satellite, which only reads sessions, never loads the pages,
the OpenID Provider or SQL.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.config import Config
    from bridge.errors import BridgeError, Busy, ConfigError, Unavailable
    from bridge.middleware import BridgeMiddleware

__version__ = "0.1.0"
__all__ = [
    "Bridge",
    "BridgeError",
    "BridgeMiddleware",
    "Busy",
    "Config",
    "ConfigError",
    "Unavailable",
    "__version__",
]

_HOMES: Final = {
    "Bridge": "bridge.app",
    "BridgeMiddleware": "bridge.middleware",
    "Config": "bridge.config",
    **dict.fromkeys(("BridgeError", "Busy", "ConfigError", "Unavailable"), "bridge.errors"),
}


def __getattr__(name: str) -> Any:
    """A public name, from the room where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
