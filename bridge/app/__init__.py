"""Puts everything together: the one room that knows all others — DESIGN §4.

`Bridge` is resolved when it is asked for (PEP 562): a command that works in the rooms needs none of the doors.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bridge.app.bridge import Bridge

__all__ = ["Bridge"]


def __getattr__(name: str) -> Any:
    if name != "Bridge":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bridge.app.bridge import Bridge  # noqa: PLC0415  only now

    return Bridge
