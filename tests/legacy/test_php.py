"""Parameters as PHP reads them — whmcs-api §1.1; compared with a real PHP where there is one."""

import json
import subprocess
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.legacy.php import Array, read_parameters
from tests.servers import need

CASES: list[tuple[list[tuple[str, str]], Array]] = [
    ([("a", "1"), ("a", "2")], {"a": "2"}),
    ([("key[0]", "a"), ("key[1]", "b")], {"key": {"0": "a", "1": "b"}}),
    ([("key[]", "a"), ("key[]", "b")], {"key": {"0": "a", "1": "b"}}),
    ([("key[5]", "a"), ("key[]", "b")], {"key": {"5": "a", "6": "b"}}),
    ([("p[general]", "1"), ("p[product]", "0")], {"p": {"general": "1", "product": "0"}}),
    ([("a[b][c]", "1"), ("a[b][d]", "2")], {"a": {"b": {"c": "1", "d": "2"}}}),
    ([("a", "1"), ("a[x]", "2")], {"a": {"x": "2"}}),
    ([("a[x]", "1"), ("a", "2")], {"a": "2"}),
    ([("a.b", "1"), ("c d", "2"), (" e", "3")], {"a_b": "1", "c_d": "2", "e": "3"}),
    ([("a[b", "1")], {"a_b": "1"}),
    ([("a[b]c", "1")], {"a": {"b": "1"}}),
    ([("a[[b]]", "1")], {"a": {"[b": "1"}}),
    ([("[a]", "1"), ("", "2")], {}),
    ([("a\x00b", "1")], {"a": "1"}),
]


@pytest.mark.parametrize(("pairs", "expected"), CASES)
def test_names_make_arrays_as_in_php(pairs: list[tuple[str, str]], expected: Array) -> None:
    assert read_parameters(pairs) == expected


def test_php_says_the_same() -> None:
    php = need("php", "apt install php-cli")
    queries = ["&".join(f"{quote(name)}={quote(value)}" for name, value in pairs) for pairs, _ in CASES]
    program = (
        "foreach (json_decode(file_get_contents('php://stdin')) as $q) { parse_str($q, $o); $all[] = $o; }"
        "echo json_encode($all, JSON_FORCE_OBJECT);"
    )
    ran = subprocess.run([php, "-r", program], input=json.dumps(queries).encode(), capture_output=True, check=True)
    assert list(json.loads(ran.stdout).values()) == [expected for _, expected in CASES]


def test_nothing_nests_without_end() -> None:
    assert read_parameters([("a" + "[b]" * 7, "1")])
    assert not read_parameters([("a" + "[b]" * 8, "1")])


def test_a_key_too_long_for_a_number_is_text() -> None:
    digits = "9" * 5_000
    assert read_parameters([(f"a[{digits}]", "1"), ("a[]", "2")]) == {"a": {digits: "1", "0": "2"}}
    assert read_parameters([(f"a[{'9' * 18}]", "1"), ("a[]", "2")])["a"] == {"9" * 18: "1", "1" + "0" * 18: "2"}


@given(st.lists(st.tuples(st.text("a[]. \x000b", max_size=12), st.text(max_size=3)), max_size=12))
def test_no_name_is_too_strange(pairs: list[tuple[str, str]]) -> None:
    assert all(name and "\x00" not in name for name in read_parameters(pairs))
