"""The small JSON API for sessions, by API credential — DESIGN §7."""

from bridge.api.redeem import PATH as REDEEM
from bridge.api.redeem import Redeem
from bridge.api.touch import PATH as TOUCH
from bridge.api.touch import Touch
from bridge.asgi import Endpoints

__all__ = ["REDEEM", "TOUCH", "Redeem", "Touch", "endpoints"]


def endpoints(*, touch: Touch, redeem: Redeem) -> Endpoints:
    """Exact path → endpoint, for `bridge.app`."""
    return {TOUCH: touch, REDEEM: redeem}
