"""The OpenID Provider of one configuration: its collaborators, and its endpoints by their paths."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from bridge.asgi import Endpoints, Proxies
from bridge.clock import Clock
from bridge.grants.consents import Consents
from bridge.interactions.arrivals import Arrivals
from bridge.interactions.interactions import Interactions
from bridge.oidc import aliases, authorize, logout, session_management
from bridge.oidc.assertion import Assertions
from bridge.oidc.authorize import AuthorizationEndpoint
from bridge.oidc.browser import Browsers
from bridge.oidc.client_auth import Authenticator, Clients
from bridge.oidc.client_keys import ClientKeys, Fetches
from bridge.oidc.client_tokens import ClientTokens
from bridge.oidc.cors import Open
from bridge.oidc.discovery import DiscoveryEndpoint, addresses, metadata
from bridge.oidc.front_channel import FrontChannel
from bridge.oidc.grants.authorization_code import AuthorizationCode
from bridge.oidc.grants.client_credentials import ClientCredentials
from bridge.oidc.grants.refresh_token import RefreshToken
from bridge.oidc.grants.response import Response
from bridge.oidc.grants.single_sign_on import NAME, Either
from bridge.oidc.id_token import IdTokens, Signs, Verifies, read_hint
from bridge.oidc.introspection import IntrospectionEndpoint
from bridge.oidc.issue import Issuing
from bridge.oidc.jwks import JwksEndpoint, Publishes
from bridge.oidc.logout import LogoutEndpoint
from bridge.oidc.options import OidcOptions
from bridge.oidc.registration import PATH as REGISTER
from bridge.oidc.registration import RegistrationEndpoint
from bridge.oidc.request_object import Offered, RequestObjects
from bridge.oidc.response_modes import AnswerPages, Responses, offer_of
from bridge.oidc.revocation import RevocationEndpoint
from bridge.oidc.session_management import CheckSession, SessionStates
from bridge.oidc.showing import ErrorPage
from bridge.oidc.telling import Accounts, Telling, Users
from bridge.oidc.token import Grant, TokenEndpoint
from bridge.oidc.userinfo import UserinfoEndpoint
from bridge.sessions.cookie import Cookies
from bridge.sessions.sessions import Sessions
from bridge.types import Subject


class Keys(Signs, Verifies, Publishes, Protocol):
    """The signing keys (`bridge.keys.keyring.Keyring`)."""


class Pages(ErrorPage, AnswerPages, Protocol):
    """What the provider has pages for (`bridge.pages`)."""


class Provider:
    """Puts the endpoints together.  `issuer`: the public address, without a slash at its end."""

    def __init__(
        self,
        *,
        issuer: str,
        options: OidcOptions,
        issuing: Issuing,
        clients: Clients,
        client_keys: ClientKeys,
        fetch: Fetches | None,
        users: Users,
        accounts: Accounts,
        keys: Keys,
        sessions: Sessions,
        consents: Consents,
        interactions: Interactions,
        arrivals: Arrivals,
        cookies: Cookies,
        pages: Pages,
        proxies: Proxies,
        languages: Sequence[str] = ("en",),
        single_sign_on: Grant | None = None,
        registration: RegistrationEndpoint | None = None,
        sign_up: bool = False,
    ) -> None:
        """`single_sign_on`: for credentials of WHMCS's own kind, which no document of ours names; `sign_up`: whoever
        has no account may make one."""
        self._issuer = issuer
        self._options = options
        base = urlsplit(issuer).path
        browsers = Browsers(
            base=base,
            cookies=cookies,
            interactions=interactions,
            arrivals=arrivals,
            proxies=proxies,
            events=issuing.events,
        )
        id_tokens = IdTokens(issuer=issuer, keys=keys, clock=issuing.clock, lifetime=options.id_token)
        client_tokens = ClientTokens(issuer=issuer, keys=keys, client_keys=client_keys)
        telling, offer = Telling(users, accounts), offer_of(options, create=sign_up)
        grants = _grants(issuing, id_tokens, client_tokens, telling)
        self._metadata = metadata(
            issuer,
            grant_types=list(grants),
            offer=offer,
            languages=languages,
            registration=registration is not None,
            request_objects=options.request_objects,
            request_uris=options.request_uris,
            frontchannel_logout=options.frontchannel_logout,
            session_management=options.session_management,
        )
        if single_sign_on is not None:  # after the document, which names no grant of WHMCS's own
            grants |= {
                NAME: single_sign_on,
                "client_credentials": Either(single_sign_on, grants["client_credentials"]),
            }

        self._authorize = AuthorizationEndpoint(
            issuing=issuing,
            clients=clients,
            users=users,
            sessions=sessions,
            consents=consents,
            interactions=interactions,
            browsers=browsers,
            responses=Responses(issuer=issuer, page=pages),
            errors=pages,
            sub_of=partial(_sub_of_hint, issuer=issuer, keys=keys),
            offer=offer,
            front=FrontChannel(id_tokens, client_tokens, telling),
            objects=_request_objects(issuer, options, client_keys, fetch, issuing.clock),
            states=SessionStates(cookies=cookies, chance=issuing.chance) if options.session_management else None,
        )
        self._check_session = CheckSession(cookies) if options.session_management else None
        self._logout = LogoutEndpoint(
            issuer=issuer,
            clients=clients,
            keys=keys,
            interactions=interactions,
            browsers=browsers,
            errors=pages,
        )
        authenticate = _authenticator(issuer, clients, client_keys, issuing)
        self._token = TokenEndpoint(authenticate=authenticate, grants=grants, proxies=proxies, events=issuing.events)
        self._introspect = IntrospectionEndpoint(
            issuer=issuer, authenticate=authenticate, clients=clients, issuing=issuing, proxies=proxies
        )
        self._revoke = RevocationEndpoint(authenticate=authenticate, issuing=issuing, proxies=proxies)
        self._userinfo, self._userinfo_by_query = (
            UserinfoEndpoint(
                issuing=issuing,
                telling=telling,
                client_tokens=client_tokens,
                clients=clients,
                proxies=proxies,
                by_query=by_query,
            )
            for by_query in (False, True)
        )
        self._registration = registration
        self._jwks = JwksEndpoint(keys=keys, max_age=options.jwks_max_age)

    @property
    def metadata(self) -> dict[str, Any]:
        """What discovery says."""
        return dict(self._metadata)

    def endpoints(self) -> Endpoints:
        """Path below the mount point → endpoint.  Scripts of other origins may read five of them (security §28)."""
        discovery = self._discovery(self._metadata)
        registering = {REGISTER: self._registration} if self._registration else {}
        framed = {session_management.PATH: self._check_session} if self._check_session else {}
        return {
            **registering,
            **framed,
            "/.well-known/openid-configuration": discovery,
            "/.well-known/oauth-authorization-server": discovery,
            authorize.PATH: self._authorize,
            logout.PATH: self._logout,
            "/oauth/token": Open(self._token, "POST"),
            "/oauth/userinfo": Open(self._userinfo, "GET, POST"),
            "/oauth/jwks": Open(self._jwks, "GET, HEAD"),
            "/oauth/revoke": Open(self._revoke, "POST"),
            "/oauth/introspect": self._introspect,
        }

    def aliases(self) -> Endpoints:
        """The same by WHMCS's names, where userinfo also takes tokens from queries (`bridge.oidc.aliases`)."""
        paths = aliases.PATHS
        return {
            aliases.DISCOVERY: self._discovery({**self._metadata, **addresses(self._issuer, paths)}),
            paths["authorization_endpoint"]: self._authorize,
            paths["token_endpoint"]: Open(self._token, "POST"),
            paths["userinfo_endpoint"]: Open(self._userinfo_by_query, "GET, POST"),
            paths["jwks_uri"]: Open(self._jwks, "GET, HEAD"),
        }

    def _discovery(self, members: Mapping[str, Any]) -> Open:
        return Open(DiscoveryEndpoint(members, max_age=self._options.jwks_max_age), "GET, HEAD")


