"""The small JSON API for sessions, by API credential — DESIGN §7."""

from bridge.api.touch import PATH, Touch
from bridge.asgi import Endpoints

__all__ = ["PATH", "Touch", "endpoints"]


def endpoints(*, touch: Touch) -> Endpoints:
    """Exact path → endpoint, for `bridge.app`."""
    return {PATH: touch}
