"""The parameters of a request, each once — RFC 6749 §3.1, §3.2.

A parameter without a value counts as omitted; one that comes twice is an error, and nobody guesses which was meant.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from bridge.asgi import BadRequest, Receive, Scope, content_type, once, parse_pairs, read_body
from bridge.oidc.errors import OAuthError

_MAY_REPEAT: Final = "resource"
"""RFC 8707 §2 lets it come several times.  It means nothing here, and so it is no mistake."""
FORM = "application/x-www-form-urlencoded"


class Parameters(Struct, frozen=True):
    """What came once, and the names of what came more often."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def get(self, name: str) -> str | None:
        """The value, or None for one that is absent, empty or repeated."""
        return self.values.get(name)


def gathered(pairs: Iterable[tuple[str, str]]) -> Parameters:
    """What came once, and what came more often."""
    values: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in pairs:
        if (name in values or name in repeated) and name != _MAY_REPEAT:
            repeated.add(name)
            values.pop(name, None)
        else:
            values[name] = value
    return Parameters({name: value for name, value in values.items() if value}, frozenset(repeated))


async def token_form(scope: Scope, receive: Receive, *, allow: bytes = b"POST, OPTIONS") -> dict[str, str]:
    """The parameters of a POST between programs: from a form-encoded body alone.  Raises OAuthError."""
    if scope["method"] != "POST":
        headers = ((b"allow", allow),)
        raise OAuthError("invalid_request", "this endpoint takes POST only", status=405, headers=headers)
    if content_type(scope) != FORM:
        raise OAuthError("invalid_request", f"the body must be {FORM}", status=415)
    try:
        pairs = once(parse_pairs(await read_body(scope, receive)), but=_MAY_REPEAT)
    except BadRequest as error:
        raise OAuthError("invalid_request", str(error), status=error.status) from error
    return {name: value for name, value in pairs.items() if value}


def required(form: Mapping[str, str], name: str) -> str:
    """The value.  Raises OAuthError."""
    if (value := form.get(name)) is None:
        raise OAuthError("invalid_request", f"{name} is missing")
    return value
