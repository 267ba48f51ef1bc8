"""How a request shows its access token: in the header, or in a form, never in the query — RFC 6750 §2, §3."""

from bridge.asgi import BadRequest, Headers, Receive, Scope, content_type, header, once, parse_pairs, read_body
from bridge.oidc.errors import ErrorCode, OAuthError
from bridge.oidc.params import FORM


async def shown_token(scope: Scope, receive: Receive) -> str:
    """The token's text.  Raises OAuthError with the challenge of §3: none shown, two places, or unreadable."""
    by_header = _by_header(scope)
    by_form = await _by_form(scope, receive) if scope["method"] == "POST" and content_type(scope) == FORM else None
    if by_header is not None and by_form is not None:
        raise refusal("invalid_request", "the access token was sent in two places")
    token = by_header or by_form
    if token is None:
        # §3.1: who shows nothing is told how to, not what was wrong.
        bare = ((b"www-authenticate", b"Bearer"),)
        raise OAuthError("invalid_token", "no access token was sent", headers=bare)
    return token


def refusal(code: ErrorCode, description: str, *, scope: str | None = None) -> OAuthError:
    """With the challenge that says the same."""
    challenge = f'Bearer error="{code}", error_description="{description}"' + (f', scope="{scope}"' if scope else "")
    headers: Headers = ((b"www-authenticate", challenge.encode("ascii")),)
    return OAuthError(code, description, headers=headers)


def _by_header(scope: Scope) -> str | None:
    authorization = header(scope, b"authorization")
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":  # RFC 9110 §11.1: in any case of letters
        return None
    return token.strip(" ")


async def _by_form(scope: Scope, receive: Receive) -> str | None:
    try:
        return once(parse_pairs(await read_body(scope, receive))).get("access_token") or None
    except BadRequest as error:
        raise OAuthError("invalid_request", str(error), status=error.status) from error
