"""What an installation may decide about its sessions, with safe values — DESIGN §6, sessions-and-accounts §3.6."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from bridge.asgi import is_origin
from bridge.errors import ConfigError
from bridge.stores.store import LONGEST_TTL

IpCheck = Literal["subnet", "exact", "off"]
TokenSource = Literal["cookie", "bearer", "host-session"]

_COOKIE_NAME: Final = re.compile(r"(?!__|lb_)[A-Za-z0-9_-]{1,64}", re.ASCII)
_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.ASCII)

SHORTEST_MEMORY: Final = 600
"""Seconds for which what was ever added stays in the store: a late copy of its `Add` may arrive (store §2, rule 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """All durations in seconds.  Raises ConfigError for values that contradict one another."""

    idle: int = 1_800
    """A session that is not used for this long is over."""

    absolute: int = 43_200
    """A session is over this long after its login, however busy it is."""

    longest: int = 30 * 86_400
    """No session lives longer than this, whatever an API credential asks for."""

    keep_signed_in: bool = True
    """Whether the login page offers to keep a browser signed in.  When its session is over the person then only says
    that it is still he; what protects his account asks for his password all the same."""

    keep_signed_in_seconds: int = 30 * 86_400
    """For how long after the sign-in; never longer than `longest`."""

    cap: int = 20
    """How many sessions a user may have at once through one door or API credential; the oldest goes first."""

    touch_interval: int = 60
    """At most one write per session in this time (or in a tenth of its idle time, if that is longer)."""

    ip_check: IpCheck = "subnet"
    """How a session that is bound to an address checks it: its subnet (/24, IPv6 /64), the exact address, or not."""

    bind_browser_ip: bool = False
    """Whether a session made at the login page is bound to the browser's address."""

    unused: int = 600
    """A session from ValidateLogin that is never used lapses after this time."""

    legacy_at_issuer: bool = False
    """Whether a token from ValidateLogin is the person at the issuer's pages.  Unsafe: whoever reads a portal's session
    files can then sign in to every connected app."""

    cookie_name: str = "login_auth_tk"
    """The apps' cookie, without its `__Host-` or `__Secure-`."""

    shared_domain: str | None = None
    """A domain whose subdomains share the apps' cookie.  Every one of them can then read it and set it."""

    sources: tuple[TokenSource, ...] = ("cookie",)
    """Where the middleware looks for a token.  bearer: `Authorization: Bearer`; host-session: the key `cookie_name` of
    the app's own session, which must be kept on the server and replaced at login.  Two tokens at once are nobody."""

    allowed_origins: tuple[str, ...] = ()
    """Origins, beside the request's own host, whose pages may open a WebSocket as the signed-in user."""

    ticket_origins: tuple[str, ...] = ()
    """Origins (https://app.example.net) of apps on other hosts that may be given a session of their own by a ticket:
    the `origin` of their BridgeMiddleware.  Whoever runs one of them has that session of everybody who goes there."""

    ticket_lifetime: int = 30
    """Such a ticket is over after this time, and after its first use."""

    remember: int = 86_400
    """How long a browser session that lapsed stays in the store, so that its owner is told why he must sign in."""

    remember_ended: int = 30 * 86_400
    """How long the reason of an ended session is kept."""

    def __post_init__(self) -> None:
        wrong = [
            f"sessions.{name} must be {what}"
            for name, what, right in (
                ("idle", "between 60 and sessions.absolute", 60 <= self.idle <= self.absolute),
                ("absolute", "at most sessions.longest", self.absolute <= self.longest),
                ("longest", "at most 180 days", self.longest <= LONGEST_TTL / 2 - 20 * 86_400),
                ("keep_signed_in_seconds", "at least 600", self.keep_signed_in_seconds >= SHORTEST_MEMORY),
                ("cap", "at least 1", self.cap >= 1),
                ("touch_interval", "at least 1 and below sessions.idle", 1 <= self.touch_interval < self.idle),
                ("unused", "at least 60", self.unused >= 60),
                ("cookie_name", "letters, digits, _ and -", _COOKIE_NAME.fullmatch(self.cookie_name) is not None),
                ("shared_domain", "a domain name", _DOMAIN.fullmatch(self.shared_domain or "a.b") is not None),
                ("sources", "cookie, bearer or host-session, each once", len(set(self.sources)) == len(self.sources)),
                ("ticket_origins", "like https://app.example.net or …:8443", all(map(is_origin, self.ticket_origins))),
                ("ticket_lifetime", "5 to 120", 5 <= self.ticket_lifetime <= 120),
                ("remember", "0 to 30 days", 0 <= self.remember <= 30 * 86_400),
                ("remember_ended", "600 to 180 days", SHORTEST_MEMORY <= self.remember_ended <= 180 * 86_400),
            )
            if not right
        ]
        if wrong:
            raise ConfigError("; ".join(wrong))

    @property
    def stamp_ttl(self) -> float:
        """For how long a published stamp stays: longer than any session that compares with it (security §3)."""
        return 2.0 * self.longest + self.remember

    @property
    def ended_ttl(self) -> float:
        """For how long "ended" stays: until nothing under the session could live, and its reason is known."""
        return float(max(self.remember_ended, self.longest + SHORTEST_MEMORY))
