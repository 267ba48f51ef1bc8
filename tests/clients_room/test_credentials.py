"""API credentials: made, imported, found, checked, limited — whmcs-api §2.2, security §22, §30."""

import hashlib
import ipaddress
import re
from dataclasses import dataclass

import bcrypt
import pytest
from sqlalchemy import select

from bridge.clients.credential import Credential, Rights, SessionTerms, parse_networks
from bridge.clients.credentials import Credentials, CredentialTaken
from bridge.clock import SystemClock
from bridge.database.database import Database
from bridge.database.tables import api_credentials
from bridge.errors import Unavailable
from bridge.ring import Ring
from bridge.secret import Secret
from bridge.stores.versions import Versions
from bridge.testing.hands import Hands

NO_RIGHTS = Rights()


@dataclass
class Said:
    ok: bool
    upgrade: str | None = None


class PlainHasher:
    """Stands for the slow hashes: counts its runs, knows bcrypt and a slow form of its own."""

    def __init__(self) -> None:
        self.runs = 0

    async def verify(self, hashed: str | None, password: Secret, /) -> Said:
        self.runs += 1
        if hashed is None:
            return Said(ok=False)
        if hashed.startswith("$2"):
            ok = bcrypt.checkpw(password.reveal_bytes(), hashed.encode())
            return Said(ok, await self.hash(password) if ok else None)
        return Said(hashed == await self.hash(password))

    async def hash(self, password: Secret, /) -> str:
        return "$slow$" + hashlib.sha256(password.reveal_bytes()).hexdigest()


@pytest.fixture
def hasher() -> PlainHasher:
    return PlainHasher()


@pytest.fixture
def credentials(db: Database, ring: Ring, versions: Versions, clock: Hands, hasher: PlainHasher) -> Credentials:
    return Credentials(db=db, ring=ring, versions=versions, hasher=hasher, clock=clock)


async def test_identifier_and_secret_are_32_letters_and_digits(credentials: Credentials) -> None:
    made = await credentials.create("portal", NO_RIGHTS)
    assert re.fullmatch("[0-9A-Za-z]{32}", made.credential.identifier)
    assert re.fullmatch("[0-9A-Za-z]{32}", made.secret.reveal())
    assert await credentials.find(made.credential.identifier) == made.credential


async def test_a_secret_opens_its_own_credential_only(credentials: Credentials, hasher: PlainHasher) -> None:
    one, other = await credentials.create("one", NO_RIGHTS), await credentials.create("other", NO_RIGHTS)
    assert await credentials.check(one.credential, one.secret)
    assert not await credentials.check(other.credential, one.secret)
    assert not await credentials.check(one.credential, Secret(""))
    assert hasher.runs == 0  # a random secret needs no slow hash


async def test_what_is_given_is_kept_verbatim(credentials: Credentials) -> None:
    made = await credentials.create("old", NO_RIGHTS, identifier="D4j1dKYE", secret=Secret("F1CK"))
    found = await credentials.find("D4j1dKYE")
    assert found is not None and found == made.credential and await credentials.check(found, Secret("F1CK"))


async def test_an_imported_bcrypt_is_replaced_at_first_use(credentials: Credentials, hasher: PlainHasher) -> None:
    hashed = bcrypt.hashpw(b"F1CKGXRIp", bcrypt.gensalt(4)).decode()
    imported = await credentials.import_bcrypt("old", NO_RIGHTS, identifier="D4j1", hashed=hashed)
    assert not await credentials.check(imported, Secret("wrong"))
    assert await credentials.check(imported, Secret("F1CKGXRIp"))
    runs, found = hasher.runs, await credentials.find("D4j1")
    assert found is not None and not found.secret_hash.startswith("$2")
    assert await credentials.check(found, Secret("F1CKGXRIp")) and not await credentials.check(found, Secret("wrong"))
    assert hasher.runs == runs


async def test_an_admins_md5_lies_nowhere_as_it_is(credentials: Credentials, db: Database) -> None:
    md5 = hashlib.md5(b"admin password").hexdigest()
    made = await credentials.create_admin("boss", NO_RIGHTS, username="admin", md5=Secret(md5))
    assert await credentials.check(made, Secret(md5)) and not await credentials.check(made, Secret("0" * 32))
    assert md5 not in await _dump(db)


async def test_an_admins_bcrypt_is_over_his_md5_and_is_replaced(credentials: Credentials) -> None:
    md5 = hashlib.md5(b"admin password").hexdigest()
    hashed = bcrypt.hashpw(md5.encode(), bcrypt.gensalt(4)).decode()
    made = await credentials.create_admin("boss", NO_RIGHTS, username="admin", md5=Secret(hashed))
    assert await credentials.check(made, Secret(md5))
    found = await credentials.find("admin")
    assert found is not None and found.secret_hash.startswith("$slow$") and await credentials.check(found, Secret(md5))


@pytest.mark.parametrize("raw", ["admin password", "", "A" * 32, "$2y$10$short"])
async def test_an_admins_raw_password_is_not_taken_for_its_md5(credentials: Credentials, raw: str) -> None:
    with pytest.raises(ValueError, match="md5"):
        await credentials.create_admin("boss", NO_RIGHTS, username="admin", md5=Secret(raw))


async def test_the_database_holds_no_secret(credentials: Credentials, db: Database) -> None:
    made = await credentials.create("portal", NO_RIGHTS)
    assert made.secret.reveal() not in await _dump(db)


async def test_nobody_is_as_slow_as_an_admin(credentials: Credentials, hasher: PlainHasher) -> None:
    await credentials.check_nobody(Secret("0" * 32))
    assert hasher.runs == 1


