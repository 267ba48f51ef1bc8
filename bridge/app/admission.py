"""Whom the bridge answers at all: this machine alone in the dev profile, else the hosts it was told — security §27."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from bridge.asgi import Scope, header

Admit = Callable[[Scope], str | None]
"""Why a request is not answered (421), or None."""

_FORWARDING: Final = (b"forwarded", b"x-forwarded", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-", b"via")
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:\[\]\s,@/]+)(?::\d{1,5})?", re.ASCII)
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


def local_only(scope: Scope) -> str | None:
    """The dev profile answers this machine only: a local Host, and no proxy in between."""
    if host_of(scope) not in _LOCAL:
        return "The dev profile answers to localhost, 127.0.0.1 and [::1] only."
    for key, _ in scope["headers"]:
        if key.startswith(_FORWARDING):
            return "The dev profile does not stand behind a proxy."
    return None


def hosts_only(names: Iterable[str]) -> Admit:
    """Answers to these hosts, on any port; without any, to all: nothing is ever built from Host."""
    known = frozenset(filter(None, map(_name_of, names)))

    def admit(scope: Scope) -> str | None:
        return None if not known or host_of(scope) in known else "This server does not answer to that name."

    return admit


def host_of(scope: Scope) -> str | None:
    """The name in the Host header, lower-case, without its port; None: there is none, or it cannot be one."""
    return _name_of(header(scope, b"host") or "")


@lru_cache(maxsize=1_024)
def _name_of(host: str) -> str | None:
    found = _HOST.fullmatch(host.strip(" \t").lower())
    return found["name"] if found else None
