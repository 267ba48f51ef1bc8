"""A client's public keys, looked at once when it registers — RFC 7517 §4, §5; Registration 1.0 §2.

Here is only seen whether they could be what they say; `bridge.keys` imports them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_NEEDED: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_NUMBER: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
"""In base64url, without padding (RFC 7518 §2)."""
_MOST: Final = 20
_RSA_LENGTHS: Final = range(342, 684)
"""Characters of a modulus of 2048 to 4096 bits."""
_LONGEST_EXPONENT: Final = 6
"""Characters of 32 bits.  Nearly all have 65537; what a signature takes to be checked grows with it."""


def jwks_problem(jwks: Mapping[str, Any]) -> str | None:
    """What is wrong with it; None: nothing."""
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, dict) for key in keys):
        return 'must be a key set: {"keys": [...]}'
    if len(keys) > _MOST:
        return f"must have at most {_MOST} keys"
    return next((why for key in keys if (why := _problem(key)) is not None), None)


def _problem(key: Mapping[str, Any]) -> str | None:
    if _PRIVATE & key.keys() or key.get("kty") == "oct":
        return "holds a key that is not public"
    needed = _NEEDED.get(str(key.get("kty")))
    if needed is None:
        return None  # of a kind that we do not know: others may
    if not all(isinstance(key.get(name), str) and key[name] for name in needed):
        return f"holds an {key['kty']} key without {', '.join(needed)}"
    if not all(_NUMBER.fullmatch(key[name]) for name in needed if name != "crv"):
        return f"holds an {key['kty']} key whose numbers are not base64url"
    if key["kty"] == "RSA" and len(key["n"]) not in _RSA_LENGTHS:
        return "holds an RSA key that has not 2048 to 4096 bits"
    if key["kty"] == "RSA" and len(key["e"]) > _LONGEST_EXPONENT:
        return "holds an RSA key whose exponent has more than 32 bits"
    return None
