"""The one style sheet, with the operator's colour in it: no page may carry styles of its own — DESIGN §7."""

import hashlib
from dataclasses import dataclass
from typing import Self

from bridge.brand import BLACK, WHITE, Brand, Colour

# The surfaces that bridge.css puts text on; a test compares them.
LIGHT_SURFACES = (Colour.parse("#ffffff"), Colour.parse("#f5f6f9"))
DARK_SURFACES = (Colour.parse("#181b22"), Colour.parse("#0e1015"))

_TINT = 0.07  # how much of the colour the page's background takes


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """The bytes to serve, and their version for the address: a new colour must not meet an old copy."""

    body: bytes
    version: str

    @classmethod
    def coloured(cls, css: str, brand: Brand) -> Self:
        """`css` after the custom properties of the brand, each colour readable where the style sheet uses it."""
        body = f"{_properties(brand.colour)}\n{css}".encode()
        return cls(body, hashlib.sha256(body).hexdigest()[:12])


def _properties(accent: Colour) -> str:
    text = accent.on_top()
    pressed = accent.mixed(BLACK if text == WHITE else WHITE, 0.14)  # away from the text: contrast only grows
    light = accent.readable_on(*LIGHT_SURFACES, LIGHT_SURFACES[1].mixed(accent, _TINT))
    dark = accent.readable_on(*DARK_SURFACES, DARK_SURFACES[1].mixed(accent, _TINT))
    return (
        f":root{{--accent:{accent};--accent-pressed:{pressed};--on-accent:{text};"
        f"--accent-ink:{light};--tint:{LIGHT_SURFACES[1].mixed(accent, _TINT)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{--accent-ink:{dark};"
        f"--tint:{DARK_SURFACES[1].mixed(accent, _TINT)}}}}}"
    )
