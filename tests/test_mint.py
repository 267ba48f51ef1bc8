"""OAuth tokens: locator and MAC as constant vectors, one spelling — DESIGN §5, security §0."""

import base64
import hashlib

import pytest

from bridge.mint import OAuthToken, TokenMint, kind_of
from bridge.ring import MasterKey, Ring
from bridge.secret import Secret
from bridge.tokens import Names
from bridge.types import FamilyId, SlotTag, TokenKind

TAG, FAMILY = SlotTag("Kj84EICPCvt"), FamilyId("0011223344556677")
OLD = MasterKey("k1", Secret(bytes(range(32))))
MINT = TokenMint(Ring([OLD]))
TEXTS: dict[TokenKind, str] = {
    "code": "lbc_T5jGrLExb68_v7YlDHN8iwABAgMEBQYHCAkKCwwNDg8QERITFBUWFyLzZP8kx1n1",
    "access": "lba_T5jGrLExb68_v7YlDHN8iwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxXJPFsMCrZk",
    "refresh": "lbr_T5jGrLExb68_v7YlDHN8iwABAgMEBQYHCAkKCwwNDg8QERITFBUWF6-hrXWa_4b5",
}


def counted(size: int) -> bytes:
    return bytes(range(size))


@pytest.mark.parametrize("kind", TEXTS)
def test_the_form_of_a_token_never_changes(kind: TokenKind) -> None:
    token = MINT.draw(kind, TAG, FAMILY, counted)
    assert token.text.reveal() == TEXTS[kind]
    assert token.sha256 == hashlib.sha256(TEXTS[kind].encode()).hexdigest()


@pytest.mark.parametrize("kind", TEXTS)
def test_a_genuine_token_tells_its_slot_and_family(kind: TokenKind) -> None:
    token = MINT.parse(kind, TEXTS[kind])
    assert token is not None
    assert (token.kind, token.tag, token.family) == (kind, TAG, FAMILY)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("place", TEXTS)
def test_1_a_token_is_of_its_own_kind_only(kind: TokenKind, place: TokenKind) -> None:
    assert (MINT.parse(place, TEXTS[kind]) is not None) == (kind == place)
    assert (MINT.parse(place, TEXTS[place][:4] + TEXTS[kind][4:]) is not None) == (kind == place)


def test_every_bit_of_a_token_is_under_its_mac() -> None:
    raw = base64.urlsafe_b64decode(TEXTS["access"][4:])
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert MINT.parse("access", "lba_" + base64.urlsafe_b64encode(changed).decode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lba_",
        TEXTS["access"][:-1],
        TEXTS["access"] + "A",
        TEXTS["access"] + "\n",
        " " + TEXTS["access"],
        TEXTS["access"].replace("_v7", "/v7"),
        "LBA_" + TEXTS["access"][4:],
        "lba_" + "é" * 64,
        "lba_" + "A" * 64,
    ],
)
def test_there_is_one_spelling(text: str) -> None:
    assert MINT.parse("access", text) is None


def test_the_locator_tells_others_nothing() -> None:
    """Two families of one user, and the tag itself, look unrelated; two tokens of one family share their locator."""
    one, other = (MINT.draw("access", TAG, FamilyId(name * 16)) for name in "01")
    again = MINT.draw("access", TAG, FamilyId("0" * 16))
    locators = [base64.urlsafe_b64decode(token.text.reveal()[4:])[:16] for token in (one, other, again)]
    assert locators[0] == locators[2] != locators[1]
    assert sum(mine == others for mine, others in zip(*locators[:2], strict=True)) < 6
    assert TAG not in one.text.reveal()


def test_a_ring_reads_what_its_older_keys_struck_and_strikes_with_the_newest() -> None:
    new = MasterKey("k2", Secret(bytes(32)))
    both = TokenMint(Ring([new, OLD]))
    assert both.parse("code", TEXTS["code"]) is not None
    struck = both.draw("code", TAG, FAMILY)
    assert MINT.parse("code", struck.text.reveal()) is None
    assert TokenMint(Ring([new])).parse("code", struck.text.reveal()) is not None
    assert TokenMint(Ring([new])).parse("code", TEXTS["code"]) is None


def test_each_kind_has_its_key() -> None:
    names = Names("https://login.example")
    keys = [OAuthToken(kind, Secret("x"), TAG, FAMILY, "0" * 64).key(names) for kind in TEXTS]
    assert [key.split(":")[2] for key in keys] == ["c", "a", "r"]


def test_the_prefix_alone_says_what_a_token_claims_to_be() -> None:
    assert [kind_of(text) for text in (*TEXTS.values(), "lbx_", "")] == ["code", "access", "refresh", None, None]


def test_a_token_does_not_show() -> None:
    assert TEXTS["access"] not in repr(MINT.parse("access", TEXTS["access"]))
