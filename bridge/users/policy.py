"""What a new password must be — sessions-and-accounts §3.2, A1 to A3 (NIST SP 800-63B-4 §3.1.1.2).

Long enough and not easily guessed; no composition rules, no forced change, any Unicode.  A password that somebody
already has is never judged by this.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bridge.secret import Secret

PasswordFault = Literal["too-short", "too-long", "too-common", "too-personal"]
LONGEST_BYTES: Final = 1_024
_WEIGHED: Final = 72  # characters; the guesser's cost grows steeply, and whatever is guessable shows by then
_SHORTEST_PART: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """The operator's choice; `judge` says the first fault, or None."""

    shortest: int = 15
    """Characters, where the password is the only factor."""
    shortest_with_factor: int = 8
    """Characters, for somebody who also shows a second factor."""
    weakest_score: int = 2
    """0 to 4: how hard to guess it must at least be (zxcvbn's measure)."""

    def needed(self, *, second_factor: bool) -> int:
        """The least number of characters."""
        return self.shortest_with_factor if second_factor else self.shortest

    def judge(self, password: Secret, *, about: Iterable[str], second_factor: bool) -> PasswordFault | None:
        """`about`: what everybody can know of this person and place (names, address, brand)."""
        text = password.reveal()
        if len(password.reveal_bytes()) > LONGEST_BYTES:
            return "too-long"
        if len(text) < self.needed(second_factor=second_factor):
            return "too-short"
        known = {part for each in about for part in _parts(each)}
        if _mostly(text.casefold(), known):
            return "too-personal"
        return "too-common" if _score(text, known) < self.weakest_score else None


def _parts(text: str) -> set[str]:
    words = "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()
    return {word for word in words if len(word) >= _SHORTEST_PART}


def _mostly(text: str, known: Iterable[str]) -> bool:
    """Whether little is left once the known words are taken out."""
    rest = text
    for word in sorted(known, key=len, reverse=True):
        rest = rest.replace(word, "")
    return len(rest) * 2 < len(text)


def _score(text: str, known: Iterable[str]) -> int:
    from zxcvbn import zxcvbn  # noqa: PLC0415  # its word lists take 10 MB, and few workers ever change a password

    return int(zxcvbn(text[:_WEIGHED], user_inputs=sorted(known), max_length=_WEIGHED)["score"])
