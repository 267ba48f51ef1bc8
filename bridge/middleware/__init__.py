"""Who is there?  The middleware for ASGI apps, on the bridge itself or as a satellite — DESIGN §6, §7."""

from typing import TYPE_CHECKING, Annotated, Any

from bridge.middleware.asgi import BridgeMiddleware
from bridge.middleware.doorman import Doorman
from bridge.middleware.satellite import Satellite
from bridge.middleware.ticket import TicketDoor, sign_in_path
from bridge.middleware.visitor import Anonymous, BridgeUser, SessionInfo, StoreDown, Visitor, current_user

if TYPE_CHECKING:
    from fastapi import Depends

    CurrentUser = Annotated[BridgeUser, Depends(current_user)]

__all__ = [
    "Anonymous",
    "BridgeMiddleware",
    "BridgeUser",
    "CurrentUser",
    "Doorman",
    "Satellite",
    "SessionInfo",
    "StoreDown",
    "TicketDoor",
    "Visitor",
    "current_user",
    "sign_in_path",
]


def __getattr__(name: str) -> Any:
    """`CurrentUser`, for who has FastAPI: a parameter that is the signed-in person, or the answer 401."""
    if name != "CurrentUser":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastapi import Depends  # noqa: PLC0415  FastAPI is no dependency of ours

    return Annotated[BridgeUser, Depends(current_user)]
