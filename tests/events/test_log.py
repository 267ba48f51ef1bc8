"""The events' lines — sessions-and-accounts A12."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from bridge.asgi import parse_ip
from bridge.events.event import Event, EventKind, Events
from bridge.events.log import MOST_DIFFERENT, JsonLog, handler, set_up_logging
from bridge.events.options import EventsOptions
from bridge.testing.hands import Hands
from bridge.types import ClientId, UserId, Visit
from tests.events.planted import LOGIN, NAMED, OPAQUE, PASSWORD

VISIT = Visit(door="legacy", ip=parse_ip("192.0.2.7"), caller="portal")


def test_a_line_tells_who_did_what_to_whom_from_where_and_how_it_went() -> None:
    out = io.StringIO()
    stream = Events(Hands(1_800_000_000.25), JsonLog(out, EventsOptions()))
    stream.tell(
        "login.fail", VISIT, user=UserId(7), client=ClientId("app"), sid=LOGIN.sid, amr=("pwd", "otp"), reason="wrong"
    )
    assert json.loads(out.getvalue()) == {
        "at": "2027-01-15T08:00:00.250Z",
        "level": "info",
        "event": "login.fail",
        "user": 7,
        "actor": "portal",
        "client": "app",
        "door": "legacy",
        "ip": "192.0.2.7",
        "sid": LOGIN.sid[:8],
        "amr": ["pwd", "otp"],
        "reason": "wrong",
    }


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_planted_secret_comes_out_and_no_event_makes_two_lines(log_format: str) -> None:
    options = EventsOptions(log_format="json" if log_format == "json" else "text")
    lines = [_lines(event, options) for event in with_secrets()]
    shown = "\n".join(lines)
    assert not [name for name, secret in OPAQUE.items() if secret in shown]
    assert PASSWORD not in shown
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)


@pytest.mark.parametrize(
    "forged", ['x\n{"event":"login.ok"}', "x\r\nlogin.ok", "x\u2028y", "\x1b[1A\x1b[2K", "\u202eko"]
)
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_a_caller_wrote_begins_no_line_and_moves_no_cursor(forged: str, log_format: str) -> None:
    options = EventsOptions(log_format="json" if log_format == "json" else "text")
    line = _lines(Event(kind="login.fail", actor=forged, reason=forged, details={forged: forged}), options)
    assert line.count("\n") == 1
    assert not set(line[:-1]) & set("\r\u2028\u202e\x1b")


def test_what_every_request_does_is_not_logged() -> None:
    assert _lines(Event(kind="token.issued"), EventsOptions()) == ""
    assert _lines(Event(kind="token.issued"), EventsOptions(counted_only=())) != ""


def test_at_level_warning_only_what_somebody_should_look_at_is_written() -> None:
    options = EventsOptions(log_level="warning")
    assert _lines(Event(kind="login.ok"), options) == ""
    assert json.loads(_lines(Event(kind="token.replay"), options))["level"] == "warning"


@pytest.mark.parametrize(("kind", "own"), [("credential.refused", 2), ("session.refused", 2), ("login.fail", 20)])
def test_what_anybody_can_cause_has_so_many_lines_a_minute_and_one_for_the_rest(kind: EventKind, own: int) -> None:
    out, hands = io.StringIO(), Hands(1_800_000_000)
    log = JsonLog(out, EventsOptions(log_refusals=2))
    for _ in range(3):
        for _ in range(40):
            log.hear(Event(kind=kind, at=hands.now(), reason="wrong"))
        hands.move(60)
    log.hear(Event(kind="login.ok", at=hands.now()))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    told = [line for line in lines if line.get("reason") == "too-many"]
    assert [line["event"] for line in lines if line["event"] != kind] == ["login.ok"], "the known have no budget"
    assert sum(line.get("reason") == "wrong" for line in lines) == 3 * own
    assert sum(int(line["details"]["rows"]) for line in told) == 3 * (40 - own)
    assert len(told) <= 4, "one at once, and one a minute"
    assert {line["level"] for line in told} == {"warning" if kind == "credential.refused" else "info"}


def test_at_the_end_the_log_tells_what_it_left_out() -> None:
    out = io.StringIO()
    log = JsonLog(out, EventsOptions(log_refusals=1))
    for _ in range(10):
        log.hear(Event(kind="token.refused", at=1_800_000_000))
    log.close()
    told = [int(line["details"]["rows"]) for line in map(json.loads, out.getvalue().splitlines()) if "details" in line]
    assert sum(told) == 9
    log.close()
    assert len(out.getvalue().splitlines()) == 1 + len(told)


def test_what_is_not_written_at_this_level_is_not_counted() -> None:
    out = io.StringIO()
    log = JsonLog(out, EventsOptions(log_refusals=1, log_level="warning"))
    for _ in range(10):
        log.hear(Event(kind="token.refused", at=1_800_000_000))
    log.close()
    assert out.getvalue() == ""


class TestRecordsThatReadTheSame:
    """Those of libraries, and of ours."""

    @pytest.fixture
    def out(self) -> io.StringIO:
        return io.StringIO()

    @pytest.fixture
    def handler(self, out: io.StringIO) -> logging.Handler:
        return handler(out, EventsOptions(log_refusals=3))

    def lines(self, out: io.StringIO) -> list[str]:
        return [json.loads(line)["event"] for line in out.getvalue().splitlines()]

    def test_only_so_many_a_minute_whatever_is_in_them(self, handler: logging.Handler, out: io.StringIO) -> None:
        for number in range(10):
            handler.handle(record("%s is invalid", number))
        handler.handle(record("another"))
        assert self.lines(out) == [
            *(f"{number} is invalid" for number in range(3)),
            "1 more left out: %s is invalid",
            "another",
        ]
        handler.handle(record("%s is invalid", "x", later=60))
        assert self.lines(out)[5:] == ["6 more left out: %s is invalid", "x is invalid"]

    def test_each_logger_has_its_own(self, handler: logging.Handler, out: io.StringIO) -> None:
        for name in ("uvicorn.error", "bridge"):
            for _ in range(3):
                handler.handle(record("the same", name=name))
        assert self.lines(out) == ["the same"] * 6

    def test_the_end_tells_the_rest(self, handler: logging.Handler, out: io.StringIO) -> None:
        for _ in range(9):
            handler.handle(record("the same"))
        handler.close()
        assert self.lines(out)[3:] == ["1 more left out: the same", "5 more left out: the same"]

    def test_no_end_of_texts_makes_no_end_of_counters(self, handler: logging.Handler, out: io.StringIO) -> None:
        for number in range(10_000):
            handler.handle(record(f"made of {number}"))
        assert len(self.lines(out)) == MOST_DIFFERENT + 3 + 1
        assert self.lines(out)[-1] == "1 more left out: lines of other kinds"
        handler.handle(record("made of 0"))
        assert self.lines(out)[-1] == "made of 0", "it has its own since before"
        handler.close()
        assert self.lines(out)[-1] == f"{10_000 - MOST_DIFFERENT - 3 - 1} more left out: lines of other kinds"

    def test_a_secret_in_the_text_itself_is_hidden_in_the_summary_too(
        self, handler: logging.Handler, out: io.StringIO
    ) -> None:
        for _ in range(9):
            handler.handle(record(f"bad {OPAQUE['refresh token']}"))
        handler.close()
        assert OPAQUE["refresh token"] not in out.getvalue()


def record(text: str, *values: object, name: str = "uvicorn.error", later: float = 0) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, "", 0, text, values, None)
    made.created = 1_800_000_000 + later
    return made


def test_a_closed_stream_is_no_reason_to_fail() -> None:
    out = io.StringIO()
    log = JsonLog(out, EventsOptions())
    out.close()
    log.hear(Event(kind="login.ok"))


@pytest.fixture
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_as_it_was")
def test_uvicorns_lines_come_in_our_form() -> None:
    out = io.StringIO()
    set_up_logging(out, EventsOptions())
    logging.getLogger("uvicorn.error").info("Started")
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert (line["event"], line["logger"]) == ("Started", "uvicorn.error")


@pytest.mark.usefixtures("root_as_it_was")
def test_there_is_no_access_log() -> None:
    """uvicorn writes one as soon as its logger has a handler anywhere above, whatever `access_log` says."""
    out = io.StringIO()
    set_up_logging(out, EventsOptions())
    access = logging.getLogger("uvicorn.access")
    access.info('%s - "%s %s HTTP/%s" %d', "c", "GET", "/reset/t/abc?x=1", "1.1", 200)
    assert not access.hasHandlers()
    assert out.getvalue() == ""


@pytest.mark.usefixtures("root_as_it_was")
def test_what_is_wrong_with_a_form_makes_no_lines() -> None:
    out = io.StringIO()
    set_up_logging(out, EventsOptions(log_level="debug"))
    logging.getLogger("python_multipart.multipart").warning("Did not find boundary character %r at index %d", 1, 2)
    assert out.getvalue() == ""


def with_secrets() -> list[Event]:
    """Events of a careless caller: a secret in every place where text may stand."""
    events: list[Event] = []
    for secret in OPAQUE.values():
        events.append(Event(kind="login.fail", reason=f"bad {secret}", actor=secret, details={"why": f"x={secret}"}))
        events.append(Event(kind="token.refused", details={"token": secret, "note": f"<{secret}>"}))
    events += [Event(kind="login.fail", details={name: PASSWORD}) for name in NAMED]
    return events


def _lines(event: Event, options: EventsOptions) -> str:
    out = io.StringIO()
    JsonLog(out, options).hear(event)
    return out.getvalue()
