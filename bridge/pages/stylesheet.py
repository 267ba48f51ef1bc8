"""The one style sheet, with the operator's colour, and the one script: no page carries any of its own — DESIGN §7."""

import hashlib
from dataclasses import dataclass
from typing import Self

from bridge.brand import BLACK, WHITE, Brand, Colour

# The surfaces that bridge.css puts text on; a test compares them.
LIGHT_SURFACES = (Colour.parse("#ffffff"), Colour.parse("#f5f6f9"))
DARK_SURFACES = (Colour.parse("#181b22"), Colour.parse("#0e1015"))

_TINT = 0.07  # how much of the colour the page's background takes
_UNSEEN = 1.6  # a button with less contrast to a dark card than that is not seen as one; on white a pale one still is
_UNSEEN_ON_WHITE = 1.1


@dataclass(frozen=True, slots=True)
class Stylesheet:
    """The bytes to serve, and their version for the address: a new colour must not meet an old copy."""

    body: bytes
    version: str

    @classmethod
    def coloured(cls, css: str, brand: Brand) -> Self:
        """`css` after the custom properties of the brand, each colour readable where the style sheet uses it."""
        body = f"{_properties(brand.colour)}\n{css}".encode()
        return cls(body, _version(body))


@dataclass(frozen=True, slots=True)
class Script:
    """The same of the script that asks a browser for a passkey."""

    body: bytes
    version: str

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Those bytes."""
        return cls(body, _version(body))


def _version(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:12]


def _properties(accent: Colour) -> str:
    by_day = accent if accent.contrast(WHITE) > _UNSEEN_ON_WHITE else accent.mixed(BLACK, 0.85)
    by_night = accent if accent.contrast(DARK_SURFACES[0]) > _UNSEEN else accent.mixed(WHITE, 0.85)
    return (
        f":root{{{_half(by_day, LIGHT_SURFACES)}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{_half(by_night, DARK_SURFACES)}}}}}"
    )


def _half(accent: Colour, surfaces: tuple[Colour, Colour]) -> str:
    words = accent.on_top()
    pressed = accent.mixed(BLACK if words == WHITE else WHITE, 0.14)  # away from the words: contrast only grows
    tint = surfaces[1].mixed(accent, _TINT)
    return (
        f"--accent:{accent};--accent-pressed:{pressed};--on-accent:{words};"
        f"--accent-ink:{accent.readable_on(*surfaces, tint)};--tint:{tint}"
    )
