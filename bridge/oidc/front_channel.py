"""What the browser itself carries to the client — Core §3.2.2.5, §3.3.2.5; RFC 6749 §4.2.2."""

from bridge.grants.issue import Drawn, access_exp
from bridge.grants.records import Family
from bridge.grants.terms import Moment
from bridge.oidc.client_tokens import ClientTokens
from bridge.oidc.id_token import IdTokens
from bridge.oidc.request import AuthorizationRequest
from bridge.oidc.response_modes import Fields
from bridge.oidc.telling import Telling


class FrontChannel:
    """Makes the answers of the implicit and the hybrid flow."""

    def __init__(self, id_tokens: IdTokens, client_tokens: ClientTokens, telling: Telling) -> None:
        self._id_tokens = id_tokens
        self._client_tokens = client_tokens
        self._telling = telling

    async def fields(self, request: AuthorizationRequest, granted: Family, drawn: Drawn, moment: Moment) -> Fields:
        """What was drawn, and the ID token that names it."""
        code, access = (each.text if each else None for each in (drawn.code, drawn.access))
        fields: list[tuple[str, str]] = []
        if code is not None:
            fields.append(("code", code.reveal()))
        if access is not None:
            fields += [
                ("access_token", access.reveal()),
                ("token_type", "Bearer"),
                ("expires_in", str(access_exp(granted, moment) - int(moment.now))),
                ("scope", " ".join(granted.scopes)),
            ]
        if request.response.id_token:
            # Core §5.4: what no access token can be asked for is said here.
            alone = code is None and access is None
            id_token = self._id_tokens.make(
                request.client,
                granted,
                nonce=request.nonce,
                access=access,
                code=code,
                more=await self._telling.in_id_token(request.client, granted, granted.scopes if alone else ()),
            )
            fields.append(("id_token", await self._client_tokens.id_token(request.client, id_token)))
        return fields
