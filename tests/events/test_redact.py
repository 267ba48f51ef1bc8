"""No secret in a log line — sessions-and-accounts S17, A12; security §25."""

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.events import redact as room
from bridge.events.log import handler
from bridge.events.options import EventsOptions
from bridge.events.redact import CUT, HIDDEN, MOST_STACK, MOST_TEXT, Redact, redact, redact_fields, without_query
from tests.events.planted import NAMED, OPAQUE, PASSWORD, sentences


@pytest.mark.parametrize("secret", OPAQUE.values(), ids=OPAQUE)
@pytest.mark.parametrize(
    "sentence", ["{}", "token {} was refused", "key lb:0a1b2c3d:s:{{x}}:{}", '{{"t":"{}"}}', "a={}&b"]
)
def test_what_looks_like_one_of_our_tokens_is_hidden_wherever_it_stands(sentence: str, secret: str) -> None:
    shown = redact(sentence.format(secret))
    assert secret not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("form", range(5))
def test_the_value_of_a_secret_parameter_is_hidden_in_every_form(name: str, form: int) -> None:
    for value in ("hunter2", quote(PASSWORD, safe="")):
        shown = redact(sentences(name, value)[form])
        assert value not in shown
        assert HIDDEN in shown


def test_a_quoted_value_is_hidden_up_to_its_end() -> None:
    assert redact(json.dumps({"password": 'a "b", c', "user": "u"})) == f'{{"password": {HIDDEN}, "user": "u"}}'
    assert "c d" not in redact(repr({"password2": "it's c d", "user": "u"}))


@pytest.mark.parametrize(
    "scheme", ["Basic dXNlcjpwYXNzd29yZA==", "Bearer abcdefgh", "DPoP abc.def-ghi", "bearer a1b2c3d4"]
)
def test_an_authorization_header_shows_its_scheme_only(scheme: str) -> None:
    assert redact(f"authorization: {scheme}, x").endswith(f"{scheme.split(maxsplit=1)[0]} {HIDDEN}, x")


def test_a_password_in_a_url_is_hidden() -> None:
    assert redact("mysql://bridge:hush@db/x") == f"mysql://bridge:{HIDDEN}@db/x"


@pytest.mark.parametrize(
    "text",
    [
        "status code: 404",
        "user 7 signed in from 2001:db8::1",
        "sub 8f14e45f-ceea-467f-a8c1-7f2d6c0b5e11 is new",
        "session 0a1b2c3d ended",
        "the database did not answer: ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
        "bridge/stores/redis.py line 7 in read_everything_that_is_there_and_more",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert redact(text) == text


def test_a_key_id_is_shown_and_a_token_in_the_same_place_is_not() -> None:
    kid = OPAQUE["client secret"]
    assert redact_fields({"kid": kid, "why": kid}) == {"kid": kid, "why": HIDDEN}
    said = "the bridge cannot be opened: signing key {}: no key of secrets.master opens it"
    assert redact(said.format(kid)) == said.format(kid)
    assert redact(f"assigning key {kid}, signing key: {kid}") == f"assigning key {HIDDEN}, signing key: {HIDDEN}"


def test_fields_of_a_secret_name_are_hidden_whole_at_any_depth() -> None:
    fields = {"form": {"password2": PASSWORD, "email": "a@example.org"}, "Code": "1", "n": 7}
    assert redact_fields(fields) == {
        "form": {"password2": HIDDEN, "email": "a@example.org"},
        "Code": HIDDEN,
        "n": 7,
    }


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/includes/api.php?identifier=abc&secret=def", "/includes/api.php"),
        ("/oauth/authorize?client_id=a&state=b", "/oauth/authorize"),
        ("/reset/t/WzcsImFi.aVJ3xA.Zr3y", f"/reset/t/{HIDDEN}"),
        ("/sso/reset/t/x?y", f"/sso/reset/t/{HIDDEN}"),
        ("/reset/new", "/reset/new"),
        ("/login", "/login"),
    ],
)
def test_a_request_line_has_neither_query_nor_token(target: str, shown: str) -> None:
    assert without_query(target) == shown


HOSTILE = {
    "_NAMED": (
        f"__Host-lb_op={OPAQUE['code']};",
        '"password" : "a\\"b"',
        "'password' : 'a\\'b'",
        '"password":"\\"',
        "lb_a",
        "password=x&",
    ),
    "_HEADER": ("Bearer abcdefgh", "Basic   dXNlcjpwYXNzd29yZA==,"),
    "_RESET_PATH": ("/reset/t/WzcsImFi.aVJ3xA", "/reset/abcdefghi"),
    "_URL_PASSWORD": ("mysql://bridge:hush@db", "://a:b:c"),
    "_OPAQUE": (OPAQUE["code"], "8f14e45f-ceea-467f-a8c1-7f2d6c0b5e11", "a" * 40, "1" * 40),
    "_SIGNED": (OPAQUE["ID token"], OPAQUE["reset token"], "aaaaaaaa.bbbb.cccc"),
    "_WORD": ("ValidateLogin", "a" * 31, OPAQUE["code"]),
}
"""Pattern → what it finds, or nearly."""
LARGE = 65_536
SECONDS = 1.0
"""Of the processor's.  A pattern in proportion takes a few milliseconds; one that goes back many times as long."""


