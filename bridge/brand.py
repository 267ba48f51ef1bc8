"""The operator's name, logo and colour, and colours that can be read upon it — WCAG 2.2 §1.4.3, §1.4.11."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

DEFAULT_NAME = "Login Bridge"
DEFAULT_ACCENT = "#4353d6"

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_LONGEST_NAME = 60
_READABLE = 4.5  # WCAG AA, text of any size


@dataclass(frozen=True, slots=True)
class Colour:
    """An opaque sRGB colour; each part 0 to 255."""

    red: int
    green: int
    blue: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`#rgb` or `#rrggbb`; raises ValueError for anything else, so that no setting becomes style sheet code."""
        if not _HEX.fullmatch(text):
            raise ValueError(f"not a colour such as #1d4ed8: {text!r}")
        digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
        return cls(*bytes.fromhex(digits))

    def __str__(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"

    def contrast(self, other: "Colour") -> float:
        """From 1 (alike) to 21 (black and white)."""
        darker, lighter = sorted((_luminance(self), _luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    def mixed(self, other: "Colour", share: float) -> "Colour":
        """This colour with a `share` (0 to 1) of another."""
        pairs = ((self.red, other.red), (self.green, other.green), (self.blue, other.blue))
        return Colour(*(round(mine + (theirs - mine) * share) for mine, theirs in pairs))

    def on_top(self) -> "Colour":
        """Black or white: what can be read upon this colour. White if it can, as people expect of a button."""
        return WHITE if self.contrast(WHITE) >= _READABLE else BLACK

    def readable_on(self, *surfaces: "Colour") -> "Colour":
        """The nearest shade of this colour that can be read as text on every one of the surfaces."""
        towards = max((BLACK, WHITE), key=lambda end: _worst(end, surfaces))
        shades = (self.mixed(towards, step / 20) for step in range(21))
        return next((shade for shade in shades if _worst(shade, surfaces) >= _READABLE), towards)


WHITE = Colour(255, 255, 255)
BLACK = Colour(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """What customers know the operator by. Raises ValueError for a name, address or colour that cannot be used."""

    name: str = DEFAULT_NAME
    logo_url: str | None = None
    """https address, path on this host, or `data:image/…`; None draws a mark from the name."""
    accent: str = DEFAULT_ACCENT

    def __post_init__(self) -> None:
        mistakes: list[str] = []
        if not (self.name.isprintable() and 0 < len(self.name.strip()) <= _LONGEST_NAME):
            mistakes.append(f"brand_name must be 1 to {_LONGEST_NAME} printable characters")
        if self.logo_url is not None and not _is_image_address(self.logo_url):
            mistakes.append("logo_url must be an https address, a path on this host or data:image/…")
        if not _HEX.fullmatch(self.accent):
            mistakes.append(f"accent must be a colour such as {DEFAULT_ACCENT}")
        if mistakes:
            raise ValueError("; ".join(mistakes))

    @property
    def colour(self) -> Colour:
        """The accent."""
        return Colour.parse(self.accent)

    @property
    def is_default(self) -> bool:
        """Nobody has given a name: the mark is our own."""
        return self.name == DEFAULT_NAME


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(part / 255) for part in (colour.red, colour.green, colour.blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _worst(text: Colour, surfaces: Sequence[Colour]) -> float:
    return min(text.contrast(surface) for surface in surfaces)


def _is_image_address(url: str) -> bool:
    if not url.isprintable() or " " in url:
        return False
    if url.startswith("data:image/"):
        return True
    if url.startswith("/"):
        return not url.startswith(("//", "/\\"))
    return urlsplit(url).scheme == "https" and bool(urlsplit(url).hostname)
