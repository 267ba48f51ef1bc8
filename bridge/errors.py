"""Every error the bridge raises, on one screen.

    BridgeError
    ├── ConfigError      the settings or their files are wrong; the message names each mistake
    ├── Unavailable      a store, database or upstream did not answer: not known to have happened
    └── Busy             a bounded queue is full: try again later

A wrong password, a dead session or a lost race is an answer, not an error.  The wire errors of OAuth live beside
the protocol, in `bridge.oidc.errors`.
"""


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
