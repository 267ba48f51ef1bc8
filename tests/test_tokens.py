"""The login token, the slots and the names of everything: forms that can never change — security §0; S1, S17."""

import hashlib
import hmac

import pytest

from bridge.secret import Secret
from bridge.stores.store import slot
from bridge.tokens import LoginToken, Names, Slots, base62, new_family, new_id, tag_bytes
from bridge.types import ClientId, FamilyId, SlotTag, UserId

SLOT_KEY = bytes(range(32, 64))
SLOTS = Slots(Secret(SLOT_KEY))
TAG = SlotTag("Kj84EICPCvt")
TEXT = "Kj84EICPCvt7dl5PEW67zZCpFU9uKaHnGgOvQKAR"
SID = "8979e58601938c440217f1874bd96b55387bfc017ca7580c63433d82c62379ec"
NAMES = Names("https://login.example")
SHOP = "8d9001d32c6a703d95921a77115050f33dd823d3f1730bd35215dcbecad6dc20"


def counted(size: int) -> bytes:
    return bytes(range(size))


def test_the_tag_of_a_user() -> None:
    """64 bits of HMAC-SHA256(slot key, "user" ‖ user id), each part with its length before it, in base62."""
    assert SLOTS.of_user(UserId(1)) == TAG
    message = b"\0\0\0\x04user\0\0\0\x011"
    assert tag_bytes(TAG) == hmac.digest(SLOT_KEY, message, "sha256")[:8]


def test_the_tag_of_a_client_is_never_a_users() -> None:
    assert SLOTS.of_client(ClientId("1")) == "6WqqRVUPbOF" != SLOTS.of_user(UserId(1))
    assert SLOTS.of_user(UserId(23)) == "BDOGczb1p3Y"


def test_6_another_slot_key_has_another_fingerprint_and_other_tags() -> None:
    other = Slots(Secret(bytes(32)))
    assert SLOTS.fingerprint == "3ba100e9f0ea3186" != other.fingerprint
    assert other.of_user(UserId(1)) != TAG
    assert SLOT_KEY.hex()[:16] not in SLOTS.fingerprint


def test_a_login_token_is_eleven_characters_of_tag_and_29_random_ones() -> None:
    token = LoginToken.draw(TAG, counted)
    assert (token.text.reveal(), token.tag, token.sid) == (TEXT, TAG, SID)
    assert token.sid == hashlib.sha256(TEXT.encode()).hexdigest()


def test_a_parsed_token_is_the_drawn_one() -> None:
    token = LoginToken.parse(TEXT)
    assert token is not None
    assert (token.text.reveal(), token.tag, token.sid) == (TEXT, TAG, SID)


def test_s1_drawn_tokens_differ_in_their_random_part() -> None:
    drawn = {LoginToken.draw(TAG).text.reveal()[11:] for _ in range(1_000)}
    assert len(drawn) == 1_000
    assert {len(text) for text in drawn} == {29}


@pytest.mark.parametrize(
    "text", ["", TEXT[:-1], TEXT + "0", TEXT[:-1] + "-", TEXT[:-1] + "\n", TEXT + "\n", " " + TEXT, "٠" * 40, "é" * 40]
)
def test_what_has_not_the_form_is_no_token(text: str) -> None:
    assert LoginToken.parse(text) is None


def test_s17_a_token_shows_neither_in_its_repr_nor_in_an_error() -> None:
    token = LoginToken.draw(TAG, counted)
    assert TEXT not in repr(token) and TEXT[11:] not in f"{token!r} {token.text}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (NAMES.session(LoginToken.draw(TAG, counted)), f"lb:ced4229b:s:{{{TAG}}}:{SID}"),
        (NAMES.pending(TAG, LoginToken.draw(TAG, counted)), f"lb:ced4229b:p:{{{TAG}}}:{SID}"),
        (NAMES.ticket(LoginToken.draw(TAG, counted)), f"lb:ced4229b:q:{{{TAG}}}:{SID}"),
        (NAMES.sso(LoginToken.draw(TAG, counted)), f"lb:ced4229b:o:{{{TAG}}}:{SID}"),
        (NAMES.stamp(TAG), f"lb:ced4229b:v:{{{TAG}}}"),
        (NAMES.token("code", TAG, SID), f"lb:ced4229b:c:{{{TAG}}}:{SID}"),
        (NAMES.token("access", TAG, SID), f"lb:ced4229b:a:{{{TAG}}}:{SID}"),
        (NAMES.token("refresh", TAG, SID), f"lb:ced4229b:r:{{{TAG}}}:{SID}"),
        (NAMES.family(TAG, FamilyId("0011223344556677")), f"lb:ced4229b:f:{{{TAG}}}:0011223344556677"),
        (NAMES.consent(TAG, ClientId("shop")), f"lb:ced4229b:k:{{{TAG}}}:{SHOP}"),
        (NAMES.mark(TAG, "totp", "1"), f"lb:ced4229b:m:{{{TAG}}}:totp:1"),
        (NAMES.born_under(TAG, "id"), f"lb:ced4229b:x:{{{TAG}}}:id"),
        (NAMES.sessions_of(TAG), f"lb:ced4229b:us:{{{TAG}}}"),
        (NAMES.devices_of(TAG), f"lb:ced4229b:ud:{{{TAG}}}"),
        (NAMES.families_of(TAG, ClientId("shop")), f"lb:ced4229b:fc:{{{TAG}}}:{SHOP}"),
    ],
)
def test_1_every_kind_has_a_letter_of_its_own_and_all_of_a_user_lies_in_his_slot(name: str, expected: str) -> None:
    assert name == expected
    assert slot(name) == TAG


def test_6_two_issuers_have_two_prefixes() -> None:
    assert NAMES.prefix == "lb:ced4229b:"
    assert Names("https://login.example/").prefix != NAMES.prefix
    assert NAMES.instance == hashlib.sha256(b"https://login.example").hexdigest()[:8]


def test_what_belongs_to_no_user_lies_in_slots_of_their_own() -> None:
    assert slot(NAMES.interaction("a")) != slot(NAMES.interaction("b"))
    assert slot(NAMES.owner()) == "owner"
    assert NAMES.limiter("login:x").startswith("lb:ced4229b:rl:")  # outside of what a session cache tracks


def test_base62_keeps_its_width_and_refuses_what_does_not_fit() -> None:
    assert (base62(0, 3), base62(61, 1), base62(62, 3)) == ("000", "z", "010")
    assert base62(2**64 - 1, 11) == "LygHa16AHYF"
    with pytest.raises(OverflowError):
        base62(62, 1)


@pytest.mark.parametrize("number", [0, 1, 2**63, 2**64 - 1])
def test_a_tag_spells_eight_bytes(number: int) -> None:
    assert tag_bytes(SlotTag(base62(number, 11))) == number.to_bytes(8, "big")


def test_a_tag_that_was_never_drawn_spells_nothing() -> None:
    with pytest.raises(OverflowError):
        tag_bytes(SlotTag("z" * 11))


def test_ids_and_families() -> None:
    assert new_id(counted) == base62(int.from_bytes(counted(16), "big"), 22)
    assert new_family(counted) == "0001020304050607"
    assert len({new_id() for _ in range(100)}) == 100
