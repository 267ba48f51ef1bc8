"""Tokens that go out by mail — security §5, §24."""

from types import SimpleNamespace

import pytest

from bridge.database.mailed import MailedTokens, hash_of
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret

RING = Ring([MasterKey("m1", Secret(b"r" * 32))])


def row(**columns: object) -> SimpleNamespace:
    return SimpleNamespace(**columns)


def test_whoever_shows_the_token_is_found_by_its_hash() -> None:
    columns = MailedTokens("invites", RING).new()
    token = MailedTokens("invites", RING).open(row(**columns))
    assert token is not None and hash_of(token) == columns["token_hash"]
    assert len(token.reveal()) == 43 and token.reveal().isalnum()
    assert token.reveal().encode() not in columns["token_enc"]


def test_no_two_are_the_same_and_each_has_256_random_bits() -> None:
    drawn: list[int] = []

    def draw(length: int) -> bytes:
        drawn.append(length)
        return b"\xff" * length

    MailedTokens("invites", RING, draw).new()
    assert drawn == [32]
    tokens = MailedTokens("invites", RING)
    assert tokens.new()["token_hash"] != tokens.new()["token_hash"]


def test_a_sealed_copy_opens_in_its_own_row_and_table_only() -> None:
    tokens = MailedTokens("invites", RING)
    one, two = tokens.new(), tokens.new()
    assert tokens.open(row(**one | {"token_enc": two["token_enc"]})) is None
    assert MailedTokens("email_changes", RING).open(row(**one)) is None
    assert MailedTokens("invites", Ring.parse(Ring.new_line("m1"))).open(row(**one)) is None
    assert tokens.open(row(**one | {"token_enc": None})) is None


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "é" * 43, "a" * 42 + "\n", "-" * 43, b"\xff" * 43])
def test_what_cannot_be_one_is_asked_of_no_database(text: str | bytes) -> None:
    assert hash_of(Secret(text)) is None
