"""One request's parameters: query and body merged, typed when asked for — whmcs-api §0, §1.1, §2.1."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

from bridge.asgi import LONGEST_PARAMETER, MOST_PARAMETERS, BadRequest
from bridge.legacy.php import Array, Pair, Parameter, read_parameters
from bridge.legacy.wire import Format, format_of
from bridge.secret import Secret

CREDENTIALS: Final = ("identifier", "secret", "username", "password")
_GUARDED: Final = ("action", "accesskey", *CREDENTIALS, "email", "password2", "second_factor")
_JUNK: Final = frozenset({"undefined", "null"})  # what a JavaScript client makes of nothing
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_TRUE: Final = frozenset({"1", "true", "on", "yes"})
_FALSE: Final = frozenset({"0", "false", "off", "no"})
# Every repetition is bounded: an unreadable body may say "responsetype" five thousand times.
_SNIFFED: Final = re.compile(
    rb'responsetype(?:=|"[^\r\n]{0,200}\r\n(?:[^\r\n]{1,200}\r\n){0,4}\r\n)(json|xml)', re.IGNORECASE
)


Plain: TypeAlias = str | int | None
"""A value as Python has it; booleans are integers."""


@dataclass(frozen=True, slots=True)
class Params:
    """What the caller sent.  An empty string is as good as nothing."""

    values: Array = field(repr=False)
    conflicts: frozenset[str] = frozenset()
    """Guarded names to which query and body gave different values (security §25)."""

    def text(self, name: str) -> str:
        """A parameter as it was sent; "" when it is absent or an array."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else ""

    def optional(self, name: str) -> str:
        """As `text`, but `undefined` and `null` are nothing too."""
        value = self.text(name)
        return "" if value.strip() in _JUNK else value

    def secret(self, name: str) -> Secret:
        """As `text`, wrapped so that it cannot be logged."""
        return Secret(self.text(name))

    def number(self, name: str) -> int | None:
        """An optional integer.  None: absent, or no integer."""
        value = self.optional(name).strip()
        return int(value) if _INTEGER.fullmatch(value) else None

    def row(self, name: str) -> int:
        """The number of a row, which has at most 18 digits here; 0, which none has, for what is none."""
        return max(self.number(name) or 0, 0)

    def flag(self, name: str) -> bool | None:
        """An optional boolean, in any of the spellings of PHP and its callers.  None: absent, or none of them."""
        value = self.optional(name).strip().lower()
        return True if value in _TRUE else False if value in _FALSE else None

    @property
    def action(self) -> str:
        """The action as it was written; "" when it is missing."""
        return self.text("action").strip()

    @property
    def form(self) -> Format:
        """What the answer shall look like."""
        return format_of(self.text("responsetype"))


def merge(query: Iterable[Pair], body: Iterable[Pair]) -> Params:
    """Both, the body winning by top-level name.  What contradicts the other is remembered."""
    in_query, in_body = read_parameters(query), read_parameters(body)
    guarded = _GUARDED if in_query else ()
    conflicts = {name for name in guarded if _differ(name, in_query.get(name), in_body.get(name))}
    filled = {name: value for name, value in in_body.items() if value != ""}
    return Params(in_query | filled, frozenset(conflicts))


def of_mapping(values: Mapping[str, Plain]) -> Params:
    """Parameters that no wire carried: PHP's casts of them."""
    return Params({name: _cast(value) for name, value in values.items()})


def read_pairs(raw: bytes) -> list[Pair]:
    """Form-urlencoded pairs in their order.  Raises BadRequest beyond the limits of DESIGN §11."""
    parts = [part for part in raw.split(b"&") if part]
    check_count(len(parts))
    return [_pair(part) for part in parts]


def sniff(raw: bytes) -> Format | None:
    """Which answer a body asked for that could not be read as a whole."""
    found = _SNIFFED.search(raw)
    return format_of(found[1].decode()) if found else None


def text_of(raw: bytes) -> str:
    """UTF-8, or else what an install with an older charset would have sent."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def check_count(number: int) -> None:
    """Raise BadRequest for more parameters than DESIGN §11 allows."""
    if number > MOST_PARAMETERS:
        raise BadRequest("There are too many parameters.")


def check_length(length: int) -> None:
    """Raise BadRequest for a parameter of more bytes than DESIGN §11 allows."""
    if length > LONGEST_PARAMETER:
        raise BadRequest("A parameter is too long.")


def _pair(part: bytes) -> Pair:
    check_length(len(part))
    name, _, value = part.replace(b"+", b" ").partition(b"=")
    if b"%" not in part:
        return text_of(name), text_of(value)
    return text_of(unquote_to_bytes(name)), text_of(unquote_to_bytes(value))


def _differ(name: str, one: "Parameter | None", other: "Parameter | None") -> bool:
    if not one or not other:
        return False
    if name == "action" and isinstance(one, str) and isinstance(other, str):
        return one.strip().lower() != other.strip().lower()
    return one != other


def _cast(value: Plain) -> str:
    match value:
        case None | False:
            return ""
        case True:
            return "1"
        case _:
            return str(value)
