"""Text as rows keep it, and as searches compare it — security §10."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.database.text import SEARCHED, InvalidField, check_length, fold, many_lines, one_line

ANY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=60)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a  b ", "a b"),
        ("a\r\nb\rc\nd", "a b c d"),
        ("a\x00\x07b\x7f\x9b31m", "a b 31m"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("a\u3000b\t", "a b"),
        ("\ud800a\udfff", "a"),
        ("é\u0301 王", "é\u0301 王"),
        ("", ""),
    ],
)
def test_one_line_has_no_breaks_controls_or_halves(text: str, line: str) -> None:
    assert one_line(text) == line


def test_many_lines_have_breaks_of_one_kind() -> None:
    assert many_lines("a\r\n\tb\rc\u2028d\x00 ") == "a\n\tb\nc\nd  "


@given(ANY)
def test_whatever_was_typed_every_database_takes_the_line(text: str) -> None:
    line = one_line(text)
    line.encode()  # no half of a character
    assert not [each for each in line if unicodedata.category(each) in {"Cc", "Zl", "Zp"}]
    assert line == line.strip() and one_line(line) == line


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("José  MÜLLER ", "jose muller"),
        ("jos\u0065\u0301", "jose"),
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("ﬃ", "ffi"),
        ("Ａｄａ", "ada"),
        ("王小明", "王小明"),
        ("각", "각"),
        ("a\x00b", "a b"),
        ("\u0301", ""),
        ("İstanbul", "istanbul"),
    ],
)
def test_case_accents_and_blanks_make_no_difference_to_a_search(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(ANY)
def test_a_folded_text_folds_to_itself_and_fits(text: str) -> None:
    folded = fold(text)
    assert len(folded) <= SEARCHED
    folded.encode()


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x24F), max_size=300), st.data())
def test_the_beginning_of_a_latin_text_folds_to_the_beginning_of_its_fold(text: str, data: st.DataObject) -> None:
    beginning = text[: data.draw(st.integers(0, len(text)))]
    assert fold(text).startswith(fold(beginning)[:SEARCHED])


def test_what_would_be_cut_is_named() -> None:
    check_length("city", "x" * 3, 3)
    with pytest.raises(InvalidField, match="city: more than 3 characters") as raised:
        check_length("city", "x" * 4, 3)
    assert (raised.value.field, raised.value.why) == ("city", "more than 3 characters")
