"""The judgement as a table: kind × place, and each reason at its edge — security §2, §12; S5."""

import ipaddress
from typing import Any, get_args

import msgspec
import pytest

from bridge.sessions.judge import Alive, Dead, allowed, judge, touch_due, unused
from bridge.sessions.options import SessionOptions
from bridge.sessions.record import Ended, EndReason, RecordCodec, SessionRecord, encode_trace, known_reason
from bridge.sessions.stamp import draw_stamp, reason_of, stamp_value
from bridge.tokens import LoginToken, Names
from bridge.types import Place, SessionKind, SlotTag, Stamp, StampReason, UserId

NOW = 1_800_000_000
ISSUER = "https://login.example"
NAMES = Names(ISSUER)
TOKEN = LoginToken.draw(SlotTag("0" * 11))
KEY = NAMES.session(TOKEN)
CODEC = RecordCodec({"k1": bytes(32)}, ISSUER)
STAMP = Stamp("n0")
RECORD = SessionRecord(
    id="1",
    iss=ISSUER,
    uid=UserId(7),
    kind="app",
    via="pages",
    stamp=STAMP,
    iat=NOW - 100,
    auth_time=NOW - 100,
    last=NOW - 10,
    idle=1_800,
    abs=NOW + 1_000,
)
KINDS: tuple[SessionKind, ...] = get_args(SessionKind)
PLACES: tuple[Place, ...] = get_args(Place)
ALLOWED = {("op", "issuer"), ("app", "middleware"), ("sso", "middleware"), ("legacy", "middleware"), ("legacy", "host")}


def verdict(
    record: SessionRecord = RECORD,
    *,
    place: Place = "middleware",
    ip: str | None = None,
    stamp: bytes | None = None,
    options: SessionOptions | None = None,
    **changed: Any,
) -> str:
    """The reason, or "alive"."""
    record = msgspec.structs.replace(record, **changed)
    found = judge(
        TOKEN,
        KEY,
        CODEC.encode(KEY, record),
        stamp_value(UserId(7), STAMP) if stamp is None else stamp,
        place=place,
        ip=None if ip is None else ipaddress.ip_address(ip),
        now=NOW,
        codec=CODEC,
        options=options or SessionOptions(),
    )
    return "alive" if isinstance(found, Alive) else found.reason


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_2_each_kind_in_each_place(kind: SessionKind, place: Place) -> None:
    assert verdict(kind=kind, place=place) == ("alive" if (kind, place) in ALLOWED else "wrong-place")
    assert allowed(kind, place, SessionOptions()) == ((kind, place) in ALLOWED)


@pytest.mark.parametrize("kind", KINDS)
def test_2_a_legacy_token_reaches_the_issuer_only_by_its_setting(kind: SessionKind) -> None:
    unsafe = SessionOptions(legacy_at_issuer=True)
    assert allowed(kind, "issuer", unsafe) == (kind in ("op", "legacy"))


def test_2_in_the_wrong_place_a_token_tells_nothing_of_itself() -> None:
    """Neither that it has lapsed nor that the password was changed."""
    assert verdict(kind="op", abs=NOW - 1) == "wrong-place"
    assert verdict(kind="op", stamp=stamp_value(UserId(7), draw_stamp("password"))) == "wrong-place"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"abs": NOW + 1}, "alive"),
        ({"abs": NOW}, "absolute"),
        ({"last": NOW - 1_799}, "alive"),
        ({"last": NOW - 1_800}, "idle"),
        ({"last": NOW + 60}, "alive"),  # another worker's clock is ahead
    ],
)
def test_s5_times_to_the_second(changed: dict[str, Any], reason: str) -> None:
    assert verdict(**changed) == reason


@pytest.mark.parametrize("reason", get_args(StampReason))
def test_another_stamp_tells_why_it_was_drawn(reason: StampReason) -> None:
    stamp = draw_stamp(reason)
    assert reason_of(stamp) == reason
    told = verdict(stamp=stamp_value(UserId(7), stamp))
    assert told != "alive"
    expected = {"password": "password-changed", "second-factor": "second-factor-changed", "disabled": "disabled"}
    assert told == expected.get(reason, told)


