"""The link of a waiting e-mail address is followed: it confirms, or undoes — security §24, §30.

Looking at it changes nothing, however often.  Both end every session of the user: he signs in anew, or nobody does.
"""

from contextlib import suppress
from typing import TypeVar

from bridge.errors import Unavailable
from bridge.events.ledger import Deed, Ledger
from bridge.outbox.outbox import Outbox
from bridge.secret import Secret
from bridge.sessions.sessions import Sessions
from bridge.types import Visit
from bridge.users.email_changes import UNDO, EmailChange, EmailChanges, Gone
from bridge.users.user import AddressTaken, User

Outcome = TypeVar("Outcome")


class Readdress:
    """Every call raises `Unavailable` when the database does not answer."""

    def __init__(self, *, changes: EmailChanges, outbox: Outbox, sessions: Sessions, ledger: Ledger) -> None:
        self._changes = changes
        self._outbox = outbox
        self._sessions = sessions
        self._ledger = ledger

    async def look(self, token: Secret) -> EmailChange | Gone:
        """What the token confirms (`waiting`) or undoes (`confirmed`)."""
        return await self._changes.by_token(token) or Gone()

    async def confirm(self, token: Secret, visit: Visit) -> User | AddressTaken | Gone:
        """Make it his address; a letter to the old one says how to undo it."""
        change = await self._changes.by_token(token)
        if change is None:
            return Gone()

        async def work(deed: Deed) -> User | AddressTaken | Gone:
            done = await self._changes.confirm(deed, token)
            if isinstance(done, User):
                payload = {"change": str(change.id), "language": visit.language}
                await self._outbox.put(deed.tx, UNDO, done.id, payload)
            return done

        return await self._over(await self._ledger.do(visit, work))

    async def undo(self, token: Secret, visit: Visit) -> User | Gone:
        """It was not he: the account is shut."""
        return await self._over(await self._ledger.do(visit, lambda deed: self._changes.undo(deed, token)))

    async def _over(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, User):
            # SQL holds the new stamp already: a store that does not answer now lets nobody in either, and hears of it
            # before its doors reopen.
            with suppress(Unavailable):
                await self._sessions.publish_stamp(outcome.id, outcome.tag)
        return outcome
