"""Every error the bridge raises, on one screen.

    BridgeError
    ├── ConfigError      the settings or their files are wrong; the message names each mistake
    └── Unavailable      a store, database or upstream did not answer: not known to have happened
        ├── Busy         a bounded queue is full: try again later
        └── Delayed      it is recorded, and happens as soon as the store answers

A wrong password, a dead session or a lost race is an answer, not an error.  The wire errors of OAuth live beside
the protocol, in `bridge.oidc.errors`.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class BridgeError(Exception):
    """The root of all."""


class ConfigError(BridgeError):
    """The configuration cannot be used.  The message is meant for the operator."""


class Unavailable(BridgeError):
    """Somebody we need did not answer.  Never "not found", never "wrong password"; the door says 503."""

    retry_after = 2
    """Seconds after which it makes sense to come back."""


class Busy(Unavailable):
    """A bounded queue (password hashing, say) is full.  The door says 503."""


class Delayed(Unavailable):
    """What ends stands in SQL, which is the truth; the store, which did not answer, hears of it when it does."""

    def __init__(self) -> None:
        super().__init__("it is recorded, but the store does not answer: it takes effect when the store does")


@contextmanager
def recorded_first() -> Iterator[None]:
    """Within it a store is told what SQL says already.  Raises Delayed when the store does not answer."""
    try:
        yield
    except Unavailable as error:
        raise Delayed from error
