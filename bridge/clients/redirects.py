"""Which addresses a client may register — Registration 1.0 §2, RFC 8252 §7, RFC 9700 §4.1.

Where a registered address is matched against a requested one is `bridge.oidc.redirect`'s matter.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from bridge.asgi import origin_of
from bridge.clients.client import ApplicationType

LONGEST_URI: Final = 2_000
_URI: Final = re.compile(r"[!-~]+")
# Names as DNS has them.  Browsers send people to stranger ones too, which then stand on a page or in a policy of ours.
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# A browser runs or shows these itself; some of them with the rights of the page that sent it there.
_NEVER: Final = frozenset({"javascript", "data", "vbscript", "blob", "file", "filesystem", "about", "view-source"})
_ERROR: Final = frozenset({"error", "error_description", "error_uri"})
_TOKENS: Final = frozenset({"access_token", "token_type", "expires_in", "scope", "id_token"})
ANSWERS: Final = frozenset({"code", "state", "iss", "session_state", "response"}) | _TOKENS | _ERROR
"""What we may add to a redirect URI (RFC 6749 §4.1.2, §4.2.2; RFC 9207 §2; Session Management 1.0 §3)."""
GOODBYES: Final = frozenset({"state"})
"""What we may add to a post-logout redirect URI (RP-Initiated Logout 1.0 §3)."""


def redirect_problem(uri: str, application_type: ApplicationType, *, reverse_domain: bool = True) -> str | None:
    """What is wrong with that redirect URI of a client; None: nothing.

    `reverse_domain`: a private scheme must contain a period (RFC 8252 §7.1); imports are not asked for it.
    """
    parts = _split(uri)
    if isinstance(parts, str):
        return parts
    if "#" in uri:
        return "must not have a fragment"
    match parts.scheme:
        case "https":
            return None if parts.hostname else "names no host"
        case "http" if is_loopback(parts.hostname):
            return None
        case "http":
            return "must use https, unless its host is 127.0.0.1, [::1] or localhost"
        case scheme if scheme in _NEVER:
            return f"must not use the scheme {scheme}:"
        case _ if application_type == "web":
            return "must use https; a private scheme is for native clients"
        case scheme if reverse_domain and "." not in scheme:
            return "must use a scheme of its owner's domain, such as com.example.app:"
        case _:
            return None


def clash_problem(uri: str, ours: frozenset[str]) -> str | None:
    """Which parameter of ours that address has already; None: none.

    No parameter comes twice (RFC 6749 §3.1), and of two the client might read the one that we did not write.
    """
    named = {name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
    twice = sorted(named & ours)
    return f"must not have the parameter {twice[0]}, which is ours to add" if twice else None


def place_of(uri: str) -> str:
    """What a person sees of a redirect URI: the origin of whoever gets the answer, or its private scheme.  On his own
    device ports mean nothing, and an app takes another each time."""
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http"):
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.hostname}" if is_loopback(parts.hostname) else origin_of(uri)


def is_loopback(host: str | None) -> bool:
    """Whether that is the person's own device."""
    return host in _LOOPBACK


def link_problem(uri: str, *, https: bool = False) -> str | None:
    """What is wrong with an address that we show (`logo_uri`, say) or, with `https`, call; None: nothing."""
    parts = _split(uri)
    if isinstance(parts, str):
        return parts
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "must be an https address"
    if https and parts.scheme == "http" and not is_loopback(parts.hostname):
        return "must use https, unless its host is 127.0.0.1, [::1] or localhost"
    return "must not have a fragment" if https and "#" in uri else None


def only_https_problem(uri: str) -> str | None:
    """What is wrong with an address that must be https wherever it is (Registration 1.0 §2); None: nothing."""
    parts = _split(uri)
    if isinstance(parts, str):
        return parts
    return None if parts.scheme == "https" and parts.hostname else "must be an https address"


def _split(uri: str) -> SplitResult | str:
    if not _URI.fullmatch(uri) or len(uri) > LONGEST_URI or "\\" in uri:
        return f"must be a URI of at most {LONGEST_URI} characters, percent-encoded"
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises when it is none
    except ValueError:
        return "is no URI"
    if not parts.scheme:
        return "must be absolute"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if parts.scheme in ("https", "http") and parts.hostname and not _is_host(parts.hostname):
        return "must name its host by a DNS name or an IP address, as it is usually written"
    return parts


def _is_host(host: str) -> bool:
    """What ends in a number is an IPv4 address to browsers, however it is written (URL Standard §3.5)."""
    if _NAME.fullmatch(host) and not _NUMBER.fullmatch(host.rpartition(".")[2]):
        return True
    try:
        return "%" not in host and bool(ipaddress.ip_address(host))
    except ValueError:
        return False
