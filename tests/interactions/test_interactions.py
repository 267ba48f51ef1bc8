"""A visit belongs to one browser, and each answer to one question — security §26."""

import secrets

import anyio
import pytest

from bridge.interactions.interactions import Interactions, Overtaken, Visit
from bridge.interactions.record import LIFETIME, Display, Logout
from bridge.ring import Ring
from bridge.stores.memory import MemoryStore
from bridge.stores.store import Put
from bridge.testing.hands import Hands
from bridge.tokens import Names, digest
from bridge.types import ClientId

SHOP = Display(client=ClientId("shop"), name="Shop", redirect_uri="https://shop.example/cb", verified=True)


class Scene:
    """Visits in a store in memory."""

    def __init__(self) -> None:
        self.clock = Hands()
        self.store = MemoryStore(self.clock)
        self.names = Names("https://login.example")
        self.lines = Ring.new_line("new"), Ring.new_line("old")
        self.interactions = self.over(*self.lines)
        self.mine = self.interactions.new_binding()

    def over(self, *lines: str) -> Interactions:
        ring = Ring.parse("\n".join(lines))
        return Interactions(store=self.store, names=self.names, ring=ring, clock=self.clock, chance=secrets.token_bytes)

    async def begun(self, *, nobody: bool = True) -> str:
        return await self.interactions.begin_authorization(
            self.mine, {"client_id": "shop"}, SHOP, scopes=("openid",), nobody=nobody
        )


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_the_browser_that_began_it_finds_everything_again(scene: Scene) -> None:
    visit = await scene.interactions.load(await scene.begun(), scene.mine)
    assert visit is not None
    assert (visit.record.app, visit.record.parameters, visit.record.scopes) == (
        SHOP,
        {"client_id": "shop"},
        ("openid",),
    )


@pytest.mark.parametrize("binding", [None, "", "x" * 22])
async def test_another_browser_finds_nothing(scene: Scene, binding: str | None) -> None:
    """§34 of the checklist: an interaction resumed elsewhere is refused."""
    assert await scene.interactions.load(await scene.begun(), binding) is None


async def test_what_a_sign_in_elsewhere_overtook_is_known_and_cannot_be_answered(scene: Scene) -> None:
    begun, after = await scene.begun(), scene.interactions.new_binding(scene.mine)
    overtaken = await scene.interactions.load(begun, after)
    assert isinstance(overtaken, Overtaken) and overtaken.record.parameters == {"client_id": "shop"}
    assert await scene.interactions.answer(begun, after, "consent", session="s") is None
    proof = scene.interactions.proof(begun, scene.mine, "consent")
    assert not scene.interactions.proven(proof, begun, after, "consent")
    assert await scene.interactions.load(begun, scene.interactions.new_binding(after)) is None, "one sign-in back"
    assert [await scene.interactions.finish(overtaken) for _ in range(2)] == [True, False]
    assert await scene.interactions.load(begun, after) is None


async def test_a_visit_of_somebody_is_not_handed_to_who_signed_in_since(scene: Scene) -> None:
    """He answered on it, or was signed in when it began."""
    answered, his = await scene.begun(), await scene.begun(nobody=False)
    await scene.interactions.answer(answered, scene.mine, "login", session="s")
    for visit in (answered, his):
        assert await scene.interactions.load(visit, scene.interactions.new_binding(scene.mine)) is None


async def test_what_the_store_and_the_tables_know_of_a_browser_opens_none_of_its_visits(scene: Scene) -> None:
    begun = await scene.begun()
    visit = await scene.interactions.load(begun, scene.mine)
    assert visit is not None
    for known in (visit.record.binding, visit.record.successor, digest(visit.record.successor), ""):
        assert await scene.interactions.load(begun, f"{'A' * 22}.{known}") is None


async def test_a_visit_that_went_along_with_the_sign_in_is_not_overtaken(scene: Scene) -> None:
    begun, after = await scene.begun(), scene.interactions.new_binding(scene.mine)
    assert await scene.interactions.answer(begun, scene.mine, "login", session="s", rebind=after) is not None
    assert isinstance(await scene.interactions.load(begun, after), Visit)
    assert await scene.interactions.load(begun, scene.mine) is None


async def test_two_browsers_visits_do_not_mix(scene: Scene) -> None:
    mine, theirs = await scene.begun(), scene.interactions.new_binding()
    other = await scene.interactions.begin_authorization(theirs, {}, SHOP)
    assert await scene.interactions.load(other, scene.mine) is None
    assert await scene.interactions.answer(mine, theirs, "consent", session="s") is None


async def test_it_is_over_after_half_an_hour(scene: Scene) -> None:
    begun = await scene.begun()
    scene.clock.move(LIFETIME - 1)
    assert await scene.interactions.load(begun, scene.mine) is not None
    scene.clock.move(1)
    assert await scene.interactions.load(begun, scene.mine) is None


