"""Custom fields as PHP serializes them — whmcs-api §3.6."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.legacy.php_array import read_fields


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"a:0:{}", {}),
        (b'a:1:{i:1;s:6:"Google";}', {1: "Google"}),
        (b'a:1:{s:2:"12";s:3:"x;}";}', {12: "x;}"}),
        (b'a:2:{i:1;s:3:"\xe4\xb8\xad";i:2;s:0:"";}', {1: "\u4e2d", 2: ""}),
        (b"a:4:{i:1;i:-5;i:2;b:1;i:3;b:0;i:4;N;}", {1: "-5", 2: "1", 3: "", 4: ""}),
        (b"a:1:{i:1;d:0.5;}", {1: "0.5"}),
    ],
)
def test_a_flat_array_of_scalars_is_read_as_php_casts_them_to_text(raw: bytes, fields: dict[int, str]) -> None:
    assert read_fields(encoded(raw)) == fields


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"i:1;",
        b"a:1:{}",
        b'a:1:{i:1;s:7:"Google";}',
        b'a:1:{i:1;s:5:"Google";}',
        b'a:1:{i:1;s:6:"Google";}i:1;',
        b'a:2:{i:1;s:1:"a";}',
        b'a:1:{s:4:"name";s:1:"a";}',
        b"a:1:{i:1;a:0:{}}",
        b'a:1:{i:1;O:8:"stdClass":0:{}}',
        b"a:1:{i:1;R:1;}",
        b'a:1:{i:-1;s:1:"a";}',
    ],
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not "):
        read_fields(encoded(raw))


def test_what_is_not_base64_is_refused() -> None:
    for text in ("a:0:{}", "YTowOn*9", "\u4e2d"):
        with pytest.raises(ValueError, match="not base64"):
            read_fields(text)


@given(st.dictionaries(st.integers(0, 10**9 - 1), st.text(st.characters(codec="utf-8"), max_size=20), max_size=5))
def test_what_php_would_write_is_read_back(fields: dict[int, str]) -> None:
    parts = (f'i:{number};s:{len(value.encode())}:"{value}";' for number, value in fields.items())
    assert read_fields(encoded(f"a:{len(fields)}:{{{''.join(parts)}}}".encode())) == fields


@given(st.binary(max_size=40))
def test_no_bytes_break_it(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_fields(encoded(b"a:1:{" + raw))
