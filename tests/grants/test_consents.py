"""Consents: the truth in SQL, a copy in the store that never hides a withdrawal — store §2, rule 7; security §20."""

from collections.abc import Sequence

import anyio
import pytest
from sqlalchemy import insert

from bridge.database.consents import ConsentRow, ConsentRows
from bridge.database.database import Database
from bridge.database.tables import users
from bridge.errors import Unavailable
from bridge.grants.consents import COPY_TTL, Consents, read_copy
from bridge.grants.terms import Invalid, Tokens
from bridge.sessions.stamp import draw_stamp
from bridge.stores.store import Put, Store
from bridge.types import ClientId, SlotTag, Stamp, UserId
from tests.grants.scene import OTHER, SHOP, Scene


async def _known(scene: Scene, db: Database) -> None:
    row = {"id": scene.user, "tag": scene.tag, "sub": "sub-7", "email": "a@example.com", "email_key": "a@example.com"}
    now = {"stamp_changed_at": 0, "created_at": 0, "updated_at": 0}
    async with db.begin() as tx:
        await tx.execute(insert(users).values(**row, **now, stamp=scene.stamp))


def _consents(scene: Scene, db: Database, store: Store | None = None) -> Consents:
    return Consents(store=store or scene.store, names=scene.names, rows=ConsentRows(db), families=scene.families)


async def _copy(scene: Scene, client: ClientId = SHOP) -> object:
    (raw,) = await scene.store.read(scene.names.consent(scene.tag, client))
    return read_copy(raw, scene.stamp)


@pytest.fixture
async def scene(db: Database) -> Scene:
    scene = Scene()
    await _known(scene, db)
    return scene


async def test_what_was_granted_stays_granted_and_grows(scene: Scene, db: Database) -> None:
    consents = _consents(scene, db)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid", "email"])
    await consents.grant(scene.user, scene.tag, SHOP, ["phone", "email"])
    copy = read_copy((await scene.store.read(scene.names.consent(scene.tag, SHOP)))[0], scene.stamp)
    assert copy is not None and (copy.version, copy.scopes) == (2, ("openid", "email", "phone"))
    assert copy.covers(["phone"]) and not copy.covers(["address"])
    assert [(row.client, row.scopes) for row in await consents.list_of(scene.user)] == [
        (SHOP, ("openid", "email", "phone"))
    ]


async def test_a_consent_nobody_gave_is_copied_as_such(scene: Scene, db: Database) -> None:
    """Absent means "ask SQL", so the answer "never" must have a form of its own."""
    await _consents(scene, db).fill(scene.user, scene.tag, OTHER)
    copy = read_copy((await scene.store.read(scene.names.consent(scene.tag, OTHER)))[0], scene.stamp)
    assert copy is not None and (copy.version, copy.granted) == (0, False) and not copy.covers([])


async def test_the_copy_lapses_in_five_minutes_and_under_another_stamp(scene: Scene, db: Database) -> None:
    assert COPY_TTL <= 300
    await _consents(scene, db).fill(scene.user, scene.tag, SHOP)
    (raw,) = await scene.store.read(scene.names.consent(scene.tag, SHOP))
    assert read_copy(raw, draw_stamp("password")) is None
    scene.clock.move(COPY_TTL)
    assert await _copy(scene) is None


async def test_a_withdrawal_ends_what_stands_on_the_consent(scene: Scene, db: Database) -> None:
    """§20, and Core §11: offline access too."""
    consents = _consents(scene, db)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid", "offline_access"])
    tokens, code = await scene.tokens(), await scene.authorized()
    await consents.withdraw(scene.user, scene.tag, SHOP)
    assert tokens.refresh is not None
    assert await scene.refresh(tokens.refresh.reveal()) == Invalid("the authorization has ended")
    assert await scene.redeem(code) == Invalid("the authorization has ended")
    assert {family for _, family in scene.sql.families} == {tokens.family.id, code.family}
    assert not await consents.list_of(scene.user)


async def test_a_withdrawal_ends_nothing_at_other_clients(scene: Scene, db: Database) -> None:
    consents = _consents(scene, db)
    code = await scene.authorized()
    await consents.withdraw(scene.user, scene.tag, OTHER)
    assert isinstance(await scene.redeem(code), Tokens)


async def test_what_was_withdrawn_is_not_granted_again_with_the_rest(scene: Scene, db: Database) -> None:
    consents = _consents(scene, db)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid", "phone"])
    await consents.withdraw(scene.user, scene.tag, SHOP)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid"])
    assert [row.scopes for row in await consents.list_of(scene.user)] == [("openid",)]


