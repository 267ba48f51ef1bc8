"""The key ring: constant vectors, strict reading, sealed values — security §5."""

import base64

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import ConfigError
from bridge.ring import MasterKey, Purpose, Ring, slot_key
from bridge.secret import Secret

KEY = bytes(range(32))
OLD = MasterKey("k1", Secret(KEY))
RING = Ring([MasterKey("k2", Secret(bytes(32))), OLD])
LINE = "k1:" + base64.urlsafe_b64encode(KEY).decode().rstrip("=")


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        ("locator", "c5c1ce366095598e3dc5d6a0f9378f5d04ffbe3cced0c56a0306e31b885efb21"),
        ("token-mac", "a2e484f2c4196284d9159a3bafdd5a1e99baeec5f682e9d5c9246a07ecf842c4"),
        ("record-mac", "537f63fdd07f2e70704455655df115856ac78771b2f339f03dfabaca4d717038"),
        ("csrf", "b5d3f06099825d8506798cf93537d64d3098722983af014970626a2a4c692fe3"),
    ],
)
def test_derived_keys_never_change(purpose: Purpose, expected: str) -> None:
    assert OLD.derive(purpose).hex() == expected


def test_a_derived_key_is_hkdf_with_the_purpose_as_its_framed_info() -> None:
    info = b"\0\0\0\x03lb1\0\0\0\x0crefresh-wrap\0\0\0\x03ctx"
    assert OLD.derive("refresh-wrap", b"ctx") == HKDF(SHA256(), 32, None, info).derive(KEY)


def test_keys_for_readers_are_derived_ones_newest_first() -> None:
    keys = RING.subkeys("record-mac")
    assert list(keys) == ["k2", "k1"]
    assert KEY not in keys.values() and keys["k1"] == OLD.derive("record-mac")


def test_the_newest_key_makes_and_all_check() -> None:
    sealed = Ring([OLD]).seal(b"plain", "users", "totp", "7")
    assert sealed.startswith(b"k1.")
    assert RING.open(sealed, "users", "totp", "7") == b"plain"
    assert RING.seal(b"plain").startswith(b"k2.")
    assert RING.newest.id == "k2"


def test_a_sealed_value_opens_only_where_and_for_what_it_was_sealed() -> None:
    sealed = RING.seal(b"plain", "users", "totp", "7", purpose="column-enc", context=b"c")
    assert RING.open(sealed, "users", "totp", "7", context=b"c") == b"plain"
    assert RING.open(sealed, "users", "totp", "8", context=b"c") is None
    assert RING.open(sealed, "users", "totp7", "", context=b"c") is None
    assert RING.open(sealed, "users", "totp", "7") is None
    assert RING.open(sealed, "users", "totp", "7", purpose="refresh-wrap", context=b"c") is None


@pytest.mark.parametrize("at", [0, 3, 15, -1])
def test_a_changed_byte_opens_nothing(at: int) -> None:
    sealed = bytearray(RING.seal(b"plain"))
    sealed[at] ^= 1
    assert RING.open(bytes(sealed)) is None


@pytest.mark.parametrize("sealed", [b"", b"k2", b"k2.", b"k2." + bytes(27), b"k9." + bytes(40), b"\xff." + bytes(40)])
def test_what_was_never_sealed_opens_nothing(sealed: bytes) -> None:
    assert RING.open(sealed) is None


def test_two_seals_of_one_value_differ() -> None:
    assert RING.seal(b"plain") != RING.seal(b"plain")


def test_a_ring_is_read_from_lines() -> None:
    ring = Ring.parse(f"# newest first\n{Ring.new_line('k9')}\n\n  {LINE}  \n")
    assert [key.id for key in ring] == ["k9", "k1"]
    old = ring.get("k1")
    assert old is not None and old.derive("csrf") == OLD.derive("csrf")
    assert ring.get("k7") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no key"),
        ("# nothing", "holds no key"),
        (f"{LINE}\n{LINE}", "two keys of one id"),
        ("k1", "each line"),
        ("k1:short", "each line"),
        (f"{LINE}AA", "each line"),
        (f"k 1{LINE[2:]}", "each line"),
        (f"{LINE[:-1]}!", "each line"),
    ],
)
def test_a_wrong_ring_is_refused_with_a_clear_word_and_without_its_secret(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        Ring.parse(text)
    assert LINE[3:] not in str(caught.value)


def test_the_slot_key_is_32_bytes() -> None:
    assert slot_key(f"  {LINE[3:]}\n").reveal_bytes() == KEY
    for text in ("", "AAAA", LINE[3:] + "AA", "!" * 43):
        with pytest.raises(ConfigError, match=r"secrets\.slot"):
            slot_key(text)


def test_a_key_never_shows() -> None:
    shown = f"{OLD!r} {OLD} {RING!r} {RING.newest!r}"
    assert KEY.hex() not in shown and LINE[3:] not in shown and repr(KEY) not in shown
