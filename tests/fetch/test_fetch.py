"""The one way out, against servers and resolvers that mean ill — security §16."""

import asyncio
import gzip
import socket
import subprocess
import sys
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.fetch.answers import MOST, Fetched, NotFetched
from bridge.fetch.fetch import Fetch
from bridge.fetch.options import FetchOptions
from tests.fetch.conftest import LOOPBACK, NAME, Authority, Names, fetching, says, serving
from tests.patience import PATIENCE, LetRun

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


async def test_what_lies_there_comes_with_its_status_and_headers(authority: Authority) -> None:
    async with serving(says(OK), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert found == Fetched(200, {"content-type": "application/json", "content-length": "2"}, b"{}")


async def test_the_request_names_the_host_and_the_path_and_carries_no_cookie(authority: Authority) -> None:
    async with serving(says(OK), authority.served()) as server:
        await fetching(authority, f"{NAME}:{server.port}").get(server.url, accept="application/jwk-set+json")
        head = server.heard[0].decode().split("\r\n")
    assert head[0] == "GET /there?a=b HTTP/1.1"
    assert f"Host: {NAME}:{server.port}" in head
    assert "Accept: application/jwk-set+json" in head
    assert not any(line.lower().startswith(("cookie:", "authorization:", "referer:")) for line in head)


async def test_a_form_is_posted_as_one(authority: Authority) -> None:
    bodies: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await reader.readexactly(len(b"logout_token=a.b%2Bc&x=%26")))
        await says(b"HTTP/1.1 204 No Content\r\n\r\n")(reader, writer)

    async with serving(behave, authority.served()) as server:
        fetch = fetching(authority, f"{NAME}:{server.port}")
        found = await fetch.post(server.url, [("logout_token", "a.b+c"), ("x", "&")])
    assert isinstance(found, Fetched)
    assert (found.status, bodies) == (204, [b"logout_token=a.b%2Bc&x=%26"])
    assert b"Content-Type: application/x-www-form-urlencoded" in server.heard[0]


async def test_whoever_lets_us_wait_for_a_name_makes_nobody_else_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a database, the store or a mail server is looked up there is still a thread."""
    answer = threading.Event()

    def slow(*_: object, **__: object) -> list[object]:
        answer.wait(600)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    fetch = Fetch(FetchOptions(), seconds=0.05)
    try:
        gets = (fetch.get(f"https://n{number}.example/") for number in range(50))
        assert set(await asyncio.gather(*gets)) == {NotFetched("slow")}
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.to_thread(lambda: "at once") == "at once"
    finally:
        answer.set()


async def test_a_resolver_that_changes_its_answer_is_asked_once_and_taken_at_its_word(authority: Authority) -> None:
    """First an address that is allowed; had it been asked again for the connection, one of somebody else's."""
    async with serving(says(OK), authority.served()) as server:
        names = Names([[LOOPBACK], [ip_address("127.0.0.2")]])
        found = await fetching(authority, f"127.0.0.1/32:{server.port}", names=names).get(server.url)
        assert isinstance(found, Fetched)
        assert names.asked == [(NAME, server.port)]
        again = await fetching(authority, f"127.0.0.1/32:{server.port}", names=names).get(server.url)
    assert again == NotFetched("not-allowed")
    assert len(server.heard) == 1


async def test_a_name_with_one_address_that_is_not_global_is_not_called(authority: Authority) -> None:
    async with serving(says(OK), authority.served()) as server:
        names = Names([[LOOPBACK, ip_address("169.254.169.254")]])
        found = await fetching(authority, f"127.0.0.1/32:{server.port}", names=names).get(server.url)
    assert (found, server.heard) == (NotFetched("not-allowed"), [])


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://0x7f.1/"])
async def test_this_machine_is_not_called_by_any_name(url: str) -> None:
    """By this machine's own resolver, which reads `0x7f.1` as 127.0.0.1."""
    assert await Fetch(FetchOptions()).get(url) == NotFetched("not-allowed")


@pytest.mark.parametrize(
    ("names", "reason"),
    [(Names([[]]), "unresolved"), (Names([[ip_address("127.0.0.3")]]), "unreachable")],
)
async def test_a_name_without_address_and_an_address_without_server_are_no_replies(
    authority: Authority, names: Names, reason: str
) -> None:
    found = await fetching(authority, f"{NAME}:9", names=names).get(f"https://{NAME}:9/")
    assert isinstance(found, NotFetched)
    assert found.reason == reason


async def test_a_name_that_the_resolver_does_not_know_is_no_reply(authority: Authority) -> None:
    async def unknown(host: str, port: int) -> list[object]:
        raise OSError("no such host")

    fetch = Fetch(FetchOptions(), resolve=unknown)  # type: ignore[arg-type]
    assert await fetch.get("https://rp.test/") == NotFetched("unresolved")


async def test_the_next_address_is_tried_where_the_first_does_not_answer(authority: Authority) -> None:
    async with serving(says(OK), authority.served()) as server:
        names = Names([[ip_address("127.0.0.3"), LOOPBACK]])
        found = await fetching(authority, f"{NAME}:{server.port}", names=names).get(server.url)
    assert isinstance(found, Fetched)


