"""Writing and reading records: exact bytes under the MAC, and nothing made up is read — security §0, §11."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sessions.record import MOST_REMEMBERED, Ended, RecordCodec, Rotated, SessionRecord, encode_trace
from bridge.types import Key, UserId
from tests.sessions.test_judge import CODEC, ISSUER, KEY, RECORD

OTHER = Key(KEY[:-1] + "x")
RAW = CODEC.encode(KEY, RECORD)


def fresh() -> RecordCodec:
    """A codec that remembers nothing."""
    return RecordCodec({"k1": bytes(32)}, ISSUER)


def test_what_was_written_is_read() -> None:
    assert fresh().decode(KEY, RAW) == RECORD


def test_11_the_reading_is_remembered_for_its_own_key_only() -> None:
    codec = fresh()
    assert codec.decode(KEY, RAW) == codec.decode(KEY, RAW) == RECORD
    assert codec.decode(OTHER, RAW) is None
    assert codec.decode(KEY, RAW[:-2] + b" }") is None


def test_what_is_remembered_is_bounded() -> None:
    codec = fresh()
    for number in range(MOST_REMEMBERED + 10):
        record = msgspec.structs.replace(RECORD, last=number)
        assert codec.decode(KEY, codec.encode(KEY, record)) == record
    assert len(codec._verified) == MOST_REMEMBERED


@pytest.mark.parametrize("at", [0, 2, 5, 40, 70, 80, 200, -1])
def test_11_a_changed_byte_is_no_record(at: int) -> None:
    changed = bytearray(RAW)
    changed[at] ^= 1
    assert fresh().decode(KEY, bytes(changed)) is None


@given(st.binary(max_size=200))
def test_11_nothing_made_up_is_a_record(raw: bytes) -> None:
    assert not isinstance(fresh().decode(KEY, raw), SessionRecord)


def test_a_record_sealed_with_an_older_key_is_read_and_a_removed_key_reads_nothing() -> None:
    both = RecordCodec({"k2": bytes(range(32)), "k1": bytes(32)}, ISSUER)
    assert both.decode(KEY, RAW) == RECORD
    assert both.encode(KEY, RECORD).startswith(b"1.k2.")  # and sealed anew when it is next written
    assert RecordCodec({"k2": bytes(range(32))}, ISSUER).decode(KEY, RAW) is None


def test_6_another_issuers_record_is_none_of_ours() -> None:
    assert RecordCodec({"k1": bytes(32)}, "https://other.example").decode(KEY, RAW) is None


def test_members_that_we_do_not_know_are_left_alone() -> None:
    """A newer bridge may add some; ours still reads the record."""
    from bridge.secret import mac

    body = RAW.split(b".", 3)[3][:-1] + b',"more":[1]}'
    sealed = b"1.k1." + mac(bytes(32), "record", KEY, body).hex().encode() + b"." + body
    assert fresh().decode(KEY, sealed) == RECORD


def test_what_is_left_of_a_session_is_read_as_such() -> None:
    ended = Ended(id="1", uid=UserId(7), reason="you", at=1)
    rotated = Rotated(id="1", uid=UserId(7), at=1, by="0" * 64)
    assert fresh().decode(KEY, encode_trace(ended)) == ended
    assert fresh().decode(KEY, encode_trace(rotated)) == rotated
    assert fresh().decode(KEY, b'0.{"type":"resurrected"}') is None
    assert fresh().decode(KEY, b"0.") is None
    assert fresh().decode(KEY, None) is None


def test_no_trace_is_a_record_and_no_record_a_trace() -> None:
    for trace in (Ended(id="1", uid=UserId(7), reason="you", at=1), Rotated(id="1", uid=UserId(7), at=1, by="x")):
        assert encode_trace(trace).startswith(b"0.")
    assert RAW.startswith(b"1.")
