"""What the store remembers of a browser's visit in several steps — DESIGN §4, security §26.

The client's own words are in here too, so that the pages need to ask nobody.  Times are Unix seconds.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from bridge.clients.redirects import place_of
from bridge.sessions.ticket import TicketWish
from bridge.types import ClientId

LIFETIME: Final = 1_800
"""Seconds (DESIGN §11)."""

MEMORY: Final = 600.0
"""Seconds for which a finished one is remembered, so that no late copy brings it back (store §2, rule 2)."""

InteractionKind = Literal["authorize", "logout", "ticket"]
"""On the way to an OpenID client, out, or to an app on another host."""

Step = Literal["login", "account", "consent", "deny"]
"""What a person may answer: signed in just now, "it is me", allowed, or turned back."""

_DEAD: Final = b"0."


class Display(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The application at whose request the visit takes place, as it describes itself; nothing of it is checked."""

    client: ClientId
    """For an app on another host, which is no client, its origin."""
    name: str
    redirect_uri: str
    """A checked target; the origin that `form-action` must name."""
    verified: bool
    """False: it registered itself (security §17)."""
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None

    @property
    def place(self) -> str | None:
        """Where the answer goes, if that is part of what the person allows here."""
        return None if self.verified else place_of(self.redirect_uri)


class Answer(Struct, frozen=True, kw_only=True):
    """One step that was taken, and under which session: another session's answer is nobody's."""

    session: str | None
    """The session's `id`."""
    at: int


class Logout(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A checked wish to be signed out (RP-Initiated Logout 1.0 §2)."""

    target: str | None = None
    """Where the browser goes afterwards, `state` included; None: to our own page."""
    hinted: bool = False
    """A genuine ID token came along."""
    sid: str | None = None
    """The session that the token was given under, as its client knows it."""

    def means(self, clients: dict[ClientId, str], client: ClientId | None) -> bool:
        """Whether it is about this very session (its record's `clients`): then nothing need be asked."""
        return self.hinted and client is not None and self.sid is not None and clients.get(client) == self.sid


class Interaction(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One visit."""

    kind: InteractionKind
    binding: str
    """SHA-256 of the browser's `__Host-lb_pre`."""
    successor: str = ""
    """SHA-256 of what the cookie carries that a sign-in puts in its place; empty: the visit is somebody's."""
    until: int
    app: Display | None = None
    parameters: dict[str, str] = {}
    """The request as it came, each parameter once; it is parsed again at every return."""
    scopes: tuple[str, ...] = ()
    """What the consent page lists."""
    claims: tuple[str, ...] = ()
    """What it lists by name, beside what the scopes give."""
    login_hint: str = ""
    ui_locales: str = ""
    answers: dict[Step, Answer] = {}
    logout: Logout | None = None
    ticket: TicketWish | None = None


class Finished(Struct, frozen=True, kw_only=True, tag="used"):
    """The trace of one that led to its end.  `by` makes each one unique (store §3, no. 4)."""

    at: int
    by: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Interaction).decode


def encode(interaction: Interaction) -> bytes:
    """As it lies in the store."""
    return _encode(interaction)


def encode_finished(finished: Finished) -> bytes:
    """What lies there afterwards."""
    return _DEAD + _encode(finished)


def decode(raw: bytes | None) -> Interaction | None:
    """A visit that goes on; None: absent, finished or unreadable."""
    if raw is None or raw.startswith(_DEAD):
        return None
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
