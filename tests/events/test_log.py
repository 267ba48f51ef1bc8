"""The events' lines — sessions-and-accounts A12."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from bridge.asgi import parse_ip
from bridge.events.event import Event, Events
from bridge.events.log import JsonLog, set_up_logging
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
