"""Who holds this token?  One read of session and stamp, and the judgement — security §12.

All that a reader without SQL needs; it writes nothing.
"""

from bridge.clock import Clock
from bridge.sessions.judge import Alive, Dead, judge
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import RecordCodec
from bridge.stores.store import Store
from bridge.tokens import LoginToken, Names
from bridge.types import IPAddress, Key, Place


class Reader:
    """Resolves login tokens against a store that it only reads."""

    def __init__(
        self, *, store: Store, names: Names, codec: RecordCodec, clock: Clock, options: SessionOptions
    ) -> None:
        self._store = store
        self._names = names
        self._codec = codec
        self._clock = clock
        self._options = options

    def keys_of(self, token: LoginToken) -> tuple[Key, Key]:
        """Where its session and its user's stamp lie: one slot, one MGET."""
        return self._names.session(token), self._names.stamp(token.tag)

    async def resolve(self, token: LoginToken, place: Place, ip: IPAddress | None) -> Alive | Dead:
        """The session, or why there is none.  Raises `Unavailable`."""
        key, stamp = self.keys_of(token)
        raw, raw_stamp = await self._store.read(key, stamp)
        return self.judge(token, raw, raw_stamp, place=place, ip=ip, key=key)

    def judge(
        self,
        token: LoginToken,
        raw: bytes | None,
        raw_stamp: bytes | None,
        *,
        place: Place,
        ip: IPAddress | None,
        key: Key | None = None,
    ) -> Alive | Dead:
        """The judgement on values that were read elsewhere, now.  `key`: the session's, where it is known already."""
        return judge(
            token,
            key or self._names.session(token),
            raw,
            raw_stamp,
            place=place,
            ip=ip,
            now=self._clock.now(),
            codec=self._codec,
            options=self._options,
        )