def test_every_pattern_is_tried_with_hostile_text() -> None:
    assert set(HOSTILE) == {name for name, value in vars(room).items() if isinstance(value, re.Pattern)}


@given(st.from_regex(room._WORD, fullmatch=True))
def test_what_is_shown_as_a_mere_word_no_pattern_would_hide(text: str) -> None:
    assert not _found_in(text)


def test_no_secret_is_short_enough_to_be_a_mere_word() -> None:
    texts = [OPAQUE["code"][:length] for length in range(len(OPAQUE["code"]) + 1)]
    shown = [text for text in texts if room._WORD.fullmatch(text)]
    assert len(shown) > 20 and not [text for text in shown if _found_in(text)]


def _found_in(text: str) -> list[str]:
    return [name for name in HOSTILE if name != "_WORD" and getattr(room, name).search(text)]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_no_pattern_is_held_up_by_repetitions_of_what_it_looks_for(pattern: str) -> None:
    """One request with a long path was enough to stop a worker for minutes."""
    for text in _hostile(pattern):
        begun = time.thread_time()
        getattr(room, pattern).sub("", text)
        assert time.thread_time() - begun < SECONDS, text[:99]


def test_a_long_text_is_cut_and_the_word_at_the_cut_left_out() -> None:
    secret = OPAQUE["access token"]
    shown = redact("x " * (MOST_TEXT // 2 - 5) + secret + " and more " * LARGE)
    assert shown == "x " * (MOST_TEXT // 2 - 5) + CUT
    assert len(redact("a" * LARGE)) <= MOST_TEXT + len(CUT)
    assert len(redact_fields({"client": "a" * LARGE})["client"]) <= MOST_TEXT  # type: ignore[arg-type]


def test_a_quoted_value_that_the_cut_leaves_open_is_hidden() -> None:
    shown = redact("x " * (MOST_TEXT // 2 - 20) + json.dumps({"password": "hunter two " * 50}))
    assert "hunter" not in shown
    assert len(shown) < MOST_TEXT + 50


class TestRecords:
    """Whatever a library logs goes through the same hands."""

    @pytest.fixture
    def out(self) -> io.StringIO:
        return io.StringIO()

    @pytest.fixture
    def log(self, out: io.StringIO) -> logging.Logger:
        logger = logging.Logger("some.library")  # noqa: LOG001  of no tree: nobody else hears it
        logger.addHandler(handler(out, EventsOptions()))
        return logger

    def test_the_arguments_of_a_message_are_redacted(self, log: logging.Logger, out: io.StringIO) -> None:
        log.warning("token %s of %s", OPAQUE["access token"], {"password": "hunter2"})
        assert OPAQUE["access token"] not in out.getvalue()
        assert "hunter2" not in out.getvalue()

    def test_an_exception_is_redacted_and_told_in_one_line(self, log: logging.Logger, out: io.StringIO) -> None:
        try:
            raise ValueError(f"bad {OPAQUE['refresh token']} password=hunter2")
        except ValueError:
            log.exception("it failed")
        assert OPAQUE["refresh token"] not in out.getvalue()
        assert "hunter2" not in out.getvalue()
        assert out.getvalue().count("\n") == 1
        assert "ValueError" in json.loads(out.getvalue())["exception"]

    def test_a_stack_is_shown_as_far_as_it_helps(self, log: logging.Logger, out: io.StringIO) -> None:
        try:
            raise ValueError("hm " * LARGE)
        except ValueError:
            log.exception("it failed")
        shown = json.loads(out.getvalue())["exception"]
        assert MOST_TEXT < len(shown) < MOST_STACK + 50  # line breaks are two characters here

    def test_a_forged_line_stays_within_its_line(self, log: logging.Logger, out: io.StringIO) -> None:
        log.warning('x\r\n{"event":"login.ok"}\u2028\x1b[2J')
        assert out.getvalue().count("\n") == 1
        assert not set(out.getvalue()[:-1]) & set("\r\u2028\x1b")

    def test_arguments_that_do_not_fit_are_no_reason_to_lose_the_line(
        self, log: logging.Logger, out: io.StringIO
    ) -> None:
        log.warning("%d of %d", "one")  # noqa: PLE1206  that is what it is about
        assert json.loads(out.getvalue())["event"] == "%d of %d"

    def test_uvicorns_own_access_line_keeps_its_form_without_the_query(self) -> None:
        from uvicorn.logging import AccessFormatter

        args = ("127.0.0.1:1", "GET", "/includes/api.php?secret=abc", "1.1", 200)
        record = logging.LogRecord("uvicorn.access", 20, "", 0, '%s - "%s %s HTTP/%s" %d', args, None)
        Redact().filter(record)
        shown = AccessFormatter(use_colors=False).format(record)
        assert "abc" not in shown
        assert '"GET /includes/api.php HTTP/1.1" 200' in shown


def _hostile(pattern: str) -> Iterator[str]:
    """Every prefix of what it looks for, again and again; and once, its last character again and again."""
    for found in HOSTILE[pattern]:
        for length in range(1, len(found) + 1):
            prefix = found[:length]
            yield prefix * (LARGE // length)
            yield prefix + prefix[-1] * LARGE
