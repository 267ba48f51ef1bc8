"""The sign-in page without what no two answers share: the rest is the same for everybody, and made once — DESIGN §7.

New in every answer are the form's proof, the visit, the nonce and the challenge for a passkey.  They are of our own
making, and of letters that mean themselves wherever they stand, in HTML as in an address.  So a page is made with other
such words in their places, and kept; whoever is shown it gets his own put there.  All that others wrote (the name of an
application, say) belongs to what is kept, and was escaped by the template as on every page.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from bridge.pages.models import Login, Page

_WORD: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_CHALLENGE: Final = re.compile(r'(?<="challenge":")[A-Za-z0-9_-]+(?=")', re.ASCII)
_NONE: Final = "none"
_MOST: Final = 256
"""Applications, languages and faces of the page: those shown last are kept."""


class Manner(NamedTuple):
    """How a page is shown."""

    locale: str
    root: str
    """The mount prefix."""
    asked_locale: bool


Make = Callable[[Page, Manner, str], str]
"""The page's HTML, with a nonce."""


class KeptPages:
    """Pages by all that they show but those words."""

    def __init__(self, make: Make) -> None:
        self._make = make
        # Random, so that nobody can write one of them where somebody's own word would then stand.
        self._places = {name: secrets.token_hex(16) for name in ("csrf", "interaction", "challenge", "nonce")}
        self._kept = lru_cache(maxsize=_MOST)(self._made)

    def html(self, page: Page, manner: Manner, nonce: str) -> str | None:
        """The page for this answer; None: it is for one person alone, or what should be such a word is none."""
        if not isinstance(page, Login) or page.email or page.remembered or page.next is not None or page.wait:
            return None
        challenge = _CHALLENGE.search(page.passkey) if page.passkey else None
        words = {
            "csrf": page.csrf,
            "interaction": page.interaction or _NONE,
            "challenge": challenge[0] if challenge else _NONE,
            "nonce": nonce,
        }
        if not all(map(_WORD.fullmatch, words.values())) or (page.passkey and not challenge):
            return None
        places = self._places
        blank = replace(
            page,
            csrf=places["csrf"],
            interaction=places["interaction"] if page.interaction else page.interaction,
            passkey=_CHALLENGE.sub(places["challenge"], page.passkey, count=1) if page.passkey else page.passkey,
        )
        return self._kept(blank, manner) % words

    def _made(self, page: Login, manner: Manner) -> str:
        html = self._make(page, manner, self._places["nonce"]).replace("%", "%%")
        for name, place in self._places.items():
            html = html.replace(place, f"%({name})s")
        return html
