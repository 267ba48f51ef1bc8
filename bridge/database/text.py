"""Text as rows keep it: without what no row can hold, and folded so that a search finds it — security §10."""

import re
import unicodedata
from typing import Final

SEARCHED: Final = 191
"""Characters of a folded text that a search looks at."""

_BREAK: Final = re.compile(r"\r\n?|[\v\f\x1c-\x1e\x85\u2028\u2029]")
_HALF: Final = re.compile("[\ud800-\udfff]")
# Controls but for tab and line break: no database takes NUL, and the others move the cursor of whoever reads them.
_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")


class InvalidField(ValueError):
    """A value that a row cannot take.  `field` says which, `why` in a few words what is wrong with it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def one_line(text: str) -> str:
    """The text on one line, trimmed: breaks, tabs and controls are blanks, and half a character is none."""
    return " ".join(many_lines(text).split())


def many_lines(text: str) -> str:
    """The text with line breaks of one kind, and without controls."""
    return _CONTROL.sub(" ", _BREAK.sub("\n", _HALF.sub("", text)))


def check_length(field: str, text: str, most: int) -> None:
    """Raise InvalidField for a text that its column would have to cut."""
    if len(text) > most:
        raise InvalidField(field, f"more than {most} characters")


def fold(text: str) -> str:
    """What a search compares: no case, no accents, no double blanks, the first 191 characters.

    "José  MÜLLER" → "jose muller".  Computed here, so that three databases find the same.
    """
    bare = "".join(each for each in unicodedata.normalize("NFKD", one_line(text)) if unicodedata.category(each) != "Mn")
    return unicodedata.normalize("NFKC", " ".join(bare.casefold().split()))[:SEARCHED]
