"""Puts everything together: the one room that knows all others — DESIGN §4."""

from bridge.app.bridge import Bridge

__all__ = ["Bridge"]
