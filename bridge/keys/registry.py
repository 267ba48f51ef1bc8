"""What joserfc may do for us: named algorithms only, headers as long as real ones are — RFC 7515 §4; RFC 8725 §3.1."""

from collections.abc import Collection
from typing import Any

from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry


class Registry(JWSRegistry):
    """Unknown members of a header are nothing to us, unless `crit` names them.

    The library's own registry takes no header beyond 512 bytes, and warns of EdDSA's name each time it is used.
    """

    max_header_length = 4_096

    def __init__(self, *, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """Raises UnsupportedAlgorithmError for all but those that were named: an empty list allows nothing."""
        if name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError("this algorithm is not allowed")
        return self.algorithms[name]
