"""A dump of the store and of the database holds nothing that could be used — security §5, §9; S2."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from sqlalchemy import select

from bridge.database.tables import signing_keys
from bridge.ring import Ring
from bridge.secret import Secret
from tests.flows.mailbox import Mailbox
from tests.running import (
    ADA,
    NEW_PASSWORD,
    PASSWORD,
    PRODUCTION,
    SECRETS,
    TOTP,
    Furnished,
    Given,
    Site,
    in_process,
)
from tests.security.dump import found_in, of_database, of_files, of_redis
from tests.security.holdings import Holdings, Visiting, gather
from tests.servers import Server

SYMMETRIC = "5up3rs3cr3tOfASymmetricClient00xyz"


@pytest.fixture(params=["sqlite", "redis"])
async def site(request: pytest.FixtureRequest, database: Furnished, mailbox: Mailbox) -> AsyncIterator[Site]:
    """An issuer that was never on this Redis, so that its part is all its own."""
    more: Given = {("mail", "url"): f"file:{mailbox.folder}"}
    if request.param == "redis":
        server: Server = request.getfixturevalue("valkey_server")
        more = {**more, ("store", "url"): server.url, ("server", "base_url"): f"https://{uuid.uuid4().hex}.example.com"}
    else:
        more = {**more, ("store", "url"): f"sqlite:///{database.file.with_name('store.db')}"}
    async with in_process(database, given=PRODUCTION, more=more) as site:
        yield site


async def dumps(site: Site) -> tuple[bytes, bytes]:
    """The store, the database."""
    rooms, config = site.bridge.rooms, site.bridge.config
    await rooms.audit.flush()
    database = rooms.database.address.file
    assert database is not None
    sql = of_files(database) + await of_database(rooms.database)
    url = config.store.url
    if url.startswith("redis"):
        return await asyncio.to_thread(of_redis, url, rooms.names.prefix), sql
    return of_files(database.with_name("store.db")), sql


async def private_keys(site: Site) -> dict[str, bytes]:
    """A line of each as PEM, and the number that makes it private."""
    rooms, found = site.bridge.rooms, dict[str, bytes]()
    async with rooms.database.read() as tx:
        rows = (await tx.execute(select(signing_keys))).all()
    for row in rows:
        pem = rooms.ring.open(row.private_enc, "signing_keys", "private_enc", row.kid)
        assert pem is not None and pem.startswith(b"-----BEGIN")
        key = serialization.load_pem_private_key(pem, None)
        found |= {f"{row.alg} pem": pem.splitlines()[1], f"{row.alg} number": _number(key)}
    assert len(found) == 6
    return found


def _number(key: object) -> bytes:
    """What makes it private."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes_raw()
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    numbers = key.private_numbers()
    number = numbers.d if isinstance(numbers, rsa.RSAPrivateNumbers) else numbers.private_value
    return number.to_bytes(key.key_size // 8, "big")


async def everything(site: Site, held: Holdings) -> dict[str, str | bytes]:
    """What we gave away or were given, and what we keep."""
    master, slot = SECRETS[("secrets", "master")], SECRETS[("secrets", "slot")]
    ring = Ring.parse(master)
    return {
        **held.tokens,
        "id token's signature": held["id_token"].rpartition(".")[2],
        "new password": NEW_PASSWORD,
        "TOTP secret": TOTP,
        "master key": master.partition(":")[2],
        "slot key": slot,
        "a derived key": next(iter(ring.subkeys("record-mac").values())),
        "a symmetric client's secret": SYMMETRIC,
        **await private_keys(site),
    }


async def test_neither_holds_what_was_given_away(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    symmetric = {"client_id": "old", "client_secret": SYMMETRIC, "redirect_uris": ["https://old.example/cb"]}
    await site.bridge.rooms.clients.import_(symmetric)
    user = await site.person("new@example.com")
    assert await site.bridge.rooms.users.set_password(user, Secret(NEW_PASSWORD)) is not None
    secrets = await everything(site, held)
    store, sql = await dumps(site)
    assert b'"client":"notes"' in store and ADA.encode() in sql and user.sub.encode() in sql  # they are dumps
    assert found_in(store, secrets.items()) == []
    assert found_in(sql, secrets.items()) == []


async def test_nor_right_after_a_rotation(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    """§9: the tombstone holds the successor so that only who shows the predecessor can open it."""
    held = await gather(site, visit, mailbox)
    secrets = {"first access": held["access"], "first refresh": held["refresh"]}
    rotated = (await held.app.refresh(held["refresh"])).json()
    again = (await held.app.refresh(held["refresh"])).json()  # within the grace: the very same
    assert rotated["refresh_token"] == again["refresh_token"] and rotated["access_token"] == again["access_token"]
    secrets |= {"next access": rotated["access_token"], "next refresh": rotated["refresh_token"]}
    redeemed = (await held.app.redeem(held["code"])).json()
    secrets |= {"code": held["code"], "its access": redeemed["access_token"], "its refresh": redeemed["refresh_token"]}
    store, sql = await dumps(site)
    assert found_in(store, secrets.items()) == [] and found_in(sql, secrets.items()) == []


async def test_nor_after_a_password_changed_by_a_link(site: Site, visit: Visiting, mailbox: Mailbox) -> None:
    held = await gather(site, visit, mailbox)
    browser = visit(site)
    await browser.open(f"/reset/t/{held['reset']}")
    nonce = browser.form("new-password-submit").fields["nonce"]
    await browser.press("new-password-submit", new_password=NEW_PASSWORD, new_password_again=NEW_PASSWORD)
    assert browser.at == "/login?reset=done"
    await browser.sign_in(ADA, NEW_PASSWORD)
    cookies = {f"cookie {name}": value for name, value in browser.jar.items()}
    secrets = {"old": PASSWORD, "new": NEW_PASSWORD, "link": held["reset"], "nonce": nonce, **cookies}
    store, sql = await dumps(site)
    assert found_in(store, secrets.items()) == [] and found_in(sql, secrets.items()) == []
