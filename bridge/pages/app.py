"""The application that a person is on the way to, as the pages show it — openid-provider §7.2, security §17."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from bridge.clients.redirects import is_loopback
from bridge.domain import ascii_domain

_LONGEST_NAME = 80
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9a-fA-F:.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A client whose answer goes to `redirect_uri`; making one cleans what the client says of itself.

    Its name loses control and direction characters (they could rewrite the words around it); its addresses are dropped
    unless they are http or https: `javascript:` must not become a link.
    """

    name: str
    redirect_uri: str
    """Where the browser goes with the answer: shown as `host`, named by `form-action`."""
    verified: bool
    """False for a client that registered itself."""
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", plain(self.name) or self.host)
        for member in ("logo_uri", "policy_uri", "tos_uri"):
            object.__setattr__(self, member, _web(getattr(self, member)))

    @property
    def host(self) -> str:
        """Host and port as they are on the wire, so that a lookalike letter shows; else the private-use scheme."""
        parts = urlsplit(self.redirect_uri)
        return wire_host(self.redirect_uri) or parts.scheme

    @property
    def on_this_device(self) -> bool:
        """Whether the answer stays on the person's device: a private-use scheme or the loopback (RFC 8252 §7)."""
        parts = urlsplit(self.redirect_uri)
        return parts.scheme not in ("http", "https") or is_loopback(parts.hostname)


@lru_cache(maxsize=1_024)  # of the same few applications again and again
def wire_host(url: str) -> str:
    """`host` or `host:port` of a web address, in ASCII; "" if it has none that could be written so."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    host = ascii_domain(parts.hostname or "") or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return ""
    return f"[{host}]{port}" if ":" in host else host + port


def plain(name: str) -> str:
    """A name that somebody chose, on one line and without what nobody sees or what turns the words around it."""
    spaced = "".join(" " if letter.isspace() else letter for letter in name)
    kept = "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C")
    return " ".join(kept.split())[:_LONGEST_NAME]


def _web(url: str | None) -> str | None:
    return url if url and url.isprintable() and wire_host(url) else None
