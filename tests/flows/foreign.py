"""What no page of ours sends — W2."""

from typing import Final

FOREIGN: Final[list[dict[str, str | None]]] = [
    {"origin": "https://evil.example"},
    {"origin": "null", "sec_fetch_site": "cross-site"},
    {"origin": "null", "sec_fetch_site": None},
    {"origin": None, "sec_fetch_site": "same-site"},
    {"origin": None, "sec_fetch_site": "none"},
    {"sec_fetch_site": "cross-site"},
    {"origin": "https://login.example.com.evil.example"},
    {"origin": "http://login.example.com"},
    {"origin": "https://login.example.com:8443"},
    {"origin": "https://login.example.com, https://login.example.com"},
]
"""Headers of requests that did not come from our own page."""