async def test_an_answer_is_remembered_with_its_session(scene: Scene) -> None:
    begun = await scene.begun()
    await scene.interactions.answer(begun, scene.mine, "login", session="s1")
    await scene.interactions.answer(begun, scene.mine, "consent", session="s1")
    visit = await scene.interactions.load(begun, scene.mine)
    assert visit is not None
    assert {step: answer.session for step, answer in visit.record.answers.items()} == {"login": "s1", "consent": "s1"}


async def test_an_answer_does_not_prolong_it(scene: Scene) -> None:
    begun = await scene.begun()
    scene.clock.move(LIFETIME - 10)
    await scene.interactions.answer(begun, scene.mine, "login", session="s1")
    scene.clock.move(10)
    assert await scene.interactions.load(begun, scene.mine) is None


async def test_a_login_hands_it_to_the_new_cookie(scene: Scene) -> None:
    """The cookie is replaced at login, and the old one is worth nothing afterwards."""
    begun, new = await scene.begun(), scene.interactions.new_binding()
    assert await scene.interactions.answer(begun, scene.mine, "login", session="s1", rebind=new) is not None
    assert await scene.interactions.load(begun, scene.mine) is None
    assert await scene.interactions.load(begun, new) is not None


async def test_answers_given_at_once_are_all_kept(scene: Scene) -> None:
    begun = await scene.begun()
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: scene.interactions.answer(begun, scene.mine, "login", session="s1"))
        group.start_soon(lambda: scene.interactions.answer(begun, scene.mine, "account", session="s1"))
        group.start_soon(lambda: scene.interactions.answer(begun, scene.mine, "login", session="s1"))
    visit = await scene.interactions.load(begun, scene.mine)
    assert visit is not None and set(visit.record.answers) == {"login", "account"}


async def test_it_ends_once(scene: Scene) -> None:
    begun = await scene.begun()
    visit = await scene.interactions.load(begun, scene.mine)
    assert visit is not None
    ended: list[bool] = []

    async def end() -> None:
        ended.append(await scene.interactions.finish(visit))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(end)
    assert sum(ended) == 1
    assert await scene.interactions.load(begun, scene.mine) is None
    assert await scene.interactions.answer(begun, scene.mine, "consent", session="s1") is None


async def test_a_proof_is_for_one_question_of_one_browser_in_one_visit(scene: Scene) -> None:
    scenes = scene.interactions
    proof = scenes.proof("i1", "b1", "consent", "s1")
    assert scenes.proven(proof, "i1", "b1", "consent", "s1")
    for wrong in [
        ("i2", "b1", "consent", "s1"),
        ("i1", "b2", "consent", "s1"),
        ("i1", "b1", "login", "s1"),
        ("i1", "b1", "consent", "s2"),
        ("i1", "b1", "consent"),
        ("i1", "b1consent", "", "s1"),
    ]:
        assert not scenes.proven(proof, *wrong)
    for forged in ("", "0" * 64, proof[:-1], proof.upper(), "é", "\udc80"):
        assert not scenes.proven(forged, "i1", "b1", "consent", "s1")


async def test_a_proof_outlives_the_change_of_the_master_key(scene: Scene) -> None:
    new, old = scene.lines
    proof = scene.over(old).proof("i1", "b1", "consent")
    assert scene.over(new, old).proven(proof, "i1", "b1", "consent")
    assert not scene.over(new).proven(proof, "i1", "b1", "consent")


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff", b"[]", b'{"kind":"x"}'])
async def test_what_cannot_be_read_is_no_visit(scene: Scene, junk: bytes) -> None:
    await scene.store.commit(Put(scene.names.interaction("i1"), junk, 60))
    assert await scene.interactions.load("i1", scene.mine) is None
    assert await scene.interactions.answer("i1", scene.mine, "login", session="s1") is None


async def test_neither_the_cookie_nor_the_id_lies_in_the_store(scene: Scene) -> None:
    begun = await scene.begun()
    dump = repr(scene.store._values)
    assert "shop.example" in dump
    assert scene.mine not in dump and begun not in dump


@pytest.mark.parametrize(
    ("logout", "clients", "means"),
    [
        (Logout(hinted=True, sid="s1"), {"shop": "s1"}, True),
        (Logout(hinted=True, sid="s1"), {"shop": "s2"}, False),
        (Logout(hinted=True, sid="s1"), {"other": "s1"}, False),
        (Logout(hinted=True, sid=None), {"shop": "s1"}, False),
        (Logout(hinted=False, sid="s1"), {"shop": "s1"}, False),
        (Logout(), {}, False),
    ],
)
async def test_only_a_genuine_hint_for_this_session_spares_the_question(
    logout: Logout, clients: dict[ClientId, str], *, means: bool
) -> None:
    assert logout.means(clients, ClientId("shop")) is means
    assert not logout.means(clients, None)


async def test_a_wish_to_log_out_is_a_visit_too(scene: Scene) -> None:
    begun = await scene.interactions.begin_logout(scene.mine, Logout(target="https://shop.example/bye"), app=SHOP)
    visit = await scene.interactions.load(begun, scene.mine)
    assert visit is not None and visit.record.kind == "logout"
    assert visit.record.logout == Logout(target="https://shop.example/bye")
