"""Where a browser may be sent: exactly where the client registered — RFC 6749 §3.1.2; RFC 9700 §2.1; RFC 8252 §7.3."""

import re
from collections.abc import Collection
from dataclasses import InitVar, dataclass
from typing import Final

# RFC 8252 §7.3: an app on the device cannot know its port beforehand.  `localhost` is no such name (§8.3): what it
# resolves to is not the device's own word.
_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?((?:[/?].*)?)", re.ASCII)

_HIGHEST_PORT: Final = 65_535


class NotRegistered(ValueError):
    """The client has no such address."""


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """A place we may send the browser.  Making one is the check.

    `registered`: the client's own addresses, compared character by character; `native`: an app on the person's device,
    whose port on the loopback does not matter.  Raises NotRegistered.
    """

    uri: str
    registered: InitVar[Collection[str]]
    native: InitVar[bool]

    def __post_init__(self, registered: Collection[str], native: bool) -> None:  # a dataclass's way
        if self.uri in registered:
            return
        wanted = _without_port(self.uri) if native else None
        if wanted is None or wanted not in {_without_port(uri) for uri in registered}:
            raise NotRegistered

    def with_query(self, encoded: str) -> str:
        """The address with these form-encoded parameters added to its own."""
        return f"{self.uri}{'&' if '?' in self.uri else '?'}{encoded}" if encoded else self.uri

    def with_fragment(self, encoded: str) -> str:
        """The address with these behind `#`, which browsers keep to themselves.  None is registered with one."""
        return f"{self.uri}#{encoded}"


def _without_port(uri: str) -> tuple[str, str] | None:
    match = _LOOPBACK.fullmatch(uri)
    return (match[1], match[3]) if match and int(match[2] or 0) <= _HIGHEST_PORT else None
