"""A registered OAuth client, as its row says — RFC 7591 §2, Registration 1.0 §2."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from bridge.clients.hashes import older_until
from bridge.types import ClientId

AuthMethod = Literal["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"]
ApplicationType = Literal["web", "native"]
SubjectType = Literal["public", "pairwise"]
Source = Literal["command", "import", "registration", "legacy"]
"""Who made the client: the command line, an import, dynamic registration, or a legacy action."""

DEFAULT_SCOPES: Final = ("openid", "profile", "email", "address", "phone", "offline_access")
"""What a client may ask for when its metadata names no `scope`."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """How something is encrypted to a client's key: `alg` wraps the key, `enc` the content."""

    alg: str
    enc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client.  A disabled one is still found, so that the log can say why it was refused."""

    client_id: ClientId
    name: str = ""
    auth_method: AuthMethod = "client_secret_basic"
    auth_alg: str | None = None
    """The one algorithm of its assertions; None: any that its method allows."""
    jwks: str | None = None
    """Its public keys, as JSON."""
    jwks_uri: str | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code",)
    response_types: tuple[str, ...] = ("code",)
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    application_type: ApplicationType = "web"
    require_pkce: bool = True
    first_party: bool = False
    """Ours: the consent page is not shown.  Never true of a client that registered itself (security §17)."""
    allow_query_token: bool = False
    """`?access_token=` is taken at the `.php` alias of userinfo (security §25)."""
    request_alg: str | None = None
    """How its request objects are signed; None: by any that we know, `none` not among them."""
    request_uris: tuple[str, ...] = ()
    """Where its request objects may lie."""
    require_signed_request: bool = False
    """It sends nothing but signed request objects (RFC 9101 §10.5)."""
    resource_server: bool = False
    """Serves what access tokens are for: it may introspect those of every client.  Only the operator says so."""
    id_token_alg: str = "RS256"  # noqa: S105  # an algorithm
    id_token_encryption: Encryption | None = None
    userinfo_alg: str | None = None
    """None: userinfo is plain JSON, or only encrypted."""
    userinfo_encryption: Encryption | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    backchannel_logout_uri: str | None = None
    frontchannel_logout_uri: str | None = None
    sector: str | None = None
    """The host whose clients know people by a `sub` of their own (Core §8.1); None: by the one that all know."""
    default_max_age: int | None = None
    """Seconds."""
    default_acr_values: tuple[str, ...] = ()
    """Asked for where its request asks for none."""
    require_auth_time: bool = False
    """Every ID token of ours says it."""
    source: Source = "command"
    disabled: bool = False
    created_at: int = 0
    updated_at: int = 0
    secret_hash: str | None = field(default=None, repr=False)
    secret_enc: bytes | None = field(default=None, repr=False)
    """Only of a client registered for a symmetric algorithm (security §22)."""
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The registered document, verbatim but for the secret."""

    @property
    def public(self) -> bool:
        """It has no secret, and proves nothing but the possession of its code verifier."""
        return self.auth_method == "none"

    @property
    def old_secret_until(self) -> int | None:
        """When the older of its two secrets ends, or ended (Unix seconds); None: it has but one."""
        return None if self.secret_hash is None else older_until(self.secret_hash)

    def may_authenticate_by(self, method: AuthMethod) -> bool:
        """Whether the token endpoint takes that method from this client.

        An imported client that named no method, or one of CreateOAuthCredential, may use its secret either way, as it
        could where it came from (whmcs-api §6.3).
        """
        if self.source in ("import", "legacy") and "token_endpoint_auth_method" not in self.metadata:
            return method in ("client_secret_basic", "client_secret_post")
        return method == self.auth_method
