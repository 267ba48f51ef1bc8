"""A code against tokens — RFC 6749 §4.1.3; Core §3.1.3; RFC 9700 §2.1.1."""

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from bridge.clients.client import Client
from bridge.grants.records import Code
from bridge.grants.redemption import redeem
from bridge.grants.terms import Invalid, Replay, StampUnknown, Tokens
from bridge.oidc import pkce
from bridge.oidc.client_auth import AuthenticatedClient
from bridge.oidc.errors import OAuthError
from bridge.oidc.grants.response import Response
from bridge.oidc.issue import Issuing
from bridge.oidc.params import required
from bridge.types import Visit


class AuthorizationCode:
    """grant_type=authorization_code."""

    def __init__(self, issuing: Issuing, response: Response) -> None:
        self._issuing = issuing
        self._response = response

    async def __call__(
        self, client: AuthenticatedClient, form: Mapping[str, str], visit: Visit
    ) -> Mapping[str, object]:
        issuing, client_id = self._issuing, client.client.client_id
        token = issuing.mint.parse("code", required(form, "code"))
        if token is None:
            raise self._refusal(client, "the code is not one of ours", visit)
        outcome, members = await issuing.present(
            token,
            partial(
                redeem,
                token=token,
                client=client_id,
                objection=partial(_objection, form, client.client),
                fresh=issuing.fresh(token, client.client),
                epoch=issuing.epoch(),
                moment=issuing.moment(),
            ),
            partial(self._response.of, client.client),
        )
        match outcome:
            case Tokens():
                issuing.unclaimed.claimed(token.tag)
                issuing.tell_issued(outcome.family, "authorization_code", visit)
                return members
            case Invalid(why):
                raise self._refusal(client, why, visit)
            case Replay(family):
                await issuing.end_replayed(token, family, visit)
                raise self._refusal(client, "the code was used before", visit)
            case StampUnknown():
                raise self._refusal(client, "the sign-in has ended", visit)
            case _:
                assert_never(outcome)

    def _refusal(self, client: AuthenticatedClient, why: str, visit: Visit) -> OAuthError:
        self._issuing.tell_refused(client.client.client_id, why, visit)
        return OAuthError("invalid_grant", why)


def _objection(form: Mapping[str, str], client: Client, code: Code) -> str | None:
    """What the protocol has against this request for this code; nothing is used up by it."""
    given, asked = form.get("redirect_uri"), code.redirect_uri
    # OAuth 2.1 drops the parameter; without PKCE it is what binds the code to the browser's request (RFC 6749 §4.1.3).
    if given is None and asked is not None and code.challenge is None:
        return "redirect_uri is missing"
    # Where the request named none, the answer went to the one that was registered.
    if given is not None and given not in (client.redirect_uris if asked is None else (asked,)):
        return "redirect_uri is not the one of the authorization request"
    return pkce.objection(code.challenge, form.get("code_verifier"))
