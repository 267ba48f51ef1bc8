"""Parameters as PHP reads them: the last value wins, `key[0]`, `key[]` and `key[name]` make arrays — whmcs-api §1.1."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Array: TypeAlias = "dict[str, Parameter]"
Parameter: TypeAlias = "str | Array"
Pair: TypeAlias = tuple[str, str]

_DEEPEST: Final = 8
_NUMBER: Final = re.compile(r"\d{1,18}", re.ASCII)  # a longer key is text, as PHP's integers have 64 bits
_MANGLED: Final = str.maketrans({" ": "_", ".": "_", "[": "_"})


def read_parameters(pairs: Iterable[Pair]) -> Array:
    """All pairs, in their order, as one array."""
    out: Array = {}
    for name, value in pairs:
        if name.isalnum():  # nothing to read in it
            out[name] = value
            continue
        path = _path(name)
        if path is not None:
            _put(out, path, value)
    return out


def _path(name: str) -> list[str] | None:
    """`a[b][]` → a, b, "" (the next number).  None: no name, or too deep; PHP drops these too."""
    name = name.partition("\x00")[0].lstrip(" ")
    head, bracket, rest = name.partition("[")
    if not head:
        return None
    if not bracket or "]" not in rest:
        return [name.translate(_MANGLED)]
    path, rest = [head.translate(_MANGLED)], bracket + rest
    while rest.startswith("[") and "]" in rest:
        step, _, rest = rest[1:].partition("]")
        path.append(step.lstrip(" "))
    return path if len(path) <= _DEEPEST else None


def _put(array: Array, path: list[str], value: str) -> None:
    for step in path[:-1]:
        key = step or _next(array)
        inner = array.get(key)
        if not isinstance(inner, dict):
            inner = {}
            array[key] = inner
        array = inner
    array[path[-1] or _next(array)] = value


def _next(array: Array) -> str:
    return str(max((int(key) for key in array if _NUMBER.fullmatch(key)), default=-1) + 1)
