"""The model must notice each rule of the grants that is broken — style §8; store §2, rule 10."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from bridge.grants import consents, families, issue, redemption, rotation
from bridge.oidc import authorize
from bridge.stores.store import Put, Store
from tests.model.sql import ModelSql
from tests.model.test_apps import SCENARIOS, play
from tests.model.test_sessions import ADVERSARIES

Patch = pytest.MonkeyPatch
ENOUGH = 400


async def _nothing(*_: Any, **__: Any) -> None:
    """Done without doing it."""


def no_sql_row_for_an_ended_family(patch: Patch) -> None:
    patch.setattr(ModelSql, "end_family", _nothing)


def a_used_code_ends_nothing(patch: Patch) -> None:
    patch.setattr(families.Families, "end", _nothing)


def a_code_is_used_blindly(patch: Patch) -> None:
    patch.setattr(redemption, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))


def a_refresh_token_is_used_blindly(patch: Patch) -> None:
    patch.setattr(rotation, "Swap", lambda key, seen, value, ttl: Put(key, value, ttl))


def a_code_does_not_expect_its_session(patch: Patch) -> None:
    """The first visit of a client swaps the session, later ones expect it."""
    original = issue.witnesses

    def fewer(alive: Any, *args: Any, **more: Any) -> Any:
        return [each for each in original(alive, *args, **more) if getattr(each, "key", "") != alive.key]

    patch.setattr(authorize, "witnesses", fewer)


def a_code_does_not_expect_the_consent(patch: Patch) -> None:
    original = issue.witnesses

    def fewer(*args: Any, **more: Any) -> Any:
        return original(*args, **more)[:-1]

    patch.setattr(authorize, "witnesses", fewer)


def a_family_is_not_listed_under_its_session(patch: Patch) -> None:
    original = issue.authorization_births

    def unlisted(*args: Any, **more: Any) -> Any:
        return [each for each in original(*args, **more) if ":x:" not in getattr(each, "index", "")]

    patch.setattr(authorize, "authorization_births", unlisted)


def a_family_is_not_listed_at_its_client(patch: Patch) -> None:
    original = issue.authorization_births

    def unlisted(*args: Any, **more: Any) -> Any:
        return [each for each in original(*args, **more) if ":fc:" not in getattr(each, "index", "")]

    patch.setattr(authorize, "authorization_births", unlisted)


def a_withdrawn_copy_is_not_published(patch: Patch) -> None:
    original = consents.Consents._finish

    async def finish(self: Any, user: Any, tag: Any, withdrawn: Any) -> None:
        self.fill, fill = _nothing, self.fill
        await original(self, user, tag, withdrawn)
        self.fill = fill

    patch.setattr(consents.Consents, "_finish", finish)
    patch.setattr(consents.Consents, "_change", _unpublished)


async def _unpublished(self: Any, user: Any, tag: Any, client: Any, granting: Any, *, told: Any = ()) -> Any:
    old, _, _ = await self._rows.of(user, client)
    new = consents._after(old, granting)
    await self._rows.write(new, user, told)
    if granting is not None:
        await self.fill(user, tag, client)
    return new


def a_copy_is_filled_in_the_wrong_order(patch: Patch) -> None:
    async def publish(store: Store, key: str, truth: Callable[[], Awaitable[bytes]], ttl: float) -> bytes:
        wanted = await truth()
        await store.commit(Put(key, wanted, ttl))
        return wanted

    patch.setattr(consents, "publish", publish)


def the_epoch_is_not_raised(patch: Patch) -> None:
    async def raise_epoch(self: ModelSql, identity: str) -> int:
        return self.epoch

    patch.setattr(ModelSql, "raise_epoch", raise_epoch)


BROKEN: Mapping[Callable[[Patch], None], tuple[str, str]] = {
    no_sql_row_for_an_ended_family: ("a_code_is_shown_again_among_refreshes", "rollback"),
    a_used_code_ends_nothing: ("a_code_is_shown_again_among_refreshes", "plain"),
    a_code_is_used_blindly: ("a_code_is_shown_twice", "plain"),
    a_refresh_token_is_used_blindly: ("owner_and_thief_refresh", "plain"),
    a_code_does_not_expect_its_session: ("end_meets_authorize", "plain"),
    a_code_does_not_expect_the_consent: ("withdrawal_meets_authorize", "plain"),
    a_family_is_not_listed_under_its_session: ("end_meets_authorize", "plain"),
    a_family_is_not_listed_at_its_client: ("withdrawal_meets_authorize", "plain"),
    a_withdrawn_copy_is_not_published: ("withdrawal_meets_authorize", "plain"),
    a_copy_is_filled_in_the_wrong_order: ("withdrawal_meets_filling", "plain"),
    the_epoch_is_not_raised: ("a_code_is_shown_twice", "rollback"),
}


@pytest.mark.slow
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
async def test_a_broken_rule_is_noticed(broken: Callable[[Patch], None], monkeypatch: Patch) -> None:
    broken(monkeypatch)
    name, adversary = BROKEN[broken]
    for number in range(ENOUGH):
        _, wrong = await play(SCENARIOS[name], ADVERSARIES[adversary], f"{broken.__name__} {number}")
        if wrong:
            return
    pytest.fail(f"{ENOUGH} schedules, and nothing was noticed")
