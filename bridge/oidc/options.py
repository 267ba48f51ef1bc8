"""What an installation may decide about its OpenID Provider."""

from dataclasses import dataclass
from typing import Literal

from bridge.errors import ConfigError

Registration = Literal["off", "token", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """All durations in seconds.  Raises ConfigError for values that would be unsafe."""

    enabled: bool = False
    """Whether there is an OpenID Provider at all.  The presets provider and whmcs turn it on."""

    id_token: int = 3_600
    """An ID token says of itself that it is over after this time."""

    jwks_max_age: int = 300
    """For how long clients may keep our public keys and our metadata without asking again."""

    key_rotation: int = 90 * 86_400
    """Signing keys are replaced when they are this old; 0: only by `login-bridge keys rotate`.  The new one is
    published for longer than jwks_max_age before it signs."""

    request_objects: bool = False
    """Whether an app may send its request as a JWT that it signed (the parameter `request`)."""

    request_uris: bool = False
    """Whether it may leave that at an address which it registered for it (`request_uri`); the bridge calls it then."""

    form_post: bool = True
    """Whether an answer may be carried to the client by a form (response_mode=form_post)."""

    implicit: bool = False
    """Whether ID tokens and access tokens may come back through the browser (response types id_token, id_token token).
    RFC 9700 advises against it: they lie in its history, and any script of that page can take them."""

    hybrid: bool = False
    """The same beside a code (code id_token, code token, code id_token token)."""

    frontchannel_logout: bool = False
    """Whether the page on which somebody has signed out loads the frontchannel_logout_uri of each app that he was
    signed in to, in frames.  backchannel_logout_uri needs no setting, and no cookies in frames."""

    session_management: bool = False
    """Whether apps may ask a page of ours, in a frame and without a request, if their user is still signed in
    (check_session_iframe).  In browsers that give no cookies to frames of other sites, apps of those hear
    "error", and nothing of sign-outs."""

    registration: Registration = "off"
    """Who may register apps by themselves (RFC 7591): nobody; who was given an initial access token (login-bridge
    registration add); or everybody ("open").  People are always asked before such an app learns anything."""

    registration_require_pkce: bool = True
    """Whether an app that registered itself must use PKCE.  Off is for the conformance suite, which does not."""

    registrations_per_hour: int = 20
    """So many may be registered, or changed, from one address (IPv6: from one /64) in an hour."""

    registrations_in_all: int = 1_000
    """The same from all addresses together, where everybody may register."""

    registration_unused: int = 7_776_000
    """An app that registered itself, and that nobody ever allowed anything, is forgotten after so long; 0: never."""

    visits_per_minute: int = 120
    """So many sign-ins and sign-outs of apps may be begun from one address (IPv6: from one /64) in a minute; those by
    a ticket too (sessions.ticket_origins)."""

    def __post_init__(self) -> None:
        wrong = [
            f"oidc.{name} must be {what}"
            for name, what, right in (
                ("id_token", "60 to 3600", 60 <= self.id_token <= 3_600),
                ("jwks_max_age", "0 to 86400", 0 <= self.jwks_max_age <= 86_400),
                ("registrations_per_hour", "1 to 1000000", 1 <= self.registrations_per_hour <= 1_000_000),
                ("registrations_in_all", "1 to 1000000", 1 <= self.registrations_in_all <= 1_000_000),
                (
                    "registration_unused",
                    "0, or 3600 and more",
                    self.registration_unused == 0 or self.registration_unused >= 3_600,
                ),
                (
                    "key_rotation",
                    "0, or 86400 to 315360000",
                    self.key_rotation == 0 or 86_400 <= self.key_rotation <= 315_360_000,
                ),
                ("visits_per_minute", "1 to 1000000", 1 <= self.visits_per_minute <= 1_000_000),
            )
            if not right
        ]
        if wrong:
            raise ConfigError("; ".join(wrong))
