"""Where a URL leads: TLS, users, sockets, Sentinel; never a library's own retry — spec/store.md §3, security.md §11."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry

from bridge.errors import ConfigError, Unavailable
from bridge.stores.acl import bridge_rules, satellite_rules
from bridge.stores.address import Address
from bridge.stores.guard import Window
from bridge.stores.memory import MemoryStore
from bridge.stores.redis import RedisStore
from bridge.stores.sqlite import SqliteStore
from bridge.stores.store import Add, Drop, Expect, Put, Swap, Tag, Take, Untag
from bridge.stores.url import guard_on, open_store
from bridge.testing.hands import Hands
from tests.servers import LOOPBACK, Server, free_port, redis, redis_binary, running
from tests.stores.servers import answers, certificates, emptied, opened, patient, say, started

PREFIX = "lb:01234567:"
SESSION, STAMP, CODE = f"{PREFIX}s:{{t}}:1", f"{PREFIX}v:{{t}}", f"{PREFIX}c:{{t}}:1"

URLS = [
    "redis://host",
    "rediss://user:word@host:6380/3?ssl_ca_certs=/etc/ca.pem",
    "unix:///run/redis.sock?db=2",
    "redis+sentinel://one:1,two:2,three/main?db=1",
    "rediss+sentinel://user:word@one:1,two:2/main/1?ssl_ca_certs=/etc/ca.pem&sentinel_password=other",
]


@pytest.mark.parametrize("url", URLS)
async def test_no_connection_tries_again_or_waits_long(url: str) -> None:
    """redis-py's default is ten more tries of five seconds; after a lost answer the winner would be told "conflict"."""
    address = Address(url)
    connection = address.connection()
    assert isinstance(connection, AbstractConnection)
    assert (connection.retry.get_retries(), connection.retry_on_error, connection.retry_on_timeout) == (0, [], False)
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (0.5, 0.5)
    for client in address.sentinels:
        retry = client.get_retry()
        assert isinstance(retry, Retry) and retry.get_retries() == 0
        theirs = client.connection_pool.connection_kwargs
        assert (theirs["socket_timeout"], theirs["socket_connect_timeout"]) == (0.5, 0.5)
    await address.close()


async def test_a_url_says_who_where_and_which_database() -> None:
    tls, unix = Address(URLS[1]).connection(), Address(URLS[2]).connection()
    assert (tls.username, tls.password, tls.db, vars(tls)["host"], vars(tls)["port"]) == (
        "user",
        "word",
        3,
        "host",
        6380,
    )
    assert (vars(unix)["path"], unix.db) == ("/run/redis.sock", 2)


