"""A refresh token against new ones, each good once — RFC 6749 §6; RFC 9700 §4.14.2; Core §12."""

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from bridge.clients.client import Client
from bridge.clients.words import words
from bridge.grants.rotation import rotate
from bridge.grants.terms import Invalid, Replay, StampUnknown, Tokens, WrongScope
from bridge.oidc.client_auth import AuthenticatedClient
from bridge.oidc.errors import OAuthError
from bridge.oidc.grants.response import Response
from bridge.oidc.issue import Issuing
from bridge.oidc.params import required
from bridge.types import Visit


class RefreshToken:
    """grant_type=refresh_token."""

    def __init__(self, issuing: Issuing, response: Response) -> None:
        self._issuing = issuing
        self._response = response

    async def __call__(
        self, client: AuthenticatedClient, form: Mapping[str, str], visit: Visit
    ) -> Mapping[str, object]:
        issuing = self._issuing
        token = issuing.mint.parse("refresh", required(form, "refresh_token"))
        if token is None:
            raise self._refusal(client, "the refresh token is not one of ours", visit)
        outcome, members = await issuing.present(
            token,
            partial(
                rotate,
                token=token,
                client=client.client.client_id,
                wanted=_wanted(form, client.client),
                fresh=issuing.fresh(token, client.client),
                wrap=issuing.wrap,
                moment=issuing.moment(),
            ),
            partial(self._response.of, client.client),
        )
        match outcome:
            case Tokens():
                issuing.tell_issued(outcome.family, "refresh_token", visit)
                return members
            case Invalid(why):
                raise self._refusal(client, why, visit)
            case WrongScope():
                raise OAuthError("invalid_scope", "scope goes beyond what was granted")
            case Replay(family):
                await issuing.end_replayed(token, family, visit)
                raise self._refusal(client, "the refresh token was used before", visit)
            case StampUnknown():
                raise self._refusal(client, "the sign-in has ended", visit)
            case _:
                assert_never(outcome)

    def _refusal(self, client: AuthenticatedClient, why: str, visit: Visit) -> OAuthError:
        self._issuing.tell_refused(client.client.client_id, why, visit)
        return OAuthError("invalid_grant", why)


def _wanted(form: Mapping[str, str], client: Client) -> tuple[str, ...] | None:
    if (scope := form.get("scope")) is None:
        return None
    wanted = tuple(dict.fromkeys(words(scope)))
    # It may have been granted, and yet nothing of it would be left in the answer (`response`).
    if set(wanted).isdisjoint(client.scopes):
        raise OAuthError("invalid_scope", "scope names nothing that this client may have")
    return wanted