def _grants(issuing: Issuing, id_tokens: IdTokens, client_tokens: ClientTokens, telling: Telling) -> dict[str, Grant]:
    response = Response(id_tokens, client_tokens, telling, issuing.clock)
    return {
        "authorization_code": AuthorizationCode(issuing, response),
        "refresh_token": RefreshToken(issuing, response),
        "client_credentials": ClientCredentials(issuing, response),
    }


def _authenticator(issuer: str, clients: Clients, client_keys: ClientKeys, issuing: Issuing) -> Authenticator:
    assertions = Assertions(
        keys=client_keys,
        store=issuing.store,
        names=issuing.names,
        slots=issuing.slots,
        clock=issuing.clock,
        chance=issuing.chance,
    )
    return Authenticator(issuer=issuer, clients=clients, assertions=assertions, clock=issuing.clock)


def _request_objects(
    issuer: str, options: OidcOptions, client_keys: ClientKeys, fetch: Fetches | None, clock: Clock
) -> RequestObjects:
    offered = Offered(by_value=options.request_objects, by_reference=options.request_uris)
    return RequestObjects(issuer=issuer, offered=offered, keys=client_keys, fetch=fetch, clock=clock)


def _sub_of_hint(token: str, *, issuer: str, keys: Verifies) -> Subject | None:
    hint = read_hint(token, issuer=issuer, keys=keys)
    return hint.sub if hint else None
