"""What an installation may decide about its OpenID Provider."""

from dataclasses import dataclass

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """All durations in seconds.  Raises ConfigError for values that would be unsafe."""

    enabled: bool = False
    """Whether there is an OpenID Provider at all.  The presets provider and whmcs turn it on."""

    id_token: int = 3_600
    """An ID token says of itself that it is over after this time."""

    jwks_max_age: int = 300
    """For how long clients may keep our public keys and our metadata without asking again."""

    form_post: bool = True
    """Whether an answer may be carried to the client by a form (response_mode=form_post)."""

    visits_per_minute: int = 120
    """So many sign-ins and sign-outs of apps may be begun from one address (IPv6: from one /64) in a minute; those by
    a ticket too (sessions.ticket_origins)."""

    def __post_init__(self) -> None:
        wrong = [
            f"oidc.{name} must be {what}"
            for name, what, right in (
                ("id_token", "60 to 3600", 60 <= self.id_token <= 3_600),
                ("jwks_max_age", "0 to 86400", 0 <= self.jwks_max_age <= 86_400),
                ("visits_per_minute", "1 to 1000000", 1 <= self.visits_per_minute <= 1_000_000),
            )
            if not right
        ]
        if wrong:
            raise ConfigError("; ".join(wrong))
