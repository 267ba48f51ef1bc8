"""Which new passwords are accepted — sessions-and-accounts A1, A3.

Length counts, and that nobody guesses it: no rules of composition, no forced change.  Only a new password is judged;
a login is never refused for what an older rule allowed.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from bridge.secret import Secret
from bridge.users.options import UserOptions
from bridge.users.passwords import LONGEST

PasswordFault = Literal["too-short", "too-long", "too-common", "too-personal"]

LEFT_OVER: Final = 5
"""Characters that must remain when all that is guessed first has been taken out of a password."""

MOST_COMMON: Final = 2_000
_SHORTEST_WORD: Final = 4
_ROWS: Final = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qsdfghjklm"),
    *("zxcvbnm", "yxcvbnm", "wxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujm"),
)
_LEET: Final = str.maketrans("0134578@$!", "oieastbasi")
_REPEATED: Final = re.compile(r"(.{1,4}?)\1{2,}", re.DOTALL)
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_APART: Final = re.compile(r"[\W_]+")


class PasswordPolicy:
    """Judges new passwords."""

    def __init__(self, options: UserOptions) -> None:
        self._options = options
        self._common: list[str] | None = None

    def shortest(self, *, second_factor: bool) -> int:
        """How many characters a new password must have."""
        return self._options.shortest_with_second_factor if second_factor else self._options.shortest

    def judge(self, new: Secret, *, about: Iterable[str] = (), second_factor: bool = False) -> PasswordFault | None:
        """What is wrong with it, or None.  `about`: the person's names and address, which others know too."""
        raw = new.reveal_bytes()
        text = raw.decode("utf-8", "replace")
        if len(raw) > LONGEST:
            return "too-long"
        if len(text) < self.shortest(second_factor=second_factor):
            return "too-short"
        if "\x00" in text or self._guessed(text, self._words):
            return "too-common"
        personal = [*_parts((*about, *self._options.site_names)), *self._words]
        return "too-personal" if self._guessed(text, personal) else None

    @property
    def _words(self) -> list[str]:
        """Loaded with the first password that is judged: few workers ever judge one, and the lists take 10 MB."""
        if self._common is None:
            self._common = sorted({*_most_common(), *_runs()}, key=len, reverse=True)
        return self._common

    def _guessed(self, text: str, words: list[str]) -> bool:
        folded = unicodedata.normalize("NFKC", text).casefold()
        return any(_left(_APART.sub("", spelled), words) < LEFT_OVER for spelled in (folded, folded.translate(_LEET)))


def _left(text: str, words: list[str]) -> int:
    """How many characters are left without these words, repetitions and years."""
    for word in words:
        text = text.replace(word, " ")
    rest = _YEAR.sub("", _REPEATED.sub(r"\1", text))
    return len(rest.replace(" ", ""))


def _most_common() -> Iterator[str]:
    """The passwords that leak most often, as a well-kept list has them."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415  # see `_words`

    return (word for word in FREQUENCY_LISTS["passwords"][:MOST_COMMON] if len(word) >= _SHORTEST_WORD)


def _runs() -> Iterator[str]:
    """What fingers do along the alphabet and the keyboard, four keys and longer, both ways."""
    for row in _ROWS:
        for start in range(len(row) - 3):
            for end in range(start + 4, min(len(row), start + 12) + 1):
                yield row[start:end]
                yield row[start:end][::-1]


def _parts(about: Iterable[str]) -> list[str]:
    """The words in names and addresses, whole and apart, longest first."""
    folded = [unicodedata.normalize("NFKC", text).casefold() for text in about]
    found = {word for text in folded for word in (_APART.sub("", text), *_APART.split(text)) if len(word) > 2}
    return sorted(found, key=len, reverse=True)
