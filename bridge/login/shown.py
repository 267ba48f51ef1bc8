"""What somebody shows for his second factor, as it came in."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from bridge.secret import Secret

_APP_CODE: Final = re.compile(r"\d{6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Code:
    """Six digits from the authenticator app, as they were typed."""

    text: str


@dataclass(frozen=True, slots=True)
class RecoveryCode:
    """One of the codes that he wrote down, as it was typed."""

    text: Secret


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a browser sent for a passkey, and what its challenge must be bound to."""

    response: str
    browser: str
    """The binding of the browser that it was given to."""


Shown = Code | RecoveryCode | Assertion


def shown_by(typed: Secret) -> Code | RecoveryCode | None:
    """What somebody typed where either code is taken: six digits are the app's.  None: he typed nothing."""
    text = "".join(unicodedata.normalize("NFKC", typed.reveal()[:64]).split()).replace("-", "")
    if _APP_CODE.fullmatch(text):
        return Code(text)
    return RecoveryCode(typed) if text else None
