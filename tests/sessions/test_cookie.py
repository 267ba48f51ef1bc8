"""Cookies: one name per configuration, compared as bytes; attributes — security §0, §13; S16."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sessions.cookie import Ambiguous, Cookies, Purpose
from bridge.sessions.options import SessionOptions

COOKIES = Cookies(SessionOptions(), plain=False)
DEV = Cookies(SessionOptions(), plain=True)
SHARED = Cookies(SessionOptions(shared_domain="example.org"), plain=False)


def read(*lines: bytes, cookies: Cookies = COOKIES, purpose: Purpose = "op") -> str | Ambiguous | None:
    return cookies.read({"headers": [(b"accept", b"*/*"), *((b"cookie", line) for line in lines)]}, purpose)


@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_0_every_cookie_has_its_one_name(purpose: Purpose) -> None:
    bare = "login_auth_tk" if purpose == "app" else f"lb_{purpose}"
    assert COOKIES.name(purpose) == f"__Host-{bare}"
    assert SHARED.name(purpose) == (f"__Secure-{bare}" if purpose == "app" else f"__Host-{bare}")
    assert DEV.name(purpose) == bare


@pytest.mark.parametrize("purpose", get_args(Purpose))
def test_s16_every_cookie_is_for_this_host_over_https_and_for_no_script(purpose: Purpose) -> None:
    name, value = COOKIES.set(purpose, "v")
    site = "None" if purpose in ("begun", "op_state") else "Lax"
    # S16's one exception: it opens nothing, and is for the script of a page that may be framed.
    closed = "" if purpose == "op_state" else "HttpOnly; "
    assert name == b"set-cookie"
    assert value == f"{COOKIES.name(purpose)}=v; Path=/; {closed}SameSite={site}; Secure".encode()


def test_s16_only_the_apps_cookie_is_shared_with_a_domain() -> None:
    assert b"; Domain=example.org; " in SHARED.set("app", "v")[1]
    assert b"Domain" not in SHARED.set("op", "v")[1]


def test_27_in_the_dev_profile_cookies_work_over_http() -> None:
    assert DEV.set("op", "v")[1] == b"lb_op=v; Path=/; HttpOnly; SameSite=Lax"
    # What comes with a POST from another site must be SameSite=None, and that is taken with Secure only.
    assert DEV.set("begun", "v")[1] == b"lb_begun=v; Path=/; HttpOnly; SameSite=None; Secure"


def test_a_cookie_may_outlive_the_browser() -> None:
    assert COOKIES.set("dev", "v", max_age=60)[1].endswith(b"; Max-Age=60")


@pytest.mark.parametrize("purpose", get_args(Purpose))
@pytest.mark.parametrize("cookies", [COOKIES, SHARED, DEV])
def test_s7_a_cookie_is_removed_with_the_attributes_it_was_set_with(cookies: Cookies, purpose: Purpose) -> None:
    was, gone = cookies.set(purpose, "")[1], cookies.clear(purpose)[1]
    assert gone == was + b"; Max-Age=0"


@pytest.mark.parametrize("value", ["a b", "a;b", "a,b", 'a"b', "a\\b", "a\nb", "é", "\x7f", "x" * 3_841])
def test_what_would_not_come_back_as_it_is_is_not_set(value: str) -> None:
    with pytest.raises(ValueError, match="not a cookie value"):
        COOKIES.set("op", value)


@given(st.text(alphabet=[chr(n) for n in range(33, 127) if chr(n) not in '",;\\'], max_size=100))
def test_what_is_set_comes_back(value: str) -> None:
    pair = COOKIES.set("op", value)[1].partition(b";")[0]
    assert read(pair) == value


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([b"__Host-lb_op=v"], "v"),
        ([b"a=1; __Host-lb_op=v; b=2"], "v"),
        ([b"a=1;__Host-lb_op=v;b=2"], "v"),
        ([b"a=1;\t__Host-lb_op \t=\tv "], "v"),
        ([b"a=1", b"__Host-lb_op=v"], "v"),
        ([b"__Host-lb_op="], ""),
        ([b"__Host-lb_op=a=b"], "a=b"),
        ([b"a=__Host-lb_op=v"], None),
        ([b"__Host-lb_op"], None),
        ([b"x__Host-lb_op=v"], None),
        ([b"__Host-lb_opx=v"], None),
        ([b"__host-lb_op=v"], None),
        ([b"\xa0__Host-lb_op=v"], None),
        ([b"\x0b__Host-lb_op=v"], None),
        ([b"a=1,__Host-lb_op=v"], None),
        ([b""], None),
        ([], None),
    ],
)
def test_13_a_cookie_is_found_by_its_exact_name(lines: list[bytes], value: str | None) -> None:
    assert read(*lines) == value


@pytest.mark.parametrize(
    "lines",
    [
        [b"__Host-lb_op=v; __Host-lb_op=w"],
        [b"__Host-lb_op=v; __Host-lb_op=v"],
        [b"__Host-lb_op=v", b"__Host-lb_op=w"],
        [b"__Host-lb_op=; __Host-lb_op=w"],
    ],
)
def test_13_the_same_name_twice_is_ambiguous(lines: list[bytes]) -> None:
    assert isinstance(read(*lines), Ambiguous)


@given(st.binary(max_size=100))
def test_no_header_breaks_the_reading(line: bytes) -> None:
    found = read(line + b"; __Host-lb_op=v")
    assert found == "v" or isinstance(found, Ambiguous)
