"""Query and body, merged and typed — whmcs-api §0, §1.1, security §25."""

import time

import pytest

from bridge.asgi import BadRequest
from bridge.legacy.multipart import read_multipart
from bridge.legacy.params import Params, merge, of_mapping, read_pairs, sniff


def params(body: bytes, query: bytes = b"") -> Params:
    return merge(read_pairs(query), read_pairs(body))


def test_the_body_wins_over_the_query() -> None:
    merged = params(b"limit=1", b"limit=2&other=3")
    assert (merged.text("limit"), merged.text("other")) == ("1", "3")
    assert not merged.conflicts


def test_an_empty_string_is_as_good_as_nothing() -> None:
    merged = params(b"username=&password=", b"username=portal")
    assert merged.text("username") == "portal"
    assert not merged.conflicts
    assert merged.text("password") == merged.text("absent") == ""


@pytest.mark.parametrize(
    "name", ["action", "accesskey", "identifier", "secret", "username", "password", "email", "password2"]
)
def test_what_matters_is_marked_where_query_and_body_differ(name: str) -> None:
    assert params(f"{name}=a".encode(), f"{name}=b".encode()).conflicts == {name}
    assert params(f"{name}=a".encode(), f"{name}[x]=a".encode()).conflicts == {name}
    assert not params(f"{name}=a".encode(), f"{name}=a".encode()).conflicts


def test_an_action_is_the_same_in_any_case() -> None:
    assert not params(b"action=ValidateLogin", b"action=validatelogin").conflicts


@pytest.mark.parametrize("junk", ["undefined", "null", " null ", ""])
def test_junk_in_an_optional_parameter_is_nothing(junk: str) -> None:
    merged = of_mapping({"id": junk, "flag": junk})
    assert merged.optional("id") == "" and merged.number("id") is None and merged.flag("flag") is None


def test_a_password_may_be_the_word_null() -> None:
    assert params(b"password2=null").text("password2") == "null"
    assert params(b"password2=null").secret("password2").matches("null")


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("1", True),
        ("true", True),
        ("True", True),
        ("on", True),
        ("0", False),
        ("false", False),
        ("x", None),
        ("2", None),
    ],
)
def test_a_boolean_comes_in_every_spelling(text: str, flag: bool | None) -> None:
    assert of_mapping({"flag": text}).flag("flag") is flag


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), (" 7 ", 7), ("-7", -7), ("7.0", None), ("7a", None), ("\u0667", None), ("9" * 19, None), ("0x7", None)],
)
def test_an_integer_is_decimal_ascii(text: str, number: int | None) -> None:
    assert of_mapping({"id": text}).number("id") == number


def test_an_array_is_no_text() -> None:
    assert params(b"email[]=a@example.com").text("email") == ""


def test_utf8_is_read_and_anything_else_as_latin_1() -> None:
    assert params(b"name=%C3%A9").text("name") == "\u00e9"
    assert params(b"name=%E9").text("name") == "\u00e9"
    assert params("name=\u00e9".encode()).text("name") == "\u00e9"
    assert params(b"name=a+b%2B%26%3D%3B").text("name") == "a b+&=;"


@pytest.mark.parametrize(("raw", "why"), [(b"&".join([b"a=1"] * 101), "too many"), (b"a=" + b"x" * 8_192, "too long")])
def test_there_is_a_limit(raw: bytes, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        read_pairs(raw)


def test_up_to_the_limit_all_is_read() -> None:
    assert len(read_pairs(b"&".join([b"a=1"] * 100))) == 100
    assert read_pairs(b"a=" + b"x" * 8_190)


def test_values_do_not_show_in_a_repr() -> None:
    assert "hunter2" not in repr(params(b"password2=hunter2"))


def test_python_values_become_what_php_would_make_of_them() -> None:
    given = of_mapping({"a": True, "b": False, "c": None, "d": 7, "e": "x"})
    assert [given.text(name) for name in "abcde"] == ["1", "", "", "7", "x"]


BOUNDARY = "----b0undary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: bytes, extra: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def test_a_multipart_body_is_read() -> None:
    raw = part("action", b"ValidateLogin") + part("password2", "p&=;+\u00e9".encode()) + END
    assert read_multipart(raw, MULTIPART) == [("action", "ValidateLogin"), ("password2", "p&=;+\u00e9")]


def test_a_multipart_value_may_be_empty_or_hold_lines() -> None:
    raw = part("a", b"") + part("b", b"1\r\n2") + part("c", b"\xe9") + END
    assert read_multipart(raw, MULTIPART) == [("a", ""), ("b", "1\r\n2"), ("c", "\u00e9")]


def test_a_file_is_no_parameter() -> None:
    raw = part("email", b"x", '; filename="a.txt"') + part("id", b"1") + END
    assert read_multipart(raw, MULTIPART) == [("id", "1")]


@pytest.mark.parametrize(
    ("raw", "kind", "why"),
    [
        (part("a", b"1") + END, "multipart/form-data", "no boundary"),
        (b"nonsense", MULTIPART, "cannot be read"),
        (part("a", b"1") + part("b", b"2")[:-4], MULTIPART, "cannot be read"),
        (b"", MULTIPART, "cannot be read"),
        (b"".join(part("a", b"1") for _ in range(101)) + END, MULTIPART, "too many"),
        (part("a", b"x" * 8_192) + END, MULTIPART, "too long"),
        (part("a", b"1") + END, f"multipart/form-data; boundary={'b' * 300}", "cannot be read"),
    ],
)
def test_a_multipart_body_that_cannot_be_read_is_an_error(raw: bytes, kind: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        read_multipart(raw, kind)


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"a=1&responsetype=json&" + b"b=1&" * 200, "json"),
        (part("responsetype", b"xml"), "xml"),
        (b"responsetype=nvp", None),
        (b"", None),
    ],
)
def test_what_cannot_be_read_still_tells_which_answer_it_wants(raw: bytes, form: str | None) -> None:
    assert sniff(raw) == form


def test_a_long_unreadable_body_takes_as_much_longer_as_it_is_longer() -> None:
    def seconds(length: int) -> float:
        body = (b"&".join([b"x=1"] * 150) + b"&" + b'responsetype"\r\n' * 4_300)[:length]
        began = time.thread_time()
        assert sniff(body) is None
        return time.thread_time() - began

    short = min(seconds(4_000) for _ in range(5))
    long = min(seconds(64_000) for _ in range(3))
    assert long < 100 * short, "16 times the bytes: squared it would be more than 256 times the work"


@pytest.mark.parametrize(
    ("sent", "row"),
    [("7", 7), (" 7 ", 7), ("+7", 7), ("0", 0), ("-7", 0), ("", 0), ("7.0", 0), ("undefined", 0), ("9" * 19, 0)],
)
def test_the_number_of_a_row_is_nought_for_what_is_none(sent: str, row: int) -> None:
    assert Params({"id": sent}).row("id") == row