async def test_more_families_than_one_commit_may_hold_all_end(scene: Scene, db: Database) -> None:
    """Store §1: at most 500 changes; here chunks of 200."""
    consents = _consents(scene, db)
    alive = await scene.signed_in()
    codes = [await scene.authorized(alive, consent=0) for _ in range(230)]
    await consents.withdraw(scene.user, scene.tag, SHOP)
    assert isinstance(await scene.redeem(codes[0]), Invalid) and isinstance(await scene.redeem(codes[229]), Invalid)
    assert len(scene.sql.families) == 230


async def test_a_withdrawal_cut_short_is_finished_by_the_next_grant(scene: Scene, db: Database) -> None:
    """The crash lies between SQL and the store; a new version must not hide what the old one ended."""
    consents = _consents(scene, db)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid"])
    code = await scene.authorized()
    await ConsentRows(db).write(ConsentRow(client=SHOP, version=2, granted=False, scopes=()), scene.user)
    assert isinstance(await scene.redeem(code, objection=lambda _: "look"), Invalid)  # alive still, only objected to
    await consents.grant(scene.user, scene.tag, SHOP, ["openid"])
    assert await scene.redeem(code) == Invalid("the authorization has ended")


async def test_a_withdrawal_cut_short_is_finished_by_the_reconciler(scene: Scene, db: Database) -> None:
    consents = _consents(scene, db)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid"])
    code = await scene.authorized()
    await ConsentRows(db).write(ConsentRow(client=SHOP, version=2, granted=False, scopes=()), scene.user)
    scene.sql.consents.append((scene.user, scene.tag, SHOP))
    await consents.reconcile(scene.sql)
    assert await scene.redeem(code) == Invalid("the authorization has ended")
    copy = read_copy((await scene.store.read(scene.names.consent(scene.tag, SHOP)))[0], scene.stamp)
    assert copy is not None and (copy.version, copy.granted) == (2, False)


async def test_the_reconciler_leaves_alone_what_is_granted(scene: Scene, db: Database) -> None:
    consents = _consents(scene, db)
    await consents.grant(scene.user, scene.tag, SHOP, ["openid"])
    code = await scene.authorized(consent=0)
    scene.sql.consents += [(scene.user, scene.tag, SHOP)] + [(UserId(n), scene.tag, SHOP) for n in range(100, 520)]
    await consents.reconcile(scene.sql)
    assert isinstance(await scene.redeem(code), Tokens)


async def test_what_began_after_a_withdrawal_is_not_ended_by_it(scene: Scene, db: Database) -> None:
    """A client of our own needs no consent; it stands on the version that it found."""
    consents = _consents(scene, db)
    await consents.withdraw(scene.user, scene.tag, SHOP)
    before, after = await scene.authorized(consent=0), await scene.authorized(consent=1)
    scene.sql.consents.append((scene.user, scene.tag, SHOP))
    await consents.reconcile(scene.sql)
    assert isinstance(await scene.redeem(before), Invalid)
    assert isinstance(await scene.redeem(after), Tokens)


async def test_first_answers_at_once_are_counted_one_by_one(scene: Scene, db: Database) -> None:
    consents = _consents(scene, db)
    async with anyio.create_task_group() as group:
        for scope in ("openid", "email", "phone"):
            group.start_soon(consents.grant, scene.user, scene.tag, SHOP, [scope])
    (row,) = await consents.list_of(scene.user)
    assert row.version == 3 and set(row.scopes) == {"openid", "email", "phone"}


async def test_a_consent_of_nobody_is_refused(scene: Scene, db: Database) -> None:
    with pytest.raises(Unavailable):
        await _consents(scene, db).grant(UserId(99), scene.tag, SHOP, ["openid"])


class _Forgetful:
    """A truth whose rows were all overtaken."""

    async def of(self, user: UserId, client: ClientId) -> tuple[ConsentRow, Stamp, SlotTag] | None:
        return ConsentRow(client=client, version=1, granted=True, scopes=()), Stamp("n"), SlotTag("t")

    async def granted_by(self, user: UserId) -> list[ConsentRow]:
        return []

    async def withdrawn(self, answers: object) -> list[tuple[UserId, ConsentRow]]:
        return []

    async def write(self, new: ConsentRow, user: UserId, told: Sequence[str] = ()) -> bool:
        return False


async def test_a_consent_that_always_loses_is_unavailable_not_given() -> None:
    scene = Scene()
    consents = Consents(store=scene.store, names=scene.names, rows=_Forgetful(), families=scene.families)
    with pytest.raises(Unavailable):
        await consents.grant(scene.user, scene.tag, SHOP, ["openid"])


async def test_an_unreadable_copy_is_filled_anew(scene: Scene, db: Database) -> None:
    await scene.store.commit(Put(scene.names.consent(scene.tag, SHOP), b"\xff{", 60))
    assert await _copy(scene) is None
    await _consents(scene, db).fill(scene.user, scene.tag, SHOP)
    assert await _copy(scene) is not None
