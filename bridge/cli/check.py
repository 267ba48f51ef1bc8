"""`login-bridge check`: every mistake at once, and what is allowed but should be known — DESIGN §10."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import typer

from bridge.app.eviction import drops
from bridge.app.production import refuse_the_demo
from bridge.app.rooms import Rooms
from bridge.asgi import Proxies
from bridge.cli.output import AsJson, ConfigFile, say
from bridge.cli.rooms import close, closed
from bridge.cli.user import all_users
from bridge.clients.client import Client
from bridge.clients.redirects import is_loopback
from bridge.config import Config
from bridge.config.config import PROXY_UNNAMED
from bridge.config.keyfiles import others_may_read
from bridge.database.revision import check_revision
from bridge.errors import BridgeError, ConfigError
from bridge.stores.canary import try_writing

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or that somebody should know."""

    level: Level
    what: str


def check(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Look at settings, secrets, database, store and clients; fails if anything is wrong."""
    found = asyncio.run(findings(config))
    wrong = sum(finding.level == "error" for finding in found)
    lines = [f"{finding.level}: {finding.what}" for finding in found]
    both = f"{_counted(wrong, 'error')}, {_counted(len(found) - wrong, 'warning')}"
    lines.append(both if found else "everything is in order")
    value = {"ok": not wrong, "findings": [{"level": each.level, "what": each.what} for each in found]}
    say(value, "\n".join(lines), as_json=as_json)
    if wrong:
        raise typer.Exit(1)


async def findings(file: Path | None) -> list[Finding]:
    """All of them, errors first.  Where the settings cannot be read nothing else can be looked at."""
    try:
        settings = Config.discover(file)
        with warnings.catch_warnings(record=True) as warned:
            rooms = closed(settings)
    except ConfigError as error:
        return [Finding("error", line) for line in str(error).splitlines()]
    found = [Finding("warning", str(each.message)) for each in warned]
    found += [*_about_settings(settings), *_about_files(settings), *_about_doors(rooms)]
    try:
        for look in (_about_database, _about_store):
            found += [finding async for finding in look(rooms)]
        if all(finding.level != "error" for finding in found):
            found += [finding async for finding in _about_both(rooms)]
    finally:
        await close(rooms)
    return sorted(found, key=lambda finding: get_args(Level).index(finding.level))


def _about_settings(settings: Config) -> Iterator[Finding]:
    unusual: Iterable[tuple[Any, str]] = (
        (not settings.base_url.startswith("https://"), f"server.base_url {settings.base_url} is not https"),
        (
            settings.dev and not is_loopback(settings.server.host),
            "server.host: the dev profile is for this machine only",
        ),
        (_everybody(settings), "server.trusted_proxies believes the whole internet: anybody can claim any address"),
        (not settings.dev and settings.mail.url == "console:", "mail.url is console: every reset link is in the log"),
        (settings.sessions.shared_domain, "sessions.shared_domain: every host below it can read and set the cookie"),
        (settings.sessions.legacy_at_issuer, "sessions.legacy_at_issuer: a portal's session files open every app"),
        (settings.legacy.enabled and settings.legacy.autoauth == "sha1", "legacy.autoauth: sha1 says nothing of goto"),
        (settings.legacy.enabled and settings.legacy.admin_md5_login, "legacy.admin_md5_login: that md5 is a password"),
        (settings.oidc.registration == "open", "oidc.registration is open: anybody may register apps"),
        (
            settings.oidc.registration == "open" and settings.fetch.allow,
            "fetch.allow: anybody may register an app, and so have the bridge call what is listed there",
        ),
        (not settings.oidc.registration_require_pkce, "oidc.registration_require_pkce is off: codes can be stolen"),
        (settings.oidc.implicit, "oidc.implicit: tokens lie in the browser's history (RFC 9700)"),
        (settings.oidc.hybrid, "oidc.hybrid: tokens lie in the browser's history (RFC 9700)"),
        (settings.legacy.enabled and settings.legacy.allow_get, "legacy.allow_get: passwords in queries reach logs"),
    )
    if settings.proxy_unnamed:
        yield Finding("error", PROXY_UNNAMED)
    yield from (Finding("warning", text) for true, text in unusual if true)


def _about_files(settings: Config) -> Iterator[Finding]:
    for name in ("secrets.master", "secrets.slot"):
        path = settings.files.get(name)
        if path is not None and others_may_read(path):
            yield Finding("warning", f"{path} ({name}) can be read by others: chmod 600 {path}")
    if settings.server.tls_cert is not None and settings.server.tls_key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.server.tls_cert, settings.server.tls_key
            )
        except OSError as error:  # ssl.SSLError is one
            yield Finding("error", f"server.tls_cert, server.tls_key: {error.strerror or error}")


def _about_doors(rooms: Rooms) -> Iterator[Finding]:
    from bridge.app.doors import make_doors  # noqa: PLC0415  every other command does without them

    try:
        make_doors(rooms, proxies=Proxies(rooms.config.server.trusted_proxies), actions=())
    except ConfigError as error:
        yield from (Finding("error", line) for line in str(error).splitlines())


async def _about_database(rooms: Rooms) -> AsyncIterator[Finding]:
    try:
        await rooms.database.open()
        await check_revision(rooms.database)
        await rooms.keyring.refresh()
        users, clients = await all_users(rooms), await rooms.clients.list()
    except BridgeError as error:
        yield Finding("error", f"database: {error}")
        return
    if any(rooms.slots.of_user(user.id) != user.tag for user in users):
        yield Finding("error", "secrets.slot is not the slot key under which this database was made")
    try:
        await refuse_the_demo(rooms)
    except ConfigError as error:
        yield Finding("error", str(error))
    for client in clients:
        for finding in _about_client(client):
            yield finding


def _everybody(settings: Config) -> bool:
    return any(network.prefixlen == 0 for network in settings.server.trusted_proxies)


def _about_client(client: Client) -> Iterator[Finding]:
    if client.disabled:
        return
    if not client.require_pkce:
        yield Finding("warning", f"client {client.client_id} ({client.name}) need not use PKCE")
    if client.allow_query_token:
        yield Finding("warning", f"client {client.client_id} ({client.name}) may send tokens in queries")


async def _about_store(rooms: Rooms) -> AsyncIterator[Finding]:
    try:
        await rooms.raw_store.open()
        if dropping := await drops(rooms.raw_store):
            yield Finding("error", dropping)
        await try_writing(rooms.raw_store, rooms.names)
    except BridgeError as error:
        yield Finding("error", f"store: {error}")


async def _about_both(rooms: Rooms) -> AsyncIterator[Finding]:
    try:
        await rooms.versions.refuse_an_older_truth()
    except BridgeError as error:
        yield Finding("error", str(error))


def _counted(number: int, what: Level) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