async def test_a_certificate_of_another_name_is_not_believed(authority: Authority) -> None:
    async with serving(says(OK), authority.served()) as server:
        found = await fetching(authority, f"other.test:{server.port}").get(f"https://other.test:{server.port}/")
    assert (found, server.heard) == (NotFetched("untrusted"), [])


async def test_an_authority_that_nobody_named_is_not_believed(authority: Authority) -> None:
    async with serving(says(OK), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}", believing=False).get(server.url)
    assert (found, server.heard) == (NotFetched("untrusted"), [])


async def test_a_server_without_tls_is_not_believed(authority: Authority) -> None:
    async with serving(says(OK), None) as server:
        found = await fetching(authority, f"{NAME}:{server.port}", seconds=0.3).get(server.url)
    assert isinstance(found, NotFetched)


async def test_plain_http_goes_where_the_operator_opened_it(authority: Authority) -> None:
    async with serving(says(OK), None) as server:
        fetch = fetching(authority, f"http://127.0.0.1:{server.port}")
        assert isinstance(await fetch.get(f"http://127.0.0.1:{server.port}/"), Fetched)
        assert await fetch.get(f"http://rp.test:{server.port}/") == NotFetched("not-allowed")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(authority: Authority, status: int) -> None:
    raw = f"HTTP/1.1 {status} Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".encode()
    async with serving(says(raw), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert found == NotFetched("redirected")
    assert len(server.heard) == 1


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 65537\r\n", b"", b"Transfer-Encoding: chunked\r\n"],
    ids=["announced", "until it closes", "in chunks"],
)
async def test_a_reply_of_more_than_64_kib_is_not_taken(authority: Authority, head: bytes) -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while True:  # without end, unless the caller goes away
            writer.write(b"1000\r\n" + b"x" * 4_096 + b"\r\n" if b"chunked" in head else b"x" * 4_096)
            await writer.drain()

    async with serving(behave, authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert found == NotFetched("too-big")


async def test_a_reply_of_64_kib_is_taken(authority: Authority) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MOST + b"x" * MOST
    async with serving(says(raw), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert isinstance(found, Fetched)
    assert len(found.body) == MOST


async def test_a_head_without_end_is_not_taken(authority: Authority) -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000)
        await asyncio.sleep(60)

    async with serving(behave, authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert found == NotFetched("garbled")


async def test_a_packed_reply_is_not_unpacked(authority: Authority) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    async with serving(says(raw), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
        assert b"Accept-Encoding: identity" in server.heard[0]
    assert found == NotFetched("encoded")


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
async def test_who_drips_is_left_after_the_time_for_all_of_it(authority: Authority, before: bytes) -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        while True:  # each byte alone comes soon enough
            writer.write(b" " if b"9" in before else b"X")
            await writer.drain()
            await asyncio.sleep(0.1)

    async with serving(behave, authority.served()) as server:
        with LetRun() as ran:
            found = await fetching(authority, f"{NAME}:{server.port}", seconds=0.4).get(server.url)
    assert found in (NotFetched("slow"), NotFetched("garbled"))
    assert ran.seconds < 2


async def test_a_resolver_that_hangs_is_left_after_the_time_for_all_of_it() -> None:
    async def hang(host: str, port: int) -> list[object]:
        await asyncio.sleep(60)
        return []

    fetch = Fetch(FetchOptions(), resolve=hang, seconds=0.1)  # type: ignore[arg-type]
    assert await fetch.get("https://rp.test/") == NotFetched("slow")


def test_the_time_for_all_of_it_is_three_seconds() -> None:
    assert Fetch(FetchOptions())._seconds == 3.0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_who_closes_early_or_speaks_something_else_gave_no_reply(authority: Authority, raw: bytes) -> None:
    async with serving(says(raw), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert found == NotFetched("garbled")


async def test_an_error_of_the_server_is_told_by_its_status(authority: Authority) -> None:
    raw = b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\nsecret"
    async with serving(says(raw), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert isinstance(found, Fetched)
    assert found.status == 500
    assert "secret" not in repr(found)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"])
async def test_no_proxy_of_the_environment_is_asked(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    async with serving(says(OK), authority.served()) as server:
        found = await fetching(authority, f"{NAME}:{server.port}").get(server.url)
    assert isinstance(found, Fetched)


def test_certificates_that_cannot_be_read_are_a_mistake_of_the_operators(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for file in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        with pytest.raises(ConfigError, match=r"fetch\.ca_file"):
            Fetch(FetchOptions(ca_file=file))


def test_who_calls_nobody_loads_nothing_for_it() -> None:
    program = (
        "import sys, bridge.fetch.fetch as f; from bridge.fetch.options import FetchOptions\n"
        "fetch = f.Fetch(FetchOptions()); assert 'h11' not in sys.modules; assert '_trust' not in vars(fetch)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_public_names_do_not_bring_it() -> None:
    program = "import sys, bridge; bridge.BridgeMiddleware; assert 'bridge.fetch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