async def test_only_a_bcrypt_is_imported_as_one(credentials: Credentials) -> None:
    with pytest.raises(ValueError, match="bcrypt"):
        await credentials.import_bcrypt("old", NO_RIGHTS, identifier="D4j1", hashed="F1CKGXRIp")


async def test_a_secret_outlives_the_key_it_was_hashed_with(db: Database, versions: Versions, clock: Hands) -> None:
    old, new = Ring.new_line("old"), Ring.new_line("new")

    def under(lines: str) -> Credentials:
        ring = Ring.parse(lines)
        return Credentials(db=db, ring=ring, versions=versions, hasher=PlainHasher(), clock=clock)

    made, later = await under(old).create("portal", NO_RIGHTS), under(new)
    assert not await later.check(made.credential, made.secret)
    assert await under(f"{new}\n{old}").check(made.credential, made.secret)
    moved = await later.find(made.credential.identifier)
    assert moved is not None and await later.check(moved, made.secret)


async def test_a_better_hash_that_cannot_be_written_does_not_refuse(
    credentials: Credentials, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = bcrypt.hashpw(b"F1CKGXRIp", bcrypt.gensalt(4)).decode()
    imported = await credentials.import_bcrypt("old", NO_RIGHTS, identifier="D4j1", hashed=hashed)
    monkeypatch.setattr(db, "begin", _away)
    assert await credentials.check(imported, Secret("F1CKGXRIp"))


@pytest.mark.parametrize("identifier", ["x" * 192, "a\nb"])
async def test_an_identifier_is_one_line_too(credentials: Credentials, identifier: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        await credentials.create("portal", NO_RIGHTS, identifier=identifier)


async def test_a_name_and_an_identifier_are_given_once(credentials: Credentials) -> None:
    await credentials.create("portal", NO_RIGHTS, identifier="one")
    with pytest.raises(CredentialTaken):
        await credentials.create("portal", NO_RIGHTS)
    with pytest.raises(CredentialTaken):
        await credentials.create("other", NO_RIGHTS, identifier="one")


async def test_disabled_says_so_and_removed_is_gone(credentials: Credentials) -> None:
    made = await credentials.create("portal", NO_RIGHTS)
    assert await credentials.disable("portal")
    assert [one.disabled for one in await credentials.list()] == [True]
    assert await credentials.enable("portal")
    found = await credentials.find(made.credential.identifier)
    assert found is not None and not found.disabled
    assert await credentials.remove("portal")
    assert await credentials.find(made.credential.identifier) is None
    assert not await credentials.remove("portal") and not await credentials.enable("portal")


async def test_its_rights_come_back_from_the_database(credentials: Credentials) -> None:
    rights = Rights.parse(
        allowed_ips=["203.0.113.9", "2001:db8::/32", "10.0.0.7/8"],
        actions=["ValidateLogin", "*"],
        sessions=SessionTerms(lifetime=600, idle=60, cap=2),
    )
    made = await credentials.create("portal", rights)
    found = await credentials.find(made.credential.identifier)
    assert found is not None and found == made.credential
    assert [str(network) for network in found.allowed_ips] == ["203.0.113.9/32", "2001:db8::/32", "10.0.0.0/8"]
    assert found.actions == {"validatelogin", "*"} and found.sessions.cap == 2


@pytest.mark.parametrize(
    ("address", "expected"),
    [("203.0.113.9", True), ("203.0.113.10", False), ("2001:db8::1", True), ("10.9.9.9", True), (None, False)],
)
def test_a_credential_may_come_from_its_own_list_only(address: str | None, expected: bool) -> None:
    networks = parse_networks(["::ffff:203.0.113.9", "2001:db8::/32", "::ffff:10.0.0.0/104"])
    credential = Credential(name="portal", identifier="i", allowed_ips=networks)
    assert credential.may_come_from(ipaddress.ip_address(address) if address else None) is expected


def test_without_a_list_it_may_come_from_anywhere() -> None:
    assert Credential(name="portal", identifier="i").may_come_from(None)


@pytest.mark.parametrize(
    ("actions", "action", "powerful", "expected"),
    [
        ([], "validatelogin", False, False),
        (["ValidateLogin"], "validatelogin", False, True),
        (["ValidateLogin"], "resetpassword", False, False),
        (["*"], "validatelogin", False, True),
        (["*"], "createssotoken", True, False),
        (["*", "CreateSsoToken"], "createssotoken", True, True),
    ],
)
def test_a_powerful_action_must_be_named(actions: list[str], action: str, powerful: bool, expected: bool) -> None:
    credential = Credential(name="portal", identifier="i", actions=Rights.parse(actions=actions).actions)
    assert credential.may_call(action, powerful=powerful) is expected


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "login.example.com", ""])
def test_what_is_no_address_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor CIDR"):
        Rights.parse(allowed_ips=[wrong])


@pytest.mark.parametrize("wrong", ["Validate Login", "", "x" * 65])
def test_what_is_no_action_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match="no name of an action"):
        Rights.parse(actions=[wrong])


def test_session_terms_are_positive() -> None:
    with pytest.raises(ValueError, match="idle"):
        SessionTerms(idle=0)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb"])
async def test_a_name_is_one_line(credentials: Credentials, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        await credentials.create(name, NO_RIGHTS)


async def test_an_identifier_that_could_not_exist_costs_no_read(ring: Ring, versions: Versions) -> None:
    nowhere = Database("sqlite:///nowhere/at/all.db", SystemClock())
    credentials = Credentials(db=nowhere, ring=ring, versions=versions, hasher=PlainHasher(), clock=SystemClock())
    assert await credentials.find("x" * 192) is None
    assert await credentials.find("a\x00b") is None


def _away() -> None:
    raise Unavailable("away")


async def _dump(db: Database) -> str:
    async with db.read() as tx:
        return repr([tuple(row) for row in await tx.execute(select(api_credentials))])
