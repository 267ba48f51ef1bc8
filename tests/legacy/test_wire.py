"""How an answer looks on the wire, whatever is in it — whmcs-api §1.2, §1.4, §1.5."""

import json
import re
import subprocess
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.legacy.options import LegacyOptions
from bridge.legacy.wire import Content, Scalar, format_of, reply, to_json, to_nvp, to_xml
from tests.servers import need

PLAIN = LegacyOptions()
SCALARS: st.SearchStrategy[Scalar] = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40)
FLAT = st.dictionaries(st.text("abcdefgXYZ_0", min_size=1, max_size=8).map(lambda key: f"k{key}"), SCALARS, max_size=6)


@pytest.mark.parametrize(
    ("asked", "form"),
    [("json", "json"), ("JSON", "json"), (" xml ", "xml"), ("nvp", "nvp"), ("", "nvp"), ("yaml", "nvp")],
)
def test_the_form_is_json_or_xml_if_asked_for_and_nvp_otherwise(asked: str, form: str) -> None:
    assert format_of(asked) == form


@given(FLAT)
def test_a_json_answer_reads_as_what_was_said(content: dict[str, Scalar]) -> None:
    assert json.loads(to_json(content)) == (content or [])


@given(FLAT)
def test_json_is_ascii_and_escapes_every_slash(content: dict[str, Scalar]) -> None:
    text = to_json(content)
    assert text.isascii()
    assert not re.search(r"(?<!\\)/", text)


@given(FLAT)
def test_xml_parses_and_says_the_same_but_for_forbidden_characters(content: dict[str, Scalar]) -> None:
    root = ET.fromstring(to_xml("X", content, PLAIN))
    assert {element.tag: element.text or "" for element in list(root)[1:]} == {
        key: re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", _cast(value)) for key, value in content.items()
    }


@given(FLAT)
def test_nvp_has_one_field_for_each_key_whatever_the_values_hold(content: dict[str, Scalar]) -> None:
    text = to_nvp({"result": "success", **content}, PLAIN)
    assert "\n" not in text and "\r" not in text and text.endswith(";")
    fields = [field.partition("=") for field in text[:-1].split(";")]
    assert [name for name, _, _ in fields] == ["result", *content]
    assert len(text.splitlines()) <= 1


@given(FLAT)
def test_no_form_says_anything_else_than_another(content: dict[str, Scalar]) -> None:
    in_json = json.loads(to_json({"result": "success", **content}))
    text = to_nvp({"result": "success", **content}, PLAIN)
    fields = {name: value for name, _, value in (field.partition("=") for field in text[:-1].split(";"))}
    breaks = "[;\r\n\v\f\x1c-\x1e\x85\u2028\u2029]"
    assert fields == {key: re.sub(breaks, " ", _cast(value)) for key, value in in_json.items()}


def test_what_is_no_character_is_replaced_not_failed_on() -> None:
    lonely = {"result": "success", "name": "a\ud800b"}
    for form in ("json", "xml", "nvp"):
        text = reply("X", lonely, form, PLAIN).body.decode()
        assert "a\ufffd" in json.loads(text)["name"] if form == "json" else "a\ufffd" in text


def test_a_name_cannot_leave_its_element() -> None:
    root = ET.fromstring(to_xml("a<b>&", {"1 <x>": "v", "": "w"}, PLAIN))
    assert [element.tag for element in root] == ["action", "_1__x_", "_"]
    assert root[0].text == "a<b>&"


def test_a_key_cannot_add_a_field_to_nvp() -> None:
    assert to_nvp({"result": "error", "a=b;c": "d"}, PLAIN) == "result=error;a b c=d"


def test_scalars_are_text_where_that_is_set() -> None:
    said: Content = {"userid": 1, "twoFactorEnabled": False, "other": True, "list": [{"id": 2}], "none": None}
    assert reply("X", said, "json", LegacyOptions(string_scalars=True)).body == (
        b'{"userid":"1","twoFactorEnabled":"false","other":"true","list":[{"id":"2"}],"none":null}'
    )
    assert json.loads(reply("X", said, "json", PLAIN).body)["twoFactorEnabled"] is False


def test_lists_repeat_their_key_where_that_is_set() -> None:
    said: Content = {"users": [{"id": 1}, {"id": 2}]}
    root = ET.fromstring(to_xml("X", said, LegacyOptions(xml_lists="repeat")))
    assert [element.tag for element in root] == ["action", "users", "users"]
    assert len(ET.fromstring(to_xml("X", said, PLAIN)).findall("users/user")) == 2


def test_lists_are_refused_in_nvp_where_that_is_set() -> None:
    refuse = LegacyOptions(nvp_lists="refuse")
    assert to_nvp({"result": "success", "users": {"user": []}}, refuse) == (
        "result=error;message=This API function can only return XML response format;"
    )
    assert to_nvp({"result": "success", "whmcs": {"version": "8"}}, refuse) == "result=success;whmcs[version]=8;"


def test_the_advertised_version_is_the_roots() -> None:
    assert '<whmcsapi version="9.0">' in to_xml("X", {}, LegacyOptions(advertised_version="9.0"))


def test_the_media_type_of_nvp_can_be_set() -> None:
    assert reply("X", {}, "nvp", LegacyOptions(nvp_content_type="text/html")).content_type == b"text/html"


def test_no_answer_is_stored_or_told_to_the_next_site() -> None:
    headers = dict(reply("X", {}, "json", PLAIN).headers)
    assert headers[b"cache-control"] == b"no-store" and headers[b"referrer-policy"] == b"no-referrer"


def test_json_is_what_php_prints() -> None:
    """Compared with a real PHP, over everything below U+0800 and what lies beyond the first plane."""
    php = need("php", "apt install php-cli")
    letters = [chr(code) for code in range(0x800)] + ["\u20ac", "\u4e2d", "\ufffd", "\uffff", "\U0001f600"]
    said: Content = {"all": "".join(letters), "pair": '\\u007f/"', "int": 7, "yes": True, "no": None, "l": [], "d": {}}
    program = "echo json_encode(json_decode(file_get_contents('php://stdin'), true));"
    ours = json.dumps(said).encode()
    printed = subprocess.run([php, "-r", program], input=ours, capture_output=True, check=True).stdout
    assert to_json(said).encode() == printed


def _cast(value: object) -> str:
    if value is None or value is False:
        return ""
    return "1" if value is True else str(value)
