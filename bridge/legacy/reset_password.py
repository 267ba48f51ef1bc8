"""ResetPassword: mail this user a reset link — whmcs-api §3.2."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, assert_never

from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params
from bridge.resets.ask import Queued, UnknownUser
from bridge.types import AccountId, UserId, Visit
from bridge.users.email import email_key


class Resets(Protocol):
    """Where reset links are asked for."""

    async def ask_for(self, who: UserId | str, visit: Visit) -> Queued | UnknownUser:
        """By user id or e-mail address.  Raises Unavailable."""
        ...


OwnerOf: TypeAlias = Callable[[AccountId], Awaitable[UserId | None]]
"""Whose number as a client that is; None: nobody's.  Raises Unavailable."""


class ResetPassword:
    """By `id` or `email`; the id wins.  Success means that a mail is queued, if the account's limit allows one."""

    def __init__(self, *, resets: Resets, owner_of: OwnerOf, options: LegacyOptions) -> None:
        self._resets = resets
        self._owner_of = owner_of
        self._options = options

    @property
    def action(self) -> Action:
        """For the registry.  `answer`, to a security question, is taken and ignored."""
        return Action(name="ResetPassword", run=self, parameters=frozenset({"id", "email", "answer"}))

    async def __call__(self, params: Params, caller: Caller) -> Answer:
        """In the order in which the documentation lists its errors.  Raises Unavailable."""
        by_id, email = params.optional("id").strip(), params.optional("email")
        if not by_id and email and email_key(email) is None:
            return failure("Please provide a valid email address", "email has not the form of an address")
        if not by_id and not email:
            return failure("Please enter the email address or provide the id", "email and id missing")
        who = await self._numbered(params.row("id")) if by_id else email
        if who is None:
            return self._unknown()
        match await self._resets.ask_for(who, caller.visit()):
            case Queued():
                return success()
            case UnknownUser():
                return self._unknown()
            case other:
                assert_never(other)

    async def _numbered(self, number: int) -> UserId | None:
        if number == 0:
            return None
        return await self._owner_of(AccountId(number)) if self._options.userid_mode == "client" else UserId(number)

    def _unknown(self) -> Answer:
        why = "there is no such user"
        return success(why) if self._options.hide_unknown_users else failure("User Not Found", why)
