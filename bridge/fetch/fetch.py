"""The one way out: resolve once, look at every address, connect to that very address — security §16.

A name could lead somewhere else when it is asked again; so it is asked once.  TLS and `Host` still speak of the name.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Final
from urllib.parse import urlencode

from bridge.errors import ConfigError
from bridge.fetch.answers import Fetched, NotFetched
from bridge.fetch.options import FetchOptions
from bridge.fetch.places import Target, may_call
from bridge.types import IPAddress

SECONDS: Final = 3.0
"""For all of it: names, connection, TLS, request and reply."""
_MOST_ADDRESSES: Final = 4
_QUESTIONS: Final = 8
"""To name servers, at one time."""

Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
"""The addresses of a host.  Raises OSError."""


class Resolver:
    """As this machine knows it.

    In threads of its own: whoever owns a name may let us wait for it, and in the threads that all share the database,
    the store and the mail server are looked up.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_QUESTIONS, thread_name_prefix="names")

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


class Fetch:
    """Calls addresses that others named.  Asks no proxy, follows nobody, brings no cookie and keeps nothing open."""

    def __init__(self, options: FetchOptions, *, resolve: Resolve | None = None, seconds: float = SECONDS) -> None:
        """Raises ConfigError for certificates that cannot be read."""
        self._ca_file = options.ca_file
        self._opened = options.opened()
        self._resolve = resolve or Resolver()
        self._seconds = seconds
        if self._ca_file is not None:
            _ = self._trust  # now rather than in the middle of somebody's sign-out

    async def get(self, url: str, *, accept: str = "application/json") -> Fetched | NotFetched:
        """What lies there."""
        return await self._call(url, accept=accept)

    async def post(self, url: str, fields: Sequence[tuple[str, str]]) -> Fetched | NotFetched:
        """What is said to a form."""
        return await self._call(url, form=urlencode(fields).encode())

    async def _call(self, url: str, *, accept: str = "*/*", form: bytes | None = None) -> Fetched | NotFetched:
        target = Target.parse(url)
        if target is None:
            return NotFetched("not-allowed")
        try:
            async with asyncio.timeout(self._seconds):
                return await self._whole(target, accept, form)
        except TimeoutError:
            return NotFetched("slow")

    async def _whole(self, target: Target, accept: str, form: bytes | None) -> Fetched | NotFetched:
        try:
            addresses = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            return NotFetched("unresolved")
        if not addresses:
            return NotFetched("unresolved")
        if not may_call(target, addresses, self._opened):
            return NotFetched("not-allowed")
        connected = await self._connect(target, addresses[:_MOST_ADDRESSES])
        if isinstance(connected, NotFetched):
            return connected
        reader, writer = connected
        try:
            from bridge.fetch.exchange import exchange  # noqa: PLC0415  a library comes only where it is used

            return await exchange(target, reader, writer, accept=accept, form=form)
        except OSError:
            return NotFetched("garbled")
        finally:
            writer.transport.abort()  # nobody is waited for who may never say goodbye

    async def _connect(
        self, target: Target, addresses: Sequence[IPAddress]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | NotFetched:
        """To the first address that takes us.  Nothing was said yet, so trying the next one says nothing twice."""
        tls = self._trust if target.scheme == "https" else None
        for address in addresses:
            try:
                return await asyncio.open_connection(
                    str(address), target.port, ssl=tls, server_hostname=target.host if tls else None
                )
            except ssl.SSLError:
                return NotFetched("untrusted")
            except OSError:
                continue
        return NotFetched("unreachable")

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context()
            if self._ca_file is not None:
                context.load_verify_locations(self._ca_file)
        except OSError as error:
            raise ConfigError(f"fetch.ca_file: {self._ca_file}: {error.strerror or type(error).__name__}") from None
        return context