async def test_a_sentinel_url_names_its_sentinels_and_its_service() -> None:
    address = Address(URLS[4])
    kwargs = [client.connection_pool.connection_kwargs for client in address.sentinels]
    assert [(theirs["host"], theirs["port"], theirs["password"]) for theirs in kwargs] == [
        ("one", 1, "other"),
        ("two", 2, "other"),
    ]
    connection = address.connection()
    assert (connection.username, connection.password, connection.db) == ("user", "word", 1)
    await address.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:geheim@host/x", "number"),
        ("redis://:geheim@host?socket_timeout=60", "socket_timeout"),
        ("redis://:geheim@host?retry_on_timeout=true", "retry_on_timeout"),
        ("redis://:geheim@host?db=x", "db"),
        ("redis://:geheim@host:notaport", "port"),
        ("rediss://:geheim@host?ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("redis+sentinel://:geheim@host:1", "service"),
        ("redis+sentinel://:geheim@host:x/main", "port"),
        ("mysql://:geheim@host", "mysql"),
        ("redis+cluster://:geheim@host", "cluster"),
        ("geheim", "no scheme"),
        ("sqlite://geheim/x", "sqlite:///"),
        ("sqlite:///", "sqlite:///"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        open_store(url, clock=Hands())
    assert "geheim" not in str(refused.value)


def test_each_url_makes_its_store() -> None:
    assert isinstance(open_store("memory://", clock=Hands()), MemoryStore)
    relative, absolute = (open_store(url, clock=Hands()) for url in ("sqlite:///var/s.db", "sqlite:////var/s%20t.db"))
    assert isinstance(relative, SqliteStore) and relative.path == Path("var/s.db")
    assert isinstance(absolute, SqliteStore) and absolute.path == Path("/var/s t.db")


async def test_a_unix_socket_leads_to_the_same_server(tmp_path: Path) -> None:
    with redis(redis_binary(), "--unixsocket", f"{tmp_path}/s") as server:
        async with opened(f"unix://{tmp_path}/s") as store:
            assert await store.commit(Add("lb:a:{t}", b"v", 10)) is True
        assert say(server.port, "GET", "lb:a:{t}") == b"$1\r\nv\r\n"


async def test_the_database_of_the_url_is_used(valkey_server: Server) -> None:
    url = emptied(valkey_server).url.removesuffix("/0")
    async with opened(url + "/3") as three, opened(url + "?db=3") as also_three, opened(url) as zero:
        assert await three.commit(Add("lb:a:{t}", b"v", 10)) is True
        assert [list(await store.read("lb:a:{t}")) for store in (also_three, zero)] == [[b"v"], [None]]


# ── users ──


@pytest.fixture(params=["redis_server", "valkey_server"])
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that knows a bridge and a satellite."""
    server: Server = emptied(request.getfixturevalue(request.param))
    for user, rules in (("bridge", bridge_rules(PREFIX)), ("satellite", satellite_rules(PREFIX))):
        assert say(server.port, "ACL", "SETUSER", user, "reset", "on", f">{user} word", *rules.split()) == b"+OK\r\n"
    say(server.port, "ACL", "LOG", "RESET")
    yield server
    say(server.port, "ACL", "DELUSER", "bridge", "satellite")


def as_user(server: Server, user: str) -> str:
    return f"redis://{user}:{user}%20word@{LOOPBACK}:{server.port}"


async def test_the_bridge_needs_no_more_than_its_rules(guarded: Server) -> None:
    async with opened(as_user(guarded, "bridge")) as store:
        await store.open()
        assert await store.commit(Add(SESSION, b"v", 10), Put(CODE, b"v", 10), Tag(f"{PREFIX}us:{{t}}", "m", 10))
        assert await store.commit(Swap(SESSION, b"v", b"w", 10), Take(CODE, b"v"), Expect(STAMP, None))
        assert await store.commit(Untag(f"{PREFIX}us:{{t}}", "m"), Drop(SESSION))
        assert await store.members(f"{PREFIX}us:{{t}}") == []
        assert list(await store.read(SESSION, CODE)) == [None, None]
        assert await store.identity()
        assert await store.eviction_policy() == "noeviction"
        guard, windows = guard_on(store, clock=Hands()), [Window(f"{PREFIX}rl:{{x}}", 1, 60)]
        assert [bool(await guard.admit(windows)) for _ in range(2)] == [False, True]
        await guard.refund(windows)
        await guard.clear(windows[0].key)
    assert say(guarded.port, "ACL", "LOG") == b"*0\r\n", "something was refused"


async def test_the_bridge_cannot_touch_another_instance(guarded: Server) -> None:
    async with opened(as_user(guarded, "bridge")) as store:
        for changes in ([Put("lb:another0:s:{t}", b"v", 10)], [Tag("lb:another0:us:{t}", "m", 10)]):
            with pytest.raises(Unavailable, match="refused"):
                await store.commit(*changes)


async def test_a_satellite_reads_sessions_and_stamps_and_nothing_else(guarded: Server) -> None:
    say(guarded.port, "MSET", SESSION, "session", STAMP, "stamp", CODE, "code")
    satellite = patient(open_store(as_user(guarded, "satellite"), clock=Hands(), reader=True))
    try:
        await satellite.open()
        assert (list(await satellite.read(SESSION, STAMP)), satellite.lost) == ([b"session", b"stamp"], False)
        assert await satellite.identity() == ""
        for wrong in (
            satellite.read(CODE),
            satellite.read(SESSION, CODE),
            satellite.commit(Put(SESSION, b"forged", 10)),
            satellite.commit(Drop(STAMP)),
            satellite.commit(Expect(SESSION, b"session")),
            satellite.members(f"{PREFIX}us:{{t}}"),
        ):
            with pytest.raises(Unavailable, match="refused"):
                await wrong
    finally:
        await satellite.close()
    assert say(guarded.port, "GET", SESSION) == b"$7\r\nsession\r\n"


ALLOWED = [
    ["PING"],
    ["GET", SESSION],
    ["MGET", SESSION, STAMP],
    ["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", PREFIX],
]
REFUSED = [
    ["SET", SESSION, "x"],
    ["DEL", STAMP],
    ["EXPIRE", SESSION, "1"],
    ["PERSIST", SESSION],
    ["GETDEL", SESSION],
    ["GETEX", SESSION, "EX", "1"],
    ["EVAL", "return redis.call('GET', KEYS[1])", "1", SESSION],
    ["GET", CODE],
    ["MGET", SESSION, CODE],
    ["KEYS", "*"],
    ["SCAN", "0"],
    ["FLUSHALL"],
    ["CONFIG", "GET", "*"],
    ["CLIENT", "LIST"],
    ["CLIENT", "KILL", "ID", "1"],
    ["ACL", "WHOAMI"],
    ["SUBSCRIBE", "x"],
    ["MONITOR"],
    ["INFO"],
]


@pytest.mark.parametrize("words", ALLOWED, ids=" ".join)
def test_what_a_satellite_may_say(guarded: Server, words: list[str]) -> None:
    answer = say(guarded.port, *words, before=[["HELLO", "3", "AUTH", "satellite", "satellite word"]])
    assert answer[:1] in b"+$*_"


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_a_satellite_may_not_say(guarded: Server, words: list[str]) -> None:
    answer = say(guarded.port, *words, before=[["HELLO", "3", "AUTH", "satellite", "satellite word"]])
    assert answer.startswith(b"-NOPERM")


async def test_a_wrong_password_is_said_without_it(guarded: Server) -> None:
    async with opened(f"redis://bridge:geheim@{LOOPBACK}:{guarded.port}") as store:
        with pytest.raises(Unavailable, match=r"(?i)wrongpass|invalid") as refused:
            await store.open()
    assert "geheim" not in str(refused.value)


async def test_a_bridge_that_may_not_ask_for_the_identity_does_not_start(guarded: Server) -> None:
    """Otherwise a rollback of the server would go unnoticed."""
    async with opened(as_user(guarded, "satellite")) as store:
        with pytest.raises(Unavailable, match="info"):
            await store.open()


# ── TLS ──


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server that speaks TLS only, and the folder with its authority."""
    folder, port = tmp_path_factory.mktemp("tls"), free_port()
    certificates(folder)
    command = [redis_binary(), "--port", "0", "--tls-port", str(port), "--bind", LOOPBACK, "--save", ""]
    command += ["--tls-cert-file", "server.pem", "--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.pem"]
    command += [
        "--tls-auth-clients",
        "no",
        *["--user", "bridge", "on", ">word", "~*", "+@all", "--user", "default", "off"],
    ]
    with running(command, folder=folder, ready=lambda: b"Ready to accept" in (folder / "log").read_bytes()):
        yield port, folder


async def test_tls_with_a_user_and_its_password(secured: tuple[int, Path]) -> None:
    port, folder = secured
    async with opened(f"rediss://bridge:word@{LOOPBACK}:{port}?ssl_ca_certs={folder}/ca.pem") as store:
        await store.open()
        outcomes = await asyncio.gather(*(store.commit(Add("lb:a:{t}", b"%d" % i, 10)) for i in range(10)))
        assert (sum(outcomes), await store.read("lb:b:{t}")) == (1, [None])


@pytest.mark.parametrize(
    "url",
    [
        "rediss://bridge:word@127.0.0.1:{port}",
        "rediss://bridge:word@localhost:{port}?ssl_ca_certs={folder}/ca.pem",
        "rediss://bridge:other@127.0.0.1:{port}?ssl_ca_certs={folder}/ca.pem",
        "rediss://127.0.0.1:{port}?ssl_ca_certs={folder}/ca.pem",
        "redis://bridge:word@127.0.0.1:{port}",
    ],
    ids=["unknown authority", "another name", "wrong password", "nobody", "no TLS"],
)
async def test_tls_is_checked(secured: tuple[int, Path], url: str) -> None:
    port, folder = secured
    async with opened(url.format(port=port, folder=folder)) as store:
        with pytest.raises(Unavailable):
            await store.open()
        for _ in range(20):  # redis-py does not wait for the end of a connection that was refused
            await asyncio.sleep(0.01)


# ── Sentinel ──


@pytest.mark.slow
async def test_sentinel_leads_to_the_new_primary_and_that_is_a_possible_loss(tmp_path: Path) -> None:
    ports = [free_port() for _ in range(3)]
    folders = [tmp_path / name for name in ("first", "second", "sentinel")]
    for folder in folders:
        folder.mkdir()
    (folders[2] / "conf").write_text(
        f"port {ports[2]}\nsentinel monitor main {LOOPBACK} {ports[0]} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    )
    with ExitStack() as stack:
        quick = ["--save", "", "--repl-diskless-sync-delay", "0"]
        primary = stack.enter_context(started(redis_binary(), ports[0], folders[0], *quick))
        replica = ["--replicaof", LOOPBACK, str(ports[0])]
        stack.enter_context(started(redis_binary(), ports[1], folders[1], *quick, *replica))
        command = [redis_binary(), "conf", "--sentinel"]
        stack.enter_context(
            running(
                command, folder=folders[2], ready=lambda: answers(ports[2]) and b"slaves=1" in say(ports[2], "INFO")
            )
        )
        async with opened(f"redis+sentinel://{LOOPBACK}:{ports[2]}/main") as store:
            assert await store.commit(Put("lb:a:{t}", b"v", 100)) is True
            assert not store.lost
            await _replicated(ports[1])
            primary.kill()
            primary.wait()
            assert await _when_available(store) == [b"v"]
            assert store.lost
            assert await store.commit(Swap("lb:a:{t}", b"v", b"w", 100)) is True
            assert say(ports[1], "GET", "lb:a:{t}") == b"$1\r\nw\r\n"


async def _when_available(store: RedisStore) -> list[bytes | None]:
    for _ in range(200):
        try:
            return list(await store.read("lb:a:{t}"))
        except Unavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("no primary came")


async def _replicated(port: int) -> None:
    for _ in range(100):
        if say(port, "GET", "lb:a:{t}") == b"$1\r\nv\r\n":
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the replica did not follow")
