"""The one session that survives what ended all others goes on under new tokens — S3, S9, store §2, rule 4.

Whoever had copied the old ones is out.
"""

from collections.abc import Sequence
from typing import Final

from bridge.errors import Unavailable
from bridge.sessions.birth import Born
from bridge.sessions.judge import Alive, Dead
from bridge.sessions.sessions import Sessions
from bridge.types import Standing, Visit

_TRIES: Final = 4


async def renewed(
    sessions: Sessions,
    kept: Alive,
    standing: Standing,
    visit: Visit,
    *,
    amr: Sequence[str],
    auth_time: int | None = None,
) -> Born | Dead:
    """The kept session under the stamp of `standing`, which SQL took over the session's own.

    `auth_time`: when its owner proved who he is; None: now.  Dead: it ended with the others.  Raises `Unavailable`,
    also when others keep winning: then he has to sign in again.
    """
    moved = await sessions.keep(kept, standing.stamp)
    for _ in range(_TRIES):
        if isinstance(moved, Dead):
            return moved
        born = await sessions.rotate(moved, standing, visit, amr=amr, auth_time=auth_time)
        if isinstance(born, Born | Dead):
            return born
        moved = await sessions.why(moved.token)  # it was touched meanwhile, or has ended
    raise Unavailable("contended")
