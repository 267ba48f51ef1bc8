"""The one thing that callers send as PHP's serialize() writes it: a flat array of texts by number — whmcs-api §3.6.

`customfields` is base64 of `a:1:{i:7;s:6:"Search";}`.  Read is this and nothing else: no objects, no references, no
arrays in arrays.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

_HEAD: Final = re.compile(rb"a:(\d{1,5}):\{", re.ASCII)
_KEY: Final = re.compile(rb'(?:i:(\d{1,9})|s:\d{1,2}:"(\d{1,9})");', re.ASCII)
_PLAIN: Final = re.compile(rb"(?:i:(-?\d{1,18})|b:([01])|d:([0-9.eE+-]{1,32})|(N));", re.ASCII)
_TEXT: Final = re.compile(rb's:(\d{1,6}):"', re.ASCII)


def read_fields(text: str) -> Mapping[int, str]:
    """Number → value.  Raises ValueError for what is not such an array in base64."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    if (head := _HEAD.match(raw)) is None:
        raise ValueError("not a serialized array")
    at, found = head.end(), dict[int, str]()
    for _ in range(int(head[1])):
        if (key := _KEY.match(raw, at)) is None:
            raise ValueError("not numbered by its fields")
        value, at = _value(raw, key.end())
        found[int(key[1] or key[2])] = value
    if raw[at:] != b"}":
        raise ValueError("not a serialized array")
    return found


def _value(raw: bytes, at: int) -> tuple[str, int]:
    if (plain := _PLAIN.match(raw, at)) is not None:
        integer, boolean, real, _ = plain.groups(b"")
        return (integer or real or boolean.replace(b"0", b"")).decode(), plain.end()
    if (begun := _TEXT.match(raw, at)) is None:
        raise ValueError("not a text")
    start, end = begun.end(), begun.end() + int(begun[1])
    if raw[end : end + 2] != b'";':
        raise ValueError("not as long as it says")
    return raw[start:end].decode("utf-8", "replace"), end + 2
