"""Parts of a bridge that stop answering when they are told to."""

from typing import Any

import pytest

from bridge.errors import Unavailable


class Broken:
    """`Broken(monkeypatch, what, "verb", …)`: those verbs raise `Unavailable` while `down`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, what: Any, *names: str) -> None:
        self.down = False
        for name in names:
            monkeypatch.setattr(what, name, self._wrapped(getattr(what, name)))

    def _wrapped(self, verb: Any) -> Any:
        async def asked(*args: Any, **named: Any) -> Any:
            if self.down:
                raise Unavailable("it is away")
            return await verb(*args, **named)

        return asked