@pytest.mark.parametrize("stamp", [b"", b"7", b"7.", b"8.n0", b"x.n0", b"7.n0x", b"\xff.n0", "٧.n0".encode(), b"07.n0"])
def test_whatever_else_lies_at_the_stamps_key_vouches_for_nobody(stamp: bytes) -> None:
    assert verdict(stamp=stamp) == "unknown"


def test_an_absent_stamp_is_nobody_here() -> None:
    found = judge(
        TOKEN,
        KEY,
        CODEC.encode(KEY, RECORD),
        None,
        place="middleware",
        ip=None,
        now=NOW,
        codec=CODEC,
        options=SessionOptions(),
    )
    assert found == Dead("unknown", RECORD)


@pytest.mark.parametrize("reason", get_args(EndReason))
def test_every_ending_has_a_reason_to_show(reason: EndReason) -> None:
    trace = encode_trace(Ended(id="1", uid=UserId(7), reason=reason, at=NOW))
    found = judge(TOKEN, KEY, trace, None, place="middleware", ip=None, now=NOW, codec=CODEC, options=SessionOptions())
    assert isinstance(found, Dead) and found.reason != "unknown"
    assert known_reason(reason) == reason


def test_a_reason_that_nobody_knows_was_an_administrators() -> None:
    assert known_reason("whim") == "administrator"


@pytest.mark.parametrize(
    ("check", "bound", "ip", "reason"),
    [
        ("subnet", "192.0.2.200", "192.0.2.1", "alive"),
        ("subnet", "192.0.2.200", "192.0.3.1", "address-changed"),
        ("subnet", "2001:db8:0:1::1", "2001:db8:0:1:ffff::", "alive"),
        ("subnet", "2001:db8:0:1::1", "2001:db8:0:2::1", "address-changed"),
        ("subnet", "192.0.2.200", "2001:db8::1", "address-changed"),
        ("subnet", "192.0.2.200", None, "address-changed"),
        ("exact", "192.0.2.200", "192.0.2.200", "alive"),
        ("exact", "192.0.2.200", "192.0.2.201", "address-changed"),
        ("off", "192.0.2.200", "198.51.100.1", "alive"),
        ("off", "192.0.2.200", None, "alive"),
    ],
)
def test_a_bound_session_and_the_address_it_comes_from(check: Any, bound: str, ip: str | None, reason: str) -> None:
    assert verdict(ip=ip, options=SessionOptions(ip_check=check), bound=True) == (
        "alive" if check == "off" else "address-changed"
    )
    record = msgspec.structs.replace(RECORD, bound=True)
    assert verdict(msgspec.structs.replace(record, ip=bound), ip=ip, options=SessionOptions(ip_check=check)) == reason


def test_a_session_that_is_not_bound_is_good_from_everywhere() -> None:
    record = msgspec.structs.replace(RECORD, ip="192.0.2.200")
    assert verdict(record, ip="198.51.100.1", options=SessionOptions(ip_check="exact")) == "alive"


@pytest.mark.parametrize(
    ("idle", "since", "due"),
    [(1_800, 179, False), (1_800, 180, True), (300, 59, False), (300, 60, True), (60, 59, False)],
)
def test_s6_a_touch_is_due_after_a_minute_or_a_tenth_of_the_idle_time(idle: int, since: int, due: bool) -> None:
    record = msgspec.structs.replace(RECORD, idle=idle, last=NOW - since, iat=NOW - 1_000)
    assert touch_due(record, NOW, SessionOptions()) == due


def test_a_first_use_is_written_down_at_once() -> None:
    record = msgspec.structs.replace(RECORD, iat=NOW, last=NOW - 1)
    assert unused(record) and touch_due(record, NOW, SessionOptions())
