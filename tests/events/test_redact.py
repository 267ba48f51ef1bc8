"""No secret in a log line — sessions-and-accounts S17, A12; security §25."""

import io
import json
import logging
from urllib.parse import quote

import pytest

from bridge.events.log import handler
from bridge.events.options import EventsOptions
from bridge.events.redact import HIDDEN, Redact, redact, redact_fields, without_query
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
