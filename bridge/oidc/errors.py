"""The errors of the protocol, by their wire names: what may go wrong and which status it has — style §5.

`OAuthError` is answered where it is raised (token, userinfo, revocation).  At the authorization endpoint it becomes
`SentBack` once there is a checked target, and is `Shown` to the person before that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from bridge.asgi import NO_STORE, Headers, Reply, json_reply
from bridge.errors import Unavailable
from bridge.oidc.response_modes import ReturnPath

ErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_token",
    "insufficient_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "access_denied",
    "login_required",
    "consent_required",
    "unmet_authentication_requirements",
    "request_not_supported",
    "request_uri_not_supported",
    "invalid_request_object",
    "invalid_request_uri",
    "registration_not_supported",
    "temporarily_unavailable",
]

STATUS: Final[dict[ErrorCode, int]] = {
    "invalid_client": 401,
    "invalid_token": 401,
    "insufficient_scope": 403,
    "temporarily_unavailable": 503,
}
"""Where it is not 400 (RFC 6749 §5.2, RFC 6750 §3.1)."""


class OAuthError(Exception):
    """`error` and `error_description` of RFC 6749 §5.2, as the developer at the other end reads them.

    A description holds only the characters of RFC 6749 A.8, and never what the caller sent.
    """

    def __init__(self, code: ErrorCode, description: str, *, status: int | None = None, headers: Headers = ()) -> None:
        super().__init__(description)
        self.code: ErrorCode = code
        self.description = description
        self.status: int = status or STATUS.get(code, 400)
        self.headers = headers

    def reply(self) -> Reply:
        """As JSON, not to be stored."""
        content = {"error": self.code, "error_description": self.description}
        return json_reply(content, self.status, (*NO_STORE, *self.headers))


def unavailable(error: Unavailable) -> OAuthError:
    """What a program is told when store or database does not answer."""
    retry = ((b"retry-after", str(error.retry_after).encode()),)
    return OAuthError("temporarily_unavailable", "please try again in a moment", headers=retry)


class Shown(Exception):
    """Nobody may be sent anywhere: the person is shown a page, whose text names the wrong parameter."""

    def __init__(self, parameter: str, text: str, *, status: int = 400, retry_after: int | None = None) -> None:
        """`retry_after`: seconds until it makes sense to come back."""
        super().__init__(text)
        self.parameter = parameter
        self.status = status
        self.retry_after = retry_after


class SentBack(Exception):
    """The browser returns to the client with an error (RFC 6749 §4.1.2.1)."""

    def __init__(self, error: OAuthError, back: ReturnPath) -> None:
        super().__init__(error.description)
        self.error = error
        self.back = back


@contextmanager
def sending_back(back: ReturnPath) -> Iterator[None]:
    """From here on there is a place to send errors to."""
    try:
        yield
    except OAuthError as error:
        raise SentBack(error, back) from error
