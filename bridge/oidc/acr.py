"""How well somebody showed who he is: `acr`, from `amr` — Core §2, §3.1.2.1, §5.5.1.1; RFC 8176; RFC 9470."""

from collections.abc import Sequence
from typing import Final

PASSWORD: Final = "pwd"  # noqa: S105  # a name
SECOND_FACTOR: Final = "mfa"
PHISHING_RESISTANT: Final = "phr"
"""A passkey: the name is that of OpenID's Enhanced Authentication Profile."""

ACRS: Final = (PASSWORD, SECOND_FACTOR, PHISHING_RESISTANT)
"""Whoever meets one meets those before it too."""


def met_by(amr: Sequence[str]) -> tuple[str, ...]:
    """Every `acr` that a sign-in by these methods is.  A link that somebody else vouched for is none (security §8)."""
    if "sso" in amr:
        return ()
    if "pop" in amr:
        return ACRS
    if "mfa" in amr:
        return ACRS[:2]
    return ACRS[:1] if "pwd" in amr else ()


def acr_for(asked: Sequence[str], amr: Sequence[str]) -> str | None:
    """What an answer says of it to who asked: the first of those that it is, else the best that it is; None: it is
    none."""
    met = met_by(amr)
    return next((each for each in asked if each in met), met[-1] if met else None)
