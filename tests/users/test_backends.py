"""Every backend passes the suite, and every named wrong one fails it — DESIGN §8, spec/style.md §8."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.database.database import Database
from bridge.secret import Secret
from bridge.testing.hands import Hands
from bridge.testing.user_backend_suite import EMAIL, PASSWORD, UserBackendSuite
from bridge.types import UserId
from bridge.users.backend import Answer, Authenticated, Refused, SecondFactorElsewhere, Unreachable, UserBackend
from bridge.users.email import email_key
from bridge.users.sql import SqlUsers
from bridge.users.user import User
from tests.users.conftest import Told, users_of
from tests.users.scripted import ScriptedUsers

DISABLED = "former@example.com"
ELSEWHERE = "far@example.com"


class TestSqlUsers(UserBackendSuite):
    disabled = DISABLED

    @pytest.fixture
    async def backend(self, db: Database, counted: Counter[str], told: Told, clock: Hands) -> SqlUsers:
        self.counted = counted
        return await filled(users_of(db, counted, told, clock))

    def hashes(self, backend: UserBackend) -> int:
        return self.counted.total()

    async def go_away(self, backend: UserBackend) -> bool:
        assert isinstance(backend, SqlUsers)
        backend._db = Database("postgresql://nobody@127.0.0.1:1/none", Hands(), patience=1)
        return True


class TestScriptedUsers(UserBackendSuite):
    disabled = DISABLED
    elsewhere = ELSEWHERE

    @pytest.fixture
    def backend(self) -> ScriptedUsers:
        return ScriptedUsers(PASSWORD, [EMAIL, DISABLED, ELSEWHERE], disabled=DISABLED, elsewhere=ELSEWHERE)

    def hashes(self, backend: UserBackend) -> None:
        return None

    async def go_away(self, backend: UserBackend) -> bool:
        assert isinstance(backend, ScriptedUsers)
        backend.reachable = False
        return True


async def filled(users: SqlUsers) -> SqlUsers:
    """With the users of the suite, and one of each kind that must not get in."""
    await users.create(email=EMAIL, password=Secret(PASSWORD), first_name="Ada", groups=["staff"])
    former = await users.create(email=DISABLED, password=Secret(PASSWORD))
    await users.disable(former.id)
    return users


class Wrapped:
    """A backend that hands everything on; each wrong one changes one thing."""

    def __init__(self, right: SqlUsers) -> None:
        self.right = right
        self.name, self.capabilities = right.name, right.capabilities

    async def authenticate(self, email: str, password: Secret) -> Answer:
        return await self.right.authenticate(email, password)

    async def by_id(self, user: UserId) -> User | None:
        return await self.right.by_id(user)

    async def by_email(self, email: str) -> User | None:
        return await self.right.by_email(email)

    async def set_password(self, user: User, new: Secret) -> User | None:
        return await self.right.set_password(user, new)

    async def list(self, *, after: UserId = UserId(0), limit: int = 100) -> list[User]:  # noqa: B008
        return await self.right.list(after=after, limit=limit)


class AcceptsAny(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        user = await self.by_email(email)
        return Authenticated(user) if user is not None and not user.disabled else Refused()


class TrimsPassword(Wrapped):
    """Keeps what was trimmed, so that the right password is right."""

    async def authenticate(self, email: str, password: Secret) -> Answer:
        answer = await super().authenticate(email, password)
        if isinstance(answer, Refused) and password.reveal().split() == PASSWORD.split():
            return await super().authenticate(email, Secret(PASSWORD))
        return answer


class UnknownUserIsFast(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        return await super().authenticate(email, password) if await self.by_email(email) else Refused("unknown")


class DisabledIsFast(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        user = await self.by_email(email)
        return Refused("disabled") if user and user.disabled else await super().authenticate(email, password)


class LongIsFast(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        too_long = len(password.reveal_bytes()) > 1024
        return Refused("too long") if too_long else await super().authenticate(email, password)


class UnreachableSaysRefused(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        try:
            return await super().authenticate(email, password)
        except Exception:  # noqa: BLE001
            return Refused()


class UnreachableSaysUnknown(Wrapped):
    async def by_email(self, email: str) -> User | None:
        try:
            return await super().by_email(email)
        except Exception:  # noqa: BLE001
            return None


class CaseSensitiveEmail(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        user = await self.by_email(email)
        return await super().authenticate(email if user and user.email == email else "nobody", password)


class AddressByPattern(Wrapped):
    """`LIKE` instead of `=`."""

    async def by_email(self, email: str) -> User | None:
        found = [user for user in await self.right.list() if user.email_key[:-16] in (email_key(email) or "")]
        return found[0] if "%" in email and found else await super().by_email(email)


class DisabledGetsIn(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        answer = await super().authenticate(email, password)
        user = await self.by_email(email)
        return Authenticated(user) if user and isinstance(answer, Refused) and answer.why == "disabled" else answer


class StaleRow(Wrapped):
    """Answers with a row that is not the one it read."""

    async def authenticate(self, email: str, password: Secret) -> Answer:
        answer = await super().authenticate(email, password)
        return Authenticated(replace(answer.user, stamp="old")) if isinstance(answer, Authenticated) else answer


class RaisesForNul(Wrapped):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        if b"\x00" in password.reveal_bytes():
            raise ValueError("embedded null byte")
        return await super().authenticate(email, password)


class LastWriterSetsThePassword(Wrapped):
    async def set_password(self, user: User, new: Secret) -> User | None:
        done = None
        while done is None and (row := await self.right.by_id(user.id)) is not None:
            done = await self.right.set_password(row, new)
        return done


class PasswordKeepsSessions(Wrapped):
    async def set_password(self, user: User, new: Secret) -> User | None:
        done = await super().set_password(user, new)
        return replace(done, stamp=user.stamp) if done else None


class ListNewestFirst(Wrapped):
    """So that a page ends where the next one should begin."""

    async def list(self, *, after: UserId = UserId(0), limit: int = 100) -> list[User]:  # noqa: B008
        return (await super().list(after=after))[::-1][:limit]


class SecondFactorIsLogin(ScriptedUsers):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        answer = await super().authenticate(email, password)
        user = self._users.get(email_key(email) or "")
        return Authenticated(user) if user and isinstance(answer, SecondFactorElsewhere) else answer


class OutOfReachIsWrong(ScriptedUsers):
    async def authenticate(self, email: str, password: Secret) -> Answer:
        answer = await super().authenticate(email, password)
        return Refused() if isinstance(answer, Unreachable) else answer


WRONG: dict[str, tuple[type[Wrapped], str]] = {
    "accepts-any": (AcceptsAny, "test_a_wrong_password_is_refused"),
    "trims-password": (TrimsPassword, "test_a_password_is_used_as_received"),
    "unknown-user-is-fast": (UnknownUserIsFast, "test_every_refusal_costs_as_many_hashes"),
    "disabled-is-fast": (DisabledIsFast, "test_every_refusal_costs_as_many_hashes"),
    "long-is-fast": (LongIsFast, "test_every_refusal_costs_as_many_hashes"),
    "unreachable-says-refused": (UnreachableSaysRefused, "test_an_unreachable_authority_refuses_nobody"),
    "unreachable-says-unknown": (UnreachableSaysUnknown, "test_an_unreachable_authority_refuses_nobody"),
    "case-sensitive-email": (CaseSensitiveEmail, "test_one_address_in_every_spelling_is_one_user"),
    "address-by-pattern": (AddressByPattern, "test_a_like_looking_address_is_another"),
    "disabled-gets-in": (DisabledGetsIn, "test_a_disabled_user_is_refused"),
    "stale-row": (StaleRow, "test_a_user_is_found_by_number_and_by_address"),
    "raises-for-nul": (RaisesForNul, "test_nothing_that_is_typed_raises"),
    "last-writer-sets-the-password": (LastWriterSetsThePassword, "test_of_many_who_set_a_password_on_one_row_one_does"),
    "password-keeps-sessions": (PasswordKeepsSessions, "test_a_new_password_replaces_the_old_and_ends_everything"),
    "list-newest-first": (ListNewestFirst, "test_a_list_names_every_user_once_by_number"),
}


class OnSqlite(TestSqlUsers):
    """The suite, to be run by hand."""

    __test__ = False

    async def go_away(self, backend: UserBackend) -> bool:
        return await super().go_away(backend.right if isinstance(backend, Wrapped) else backend)


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_backend_fails_by_name(name: str, users: SqlUsers, counted: Counter[str]) -> None:
    suite, (wrong, bitten_by) = OnSqlite(), WRONG[name]
    suite.counted = counted
    with pytest.raises((AssertionError, ValueError)):
        await the_test(suite, bitten_by)(wrong(await filled(users)))


@pytest.mark.parametrize("name", sorted({bitten_by for _, bitten_by in WRONG.values()}))
async def test_what_bites_leaves_the_right_one_alone(name: str, users: SqlUsers, counted: Counter[str]) -> None:
    """Else a wrong backend could be caught for what is wrong with the test."""
    suite = OnSqlite()
    suite.counted = counted
    await the_test(suite, name)(Wrapped(await filled(users)))


@pytest.mark.parametrize(
    ("wrong", "bitten_by"),
    [
        (SecondFactorIsLogin, "test_a_second_factor_elsewhere_is_no_login"),
        (OutOfReachIsWrong, "test_an_unreachable_authority_refuses_nobody"),
    ],
)
async def test_a_wrong_upstream_fails_by_name(wrong: type[ScriptedUsers], bitten_by: str) -> None:
    backend = wrong(PASSWORD, [EMAIL, DISABLED, ELSEWHERE], disabled=DISABLED, elsewhere=ELSEWHERE)
    with pytest.raises(AssertionError):
        await the_test(TestScriptedUsers(), bitten_by)(backend)


def the_test(suite: UserBackendSuite, name: str) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = getattr(suite, name)
    return found
