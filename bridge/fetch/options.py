"""What an installation may decide about the requests that the bridge makes."""

from dataclasses import dataclass
from pathlib import Path

from bridge.fetch.places import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """Apps name addresses that the bridge calls (a sign-out, say): only public ones, by https on port 443, unless
    listed here.  Raises ConfigError for what cannot be read."""

    allow: tuple[str, ...] = ()
    """What may be called besides: `app.internal` or `app.internal:8443` (a host, whatever its addresses are),
    `10.1.0.0/16:8443` (whoever has such an address), `*:8443` (any public address, at this port).  Without a port: 443.
    `http://127.0.0.1:9000` opens plain http, to one host at one port.
    It counts for every app: where apps may register themselves, a stranger can have the bridge call what is listed."""

    ca_file: Path | None = None
    """A PEM file of certificates to believe beside the system's."""

    def __post_init__(self) -> None:
        self.opened()

    def opened(self) -> tuple[Opened, ...]:
        """The list, as it is asked."""
        return tuple(Opened.parse(entry) for entry in self.allow)
