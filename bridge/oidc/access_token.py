"""How a request shows its access token: in the header, in a form, at one address in the query too — RFC 6750 §2, §3."""

from msgspec import Struct

from bridge.asgi import BadRequest, Headers, Receive, Scope, content_type, header, once, parse_pairs, query, read_body
from bridge.oidc.errors import ErrorCode, OAuthError
from bridge.oidc.params import FORM


class ShownToken(Struct, frozen=True):
    """The token's text, and whether it stood in the query, which logs and histories keep (security §25)."""

    text: str
    in_query: bool = False


async def shown_token(scope: Scope, receive: Receive, *, by_query: bool = False) -> ShownToken:
    """The one token.  `by_query`: this address takes one from the query.

    Raises OAuthError with the challenge of §3: none shown, in more than one place, or unreadable.
    """
    try:
        in_header, in_query = _in_header(scope), _in_query(scope)
        in_form = await _in_form(scope, receive) if scope["method"] == "POST" else None
    except BadRequest as error:
        raise OAuthError("invalid_request", str(error), status=error.status) from error
    if [in_header, in_form, in_query].count(None) < 2:
        raise refusal("invalid_request", "the access token was sent in more than one place")
    if text := in_header or in_form:
        return ShownToken(text)
    if in_query is not None and by_query:
        return ShownToken(in_query, in_query=True)
    # §3.1: who shows nothing is told how to, not what was wrong.
    bare = ((b"www-authenticate", b"Bearer"),)
    raise OAuthError("invalid_token", "no access token was sent in the header or in a form", headers=bare)


def refusal(code: ErrorCode, description: str, *, scope: str | None = None) -> OAuthError:
    """With the challenge that says the same."""
    challenge = f'Bearer error="{code}", error_description="{description}"' + (f', scope="{scope}"' if scope else "")
    headers: Headers = ((b"www-authenticate", challenge.encode("ascii")),)
    return OAuthError(code, description, headers=headers)


def _in_header(scope: Scope) -> str | None:
    authorization = header(scope, b"authorization")
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":  # RFC 9110 §11.1: in any case of letters
        return None
    return token.strip(" ")


async def _in_form(scope: Scope, receive: Receive) -> str | None:
    if content_type(scope) != FORM:
        return None
    return once(parse_pairs(await read_body(scope, receive))).get("access_token") or None


def _in_query(scope: Scope) -> str | None:
    # An address that ends in `?access_token=`, beside a header, is what some clients send: nothing is shown there.
    return query(scope).get("access_token") or None if scope.get("query_string") else None
