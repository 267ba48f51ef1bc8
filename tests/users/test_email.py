"""One notion of an e-mail address — security §10."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.outbox.message import Undeliverable, one_address
from bridge.users import email as room
from bridge.users.email import email_key


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@Example.COM", "ada@example.com"),
        ("  ada@example.com\t\r\n", "ada@example.com"),
        ("\u3000ada@example.com\xa0", "ada@example.com"),
        ("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ada@example.com"),
        ("o\ufb03ce@example.com", "office@example.com"),
        ("jose\u0301@example.com", "jos\xe9@example.com"),
        ("JOS\xc9@example.com", "jos\xe9@example.com"),
        ("stra\xdfe@example.com", "strasse@example.com"),
        ("\u03a3\u03a3@example.com", "\u03c3\u03c3@example.com"),
        ("ada@b\xfccher.example", "ada@xn--bcher-kva.example"),
        ("ada@B\xdcCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@例え。jp", "ada@xn--r8jz45g.jp"),
        ("ada@stra\xdfe.example", "ada@xn--strae-oqa.example"),
        ("ada@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example", "ada@xn--mgba3gch31f060k.example"),
        ("ada@\u0646\u0627\u0645\u0647\u0627\u06cc.example", "ada@xn--mgba3gch31f.example"),
        ("a@b@example.com", "a@b@example.com"),
        ("\u01f0@example.com", "\u01f0@example.com"),  # casefolding alone would take it apart
        ("root@localhost", "root@localhost"),
        ("ada@a_b.example", "ada@a_b.example"),
    ],
)
def test_one_address_has_one_key(typed: str, key: str) -> None:
    assert email_key(typed) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("isik@example.com", "\u0131s\u0131k@example.com"),  # dotless i is another letter
        ("i@example.com", "\u0130@example.com"),  # and so is the dotted capital
        ("jose@example.com", "jos\xe9@example.com"),  # an accent is not decoration
        ("ada@example.com", "ada+x@example.com"),
        ("a.da@example.com", "ada@example.com"),
    ],
)
def test_different_addresses_have_different_keys(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)
    assert None not in (email_key(one), email_key(other))


@pytest.mark.parametrize(
    "typed",
    [
        *("", "   ", "ada", "@", "ada@", "@example.com", "ada@.com", "ada@example..com", "ada@example.com."),
        *("a da@example.com", "ada@exam ple.com", "ada\x00@example.com", "ada@example.com\x00", "ada@ex\nample.com"),
        *("ada\u200b@example.com", "a\u202eda@example.com", "ada\ud800@example.com", "ada@\ud800.com", "\uffff@a.com"),
        *("ada@-\xe9-.com", "ada@" + "\xe9" * 80 + ".com", "a" * 320 + "@b.com", "\ufdfa" * 100 + "@example.com"),
        *("ada@x\ufe6by.com", "ada@\u2100.com", "ada@exa\u2488mple.com"),  # an @, a slash, a dot more, once folded
    ],
)
def test_what_is_no_address_has_no_key(typed: str) -> None:
    assert email_key(typed) is None


@given(st.one_of(st.text(max_size=400), st.from_regex(r"(?s).{0,20}@.{0,20}\.(com|\w{1,5})", fullmatch=True)))
def test_a_key_is_its_own_key_and_nothing_raises(text: str) -> None:
    key = email_key(text)
    assert key is None or (email_key(key) == key and len(key) <= 320)


@example("owner@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.com")  # a joiner that older rules drop
@example("owner@\u0915\u094d\u200d\u0937.com")
@example("victim@ex\u115fample.ws")  # a letter without a shape
@example("owner@stra\xdfe.example")
@example("a@x\ufe6by.com")
@given(st.builds("{}@x{}y.example".format, st.text("aé", min_size=1), st.text(max_size=3)))
def test_a_letter_goes_to_the_domain_that_the_account_is_known_by(text: str) -> None:
    key = email_key(text)
    try:
        to = one_address(text.strip())
    except Undeliverable:
        return
    assert key is None or key.rpartition("@")[2] == to.domain


def test_the_short_way_for_ascii_says_what_the_tables_of_unicode_say() -> None:
    for letter in map(chr, range(128)):
        assert room._visible(letter) == (unicodedata.category(letter) not in room._REFUSED), letter
        assert room._folded(letter) == unicodedata.normalize("NFKC", letter).casefold(), letter
