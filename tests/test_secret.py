"""A value that must not be seen, and the one way to authenticate bytes — style §7, security §5."""

import copy
import hashlib
import hmac
import json
import logging
import pickle

import pytest

from bridge.secret import Mac, Secret, framed, mac

PLANTED = "correct horse"


def test_a_secret_shows_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(PLANTED)
    logging.getLogger("x").warning("%s %r", secret, [secret])
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", caplog.text):
        assert PLANTED not in shown
    with pytest.raises(TypeError):
        json.dumps(secret)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied_away(copied: object) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copied(Secret(PLANTED))  # type: ignore[operator]


def test_a_secret_is_compared_in_constant_time_or_not_at_all() -> None:
    secret = Secret(PLANTED)
    with pytest.raises(TypeError, match="matches"):
        _ = secret == PLANTED
    with pytest.raises(TypeError):
        hash(secret)
    assert secret.matches(PLANTED) and secret.matches(PLANTED.encode()) and secret.matches(Secret(PLANTED))
    assert not secret.matches(PLANTED + " ") and not secret.matches("")


def test_text_and_bytes_are_two_spellings_of_one_secret() -> None:
    assert Secret("ü").reveal_bytes() == "ü".encode() and Secret("ü".encode()).reveal() == "ü"
    assert bool(Secret("x")) and not Secret("") and not Secret(b"")


def test_text_that_is_no_unicode_is_still_a_password() -> None:
    """A lone surrogate cannot be sent as UTF-8 by an honest client; it must not be an error 500 either."""
    assert Secret("\ud800").reveal_bytes() == b"\xed\xa0\x80"
    with pytest.raises(UnicodeDecodeError):
        Secret(b"\xff").reveal()


def test_5_parts_have_their_length_before_them() -> None:
    assert framed("1", b"23").hex() == "00000001310000000" + "23233"
    assert framed("1", "23app") != framed("12", "3app")
    assert framed() == b"" != framed("")


def test_a_mac_is_hmac_sha256_over_the_framed_parts() -> None:
    key = b"k" * 32
    expected = "7fad482eaf3f1de1e394948abafc6d90f8c4270bf2b25e91d75731d3bdfaace0"
    assert mac(key, "purpose", "1", "23").hex() == expected
    assert hmac.digest(key, framed("purpose", "1", "23"), hashlib.sha256).hex() == expected


def test_a_mac_that_was_begun_ends_as_one_that_is_made_at_once() -> None:
    key = b"k" * 32
    begun = Mac(key, "purpose", "1")
    for rest in ("23", "4", "23"):
        assert begun.of(framed(rest)) == mac(key, "purpose", "1", rest)
