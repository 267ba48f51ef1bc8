"""What others signed: never by a key or an algorithm that the token itself brings — RFC 8725 §3, engine §6."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey

from bridge.keys.foreign import LONGEST_JWT, MOST_KEYS, PublicKeys, judge, read
from bridge.keys.registry import Registry
from bridge.secret import Secret

EC = ECKey.generate_key("P-256", {"kid": "one"})
EVERY = ("RS256", "PS256", "ES256", "EdDSA", "HS256", "none")


def public(*keys: Any, **more: Any) -> PublicKeys:
    jwks = [{**key.as_dict(private=False), "kid": key.kid, **more} for key in keys]
    return PublicKeys.parse(json.dumps({"keys": jwks}))


def signed(by: Any, alg: str, claims: Any = None, **header: Any) -> str:
    said = {"alg": alg, "kid": "one", **header}
    return jws.serialize_compact(said, json.dumps(claims or {"a": 1}), by, registry=Registry(algorithms=(alg,)))


def token(text: str) -> Any:
    found = read(text)
    assert found is not None
    return found


def test_it_is_signed_by_a_key_that_we_know_it_by() -> None:
    assert judge(token(signed(EC, "ES256")), public(EC), ("ES256",)) == "signed"
    other = ECKey.generate_key("P-256", {"kid": "one"})
    assert judge(token(signed(other, "ES256")), public(EC), ("ES256",)) == "forged"
    assert judge(token(signed(EC, "ES256", kid="two")), public(EC), ("ES256",)) == "unknown-key"


@pytest.mark.parametrize("of_the_key", ["EdDSA", "Ed25519"])
@pytest.mark.parametrize("of_the_token", ["EdDSA", "Ed25519"])
def test_the_algorithm_of_ed25519_has_two_names(of_the_token: str, of_the_key: str) -> None:
    """RFC 9864 renamed it; clients say either."""
    key = OKPKey.generate_key("Ed25519", {"kid": "one"})
    text = token(signed(key, of_the_token))
    assert judge(text, public(key, alg=of_the_key), ("EdDSA",)) == "signed"
    assert judge(text, public(key, alg="ES256"), ("EdDSA",)) == "unknown-key"
    assert judge(text, public(key), ("ES256",)) == "forged"
    other = OKPKey.generate_key("Ed25519", {"kid": "one"})
    assert judge(text, public(other), ("EdDSA",)) == "forged"


def test_of_several_keys_without_a_name_any_may_have_signed() -> None:
    two = ECKey.generate_key("P-256", {"kid": "two"})
    text = jws.serialize_compact({"alg": "ES256"}, b"{}", two, registry=Registry(algorithms=("ES256",)))
    assert judge(token(text), public(EC, two), ("ES256",)) == "signed"


def test_secrets_and_public_keys_are_never_taken_for_one_another() -> None:
    secret = "s" * 40
    symmetric = token(signed(OctKey.import_key(secret), "HS256"))
    assert judge(symmetric, Secret(secret), EVERY) == "signed"
    assert judge(symmetric, public(EC), EVERY) == "forged"
    assert judge(token(signed(EC, "ES256")), Secret(secret), EVERY) == "forged"
    pem = EC.as_pem(private=False)
    assert judge(symmetric, Secret(pem), EVERY) == "forged"


def test_an_algorithm_that_was_not_named_is_forged() -> None:
    assert judge(token(signed(EC, "ES256")), public(EC), ("RS256", "HS256")) == "forged"
    assert judge(token(signed(EC, "ES256")), public(EC), ()) == "forged"


def test_a_short_secret_is_no_key() -> None:
    for length, verdict in ((31, "forged"), (32, "signed")):
        text = signed(OctKey.import_key("s" * length), "HS256")
        assert judge(token(text), Secret("s" * length), ("HS256",)) == verdict


@pytest.mark.parametrize(
    ("exponent", "usable"), [(3, 1), (65_537, 1), (2**32 - 1, 1), (2**32 + 1, 0), (2**2047 + 1, 0)]
)
def test_a_key_that_takes_long_to_check_with_is_no_key(exponent: int, usable: int) -> None:
    """security §17: what a client that registered itself makes us do for strangers has a limit."""
    numbers = rsa.generate_private_key(65_537, 2_048).public_key().public_numbers()
    jwk = {"kty": "RSA", "e": _b64(exponent.to_bytes(256).lstrip(b"\0")), "n": _b64(numbers.n.to_bytes(256))}
    assert len(PublicKeys.parse(json.dumps({"keys": [jwk]}))) == usable


@pytest.mark.parametrize("bits", [1_024, 2_048])
def test_a_small_rsa_key_is_no_key(bits: int) -> None:
    """RFC 7518 §3.3; engine §8.2."""
    numbers = rsa.generate_private_key(65_537, bits).public_key().public_numbers()
    jwk = {"kty": "RSA", "e": "AQAB", "n": _b64(numbers.n.to_bytes(bits // 8)), "kid": "one"}
    assert len(PublicKeys.parse(json.dumps({"keys": [jwk]}))) == (1 if bits == 2_048 else 0)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ({"use": "sig", "alg": "ES256"}, "signed"),
        ({"key_ops": ["verify"]}, "signed"),
        ({"use": "enc"}, "unknown-key"),
        ({"alg": "ES384"}, "unknown-key"),
        ({"crv": "P-384"}, "unknown-key"),
        ({"kid": 1}, "unknown-key"),
    ],
)
def test_a_key_is_used_for_what_it_is_for(more: dict[str, Any], verdict: str) -> None:
    assert judge(token(signed(EC, "ES256")), public(EC, **more), ("ES256",)) == verdict


def test_keys_of_kinds_that_we_do_not_know_are_passed_over() -> None:
    """RFC 7517 §5."""
    strange = [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "A"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "RSA", "n": 1},
        {},
    ]
    jwks = [*strange, {**EC.as_dict(private=False), "kid": "one"}]
    assert len(PublicKeys.parse(json.dumps({"keys": jwks}))) == 1


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        '{"keys": {}}',
        '{"keys": [1]}',
        '{"keys": ["a"]}',
        json.dumps({"keys": [{"kty": "AKP"}] * (MOST_KEYS + 1)}),
        json.dumps({"keys": [EC.as_dict(private=True)]}),
        json.dumps({"keys": [{"kty": "oct", "k": "A" * 43}]}),
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_key_set_is_refused(document: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"^it "):
        PublicKeys.parse(document)


def _b64(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "a.b", "a.b.c.d.e", "e30.e30.", "é.é.é", "e30=.e30=.AA=="),
        f"{_b64({'alg': 'ES256'})}.{_b64([1])}.AAAA",
        f"{_b64({'alg': 'ES256'})}.{_b64(b'[' * 5_000)}.AAAA",
        f"{_b64({'alg': 'ES256'})}.{_b64(b'{x}')}.AAAA",
        f"{_b64({'alg': 'ES256', 'crit': ['exp'], 'exp': 1})}.e30.AAAA",
        f"{_b64({'alg': 'ES256', 'b64': False})}.e30.AAAA",
        f"{_b64({'alg': 'ES256', 'zip': 'DEF'})}.e30.AAAA",
        f"{_b64({'alg': 'none'})}.e30.AAAA",
        f"{_b64({'alg': 'ES256'})}.e30.",
        f"{_b64({'alg': 1})}.e30.",
        f"{_b64(['ES256'])}.e30.AAAA",
        f"{_b64({'typ': 'JWT'})}.e30.AAAA",
        f"{_b64({'alg': 'ES256', 'x': 'y' * 5_000})}.e30.AAAA",
    ],
)
def test_what_is_no_jwt_is_read_as_none(text: str) -> None:
    assert read(text) is None


def test_an_overlong_one_is_not_read_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2025-61920: the length is looked at before anything is decoded."""
    text = signed(EC, "ES256", {"a": "b" * LONGEST_JWT})
    monkeypatch.setattr(jws, "extract_compact", lambda *_, **__: pytest.fail("parsed"))
    assert read(text) is None


def test_a_long_header_is_read() -> None:
    """The library's own limit of 512 bytes refuses every header with an RSA key in it."""
    assert judge(token(signed(EC, "ES256", x5c=["y" * 1_000])), public(EC), ("ES256",)) == "signed"


def test_what_it_claims_to_be_is_compared_without_its_case() -> None:
    assert token(signed(EC, "ES256", typ="application/Logout+JWT")).typ == "logout+jwt"
    assert token(signed(EC, "ES256")).typ is None
