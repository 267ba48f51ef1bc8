"""Servers that behave as badly as a test wants them to, with certificates of an authority of our own."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.fetch.fetch import Fetch
from bridge.fetch.options import FetchOptions
from bridge.types import IPAddress
from tests.patience import PATIENCE

NAME = "rp.test"
LOOPBACK = ip_address("127.0.0.1")

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority that nobody else believes."""

    folder: Path
    ca_file: Path

    def served(self) -> ssl.SSLContext:
        """A server's side, as `rp.test`."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "rp.pem", self.folder / "rp.key")
        return context


@dataclass(slots=True)
class Server:
    """One that listens, and what came to it."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}/there?a=b"


@dataclass(slots=True)
class Names:
    """A resolver that gives one answer after another, and counts how often it was asked."""

    answers: list[Sequence[IPAddress]] = field(default_factory=lambda: [[LOOPBACK]])
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        self.asked.append((host, port))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")
    own = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("an authority", own, issuer="an authority", by=own, ca=True)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate(NAME, key, issuer="an authority", by=own, ca=False)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (folder / "rp.pem").write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "rp.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return Authority(folder, folder / "ca.pem")


@asynccontextmanager
async def serving(behaviour: Behaviour, tls: ssl.SSLContext | None) -> AsyncIterator[Server]:
    """A server on loopback that reads a request's head, and then behaves."""
    server = Server(0)

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server.heard.append(await reader.readuntil(b"\r\n\r\n"))
            await behaviour(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the caller went away, as he should
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(met, str(LOOPBACK), 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def says(raw: bytes) -> Behaviour:
    """Answers that, and closes."""

    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return behave


def fetching(
    authority: Authority, *allow: str, names: Names | None = None, seconds: float = PATIENCE, believing: bool = True
) -> Fetch:
    options = FetchOptions(allow=allow, ca_file=authority.ca_file if believing else None)
    return Fetch(options, resolve=names or Names(), seconds=seconds)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, *, issuer: str, by: ec.EllipticCurvePrivateKey, ca: bool
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if not ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(by, hashes.SHA256())
