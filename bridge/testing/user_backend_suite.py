"""The tests of a user backend, to inherit — DESIGN §8.

    class TestMyUsers(UserBackendSuite):
        @pytest.fixture
        async def backend(self):             # open, with one user: `EMAIL`, `PASSWORD`
            ...

        def hashes(self, backend):           # how many hashes it has computed; None if it computes none
            ...

Whatever else the backend can do, its class says by an attribute or a method of the suite; see there.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from bridge.errors import Unavailable
from bridge.secret import Secret
from bridge.types import UserId
from bridge.users.backend import Authenticated, Capability, Refused, SecondFactorElsewhere, Unreachable, UserBackend
from bridge.users.email import email_key
from bridge.users.user import User

EMAIL = "Ada.Lovelace@Example.com"
PASSWORD = "  Grüße & <Körner>  "  # noqa: S105  # every test knows it; its spaces belong to it
NOBODY = "nobody@example.com"

HOSTILE = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "' OR 1=1 --",
        '"; DROP TABLE users; --',
        "%",
        "_",
        "\\",
        "\ud800",
        "\u202e",
        "\U0010ffff",
    ),
    *("x" * 100_000, "é" * 1025, "\r\nX: y", "{{7*7}}", "${jndi:x}", "../../etc/passwd", "$2y$10$" + "a" * 53, "\xff"),
)
_STRANGERS = (UserId(0), UserId(-1), UserId(2**31), UserId(2**53))


class UserBackendSuite(ABC):
    """What every authority over users must do."""

    disabled: ClassVar[str | None] = None
    """The address of a user who may not come in though his password is `PASSWORD`, if the backend knows such users."""
    elsewhere: ClassVar[str | None] = None
    """The address of a user with `PASSWORD` whose second factor only the authority knows, if there are such users."""

    @abstractmethod
    def hashes(self, backend: UserBackend) -> int | None:
        """How many password hashes the backend has computed until now; None: it computes none itself."""

    async def go_away(self, backend: UserBackend) -> bool:  # noqa: ARG002
        """Make the authority unreachable; False: it lives in this process and cannot be."""
        return False

    async def test_the_right_password_brings_the_row_of_its_user(self, backend: UserBackend) -> None:
        user = await _in(backend, EMAIL)
        assert email_key(user.email) == email_key(EMAIL)
        assert user.stamp and len(user.tag) == 11 and user.sub and not user.disabled

    async def test_a_user_is_found_by_number_and_by_address(self, backend: UserBackend) -> None:
        user = await _in(backend, EMAIL)
        assert await backend.by_id(user.id) == user
        assert await backend.by_email(EMAIL) == user

    async def test_a_wrong_password_is_refused(self, backend: UserBackend) -> None:
        for wrong in ("", "x", PASSWORD + "x", PASSWORD[:-1], PASSWORD[1:], PASSWORD.swapcase(), EMAIL):
            assert isinstance(await backend.authenticate(EMAIL, Secret(wrong)), Refused), wrong

    async def test_a_password_is_used_as_received(self, backend: UserBackend) -> None:
        for trimmed in (
            PASSWORD.strip(),
            PASSWORD.lstrip(),
            PASSWORD.rstrip(),
            PASSWORD + " ",
            " ".join(PASSWORD.split()),
        ):
            assert isinstance(await backend.authenticate(EMAIL, Secret(trimmed)), Refused), repr(trimmed)

    async def test_an_unknown_user_is_refused_and_not_found(self, backend: UserBackend) -> None:
        assert isinstance(await backend.authenticate(NOBODY, Secret(PASSWORD)), Refused)
        assert await backend.by_email(NOBODY) is None
        assert [await backend.by_id(user) for user in _STRANGERS] == [None] * len(_STRANGERS)

    async def test_one_address_in_every_spelling_is_one_user(self, backend: UserBackend) -> None:
        user = await _in(backend, EMAIL)
        for spelled in (EMAIL.lower(), EMAIL.upper(), f"  {EMAIL}\n", "ａda.lovelace@example.com"):
            assert (await _in(backend, spelled)).id == user.id, spelled
            assert await backend.by_email(spelled) == user, spelled

    async def test_a_like_looking_address_is_another(self, backend: UserBackend) -> None:
        for other in (
            "ada.lovelac%@example.com",
            "\u0430da.lovelace@example.com",
            "ad\xe1.lovelace@example.com",
            "ada.lovelace",
        ):
            assert isinstance(await backend.authenticate(other, Secret(PASSWORD)), Refused), other
            assert await backend.by_email(other) is None, other

    async def test_every_refusal_costs_as_many_hashes(self, backend: UserBackend) -> None:
        refusals = [
            (EMAIL, "wrong"),
            (NOBODY, PASSWORD),
            ("no address", PASSWORD),
            (EMAIL, "x" * 5000),
            (EMAIL, "\x00"),
        ]
        if self.disabled is not None:
            refusals += [(self.disabled, PASSWORD), (self.disabled, "wrong")]
        if self.hashes(backend) is None:
            return
        costs = {refusal: await self._cost(backend, *refusal) for refusal in refusals}
        assert len(set(costs.values())) == 1, costs

    async def test_nothing_that_is_typed_raises(self, backend: UserBackend) -> None:
        for typed in HOSTILE:
            assert isinstance(await backend.authenticate(EMAIL, Secret(typed)), Refused), repr(typed[:20])
            assert isinstance(await backend.authenticate(typed, Secret(typed)), Refused), repr(typed[:20])
            assert await backend.by_email(typed) is None, repr(typed[:20])

    async def test_many_at_once_do_not_mix(self, backend: UserBackend) -> None:
        attempts = [(EMAIL, PASSWORD), (EMAIL, "wrong"), (NOBODY, PASSWORD)] * 8
        answers = await asyncio.gather(*(backend.authenticate(email, Secret(typed)) for email, typed in attempts))
        assert [isinstance(answer, Authenticated) for answer in answers] == [True, False, False] * 8

    async def test_a_disabled_user_is_refused(self, backend: UserBackend) -> None:
        if self.disabled is None:
            return
        assert isinstance(await backend.authenticate(self.disabled, Secret(PASSWORD)), Refused)
        row = await backend.by_email(self.disabled)
        assert row is not None and row.disabled

    async def test_a_second_factor_elsewhere_is_no_login(self, backend: UserBackend) -> None:
        if self.elsewhere is None:
            return
        answer = await backend.authenticate(self.elsewhere, Secret(PASSWORD))
        assert isinstance(answer, SecondFactorElsewhere) and answer.url.startswith("https://")
        assert isinstance(await backend.authenticate(self.elsewhere, Secret("wrong")), Refused)

    async def test_an_answer_shows_no_password(self, backend: UserBackend) -> None:
        for typed in (PASSWORD, "wrong-horse-battery"):
            assert typed.strip() not in repr(await backend.authenticate(EMAIL, Secret(typed)))

    async def test_a_new_password_replaces_the_old_and_ends_everything(self, backend: UserBackend) -> None:
        if (set_password := self._able(backend, Capability.SET_PASSWORD, "set_password")) is None:
            return
        before = await _in(backend, EMAIL)
        after = await set_password(before, Secret("another one entirely"))
        assert after is not None and after.stamp != before.stamp
        assert isinstance(await backend.authenticate(EMAIL, Secret(PASSWORD)), Refused)
        assert await _in(backend, EMAIL, "another one entirely") == after

    async def test_of_many_who_set_a_password_on_one_row_one_does(self, backend: UserBackend) -> None:
        if (set_password := self._able(backend, Capability.SET_PASSWORD, "set_password")) is None:
            return
        seen = await _in(backend, EMAIL)
        done = await asyncio.gather(*(set_password(seen, Secret(f"number {n} of them all")) for n in range(20)))
        (winner,) = [n for n, user in enumerate(done) if user is not None]
        assert (await _in(backend, EMAIL, f"number {winner} of them all")).stamp != seen.stamp

    async def test_a_list_names_every_user_once_by_number(self, backend: UserBackend) -> None:
        if (listed := self._able(backend, Capability.LIST, "list")) is None:
            return
        found: list[User] = []
        while page := await listed(after=found[-1].id if found else UserId(0), limit=1):
            found += page
        assert found == sorted(await listed(), key=lambda user: user.id)
        assert (await _in(backend, EMAIL)) in found

    async def test_an_unreachable_authority_refuses_nobody(self, backend: UserBackend) -> None:
        user = await _in(backend, EMAIL)
        if not await self.go_away(backend):
            return
        for email, typed in ((EMAIL, PASSWORD), (EMAIL, "wrong"), (NOBODY, PASSWORD)):
            assert isinstance(await _or_unreachable(lambda: backend.authenticate(email, Secret(typed))), Unreachable)  # noqa: B023
        # A backend whose rows lie elsewhere still has them; but nobody has become unknown.
        for found in (
            await _or_unreachable(lambda: backend.by_email(EMAIL)),
            await _or_unreachable(lambda: backend.by_id(user.id)),
        ):
            assert isinstance(found, Unreachable | User)

    async def _cost(self, backend: UserBackend, email: str, typed: str) -> int:
        before = self.hashes(backend)
        assert isinstance(await backend.authenticate(email, Secret(typed)), Refused)
        after = self.hashes(backend)
        assert before is not None and after is not None
        return after - before

    def _able(self, backend: UserBackend, capability: Capability, verb: str) -> Callable[..., Any] | None:
        """The verb of a capability; None: the backend does not claim it."""
        return getattr(backend, verb) if capability in backend.capabilities else None


async def _in(backend: UserBackend, email: str, password: str = PASSWORD) -> User:
    answer = await backend.authenticate(email, Secret(password))
    assert isinstance(answer, Authenticated), answer
    return answer.user


async def _or_unreachable(call: Callable[[], Any]) -> Any:
    try:
        return await call()
    except Unavailable:
        return Unreachable()
