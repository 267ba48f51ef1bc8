"""The log: one line for each event and for each record of a library, JSON or text — sessions-and-accounts A12.

Of what anybody can cause as often as he likes so many lines a minute are written, and one that tells how many more
there were: a disk that is full stops more than the log.
Nothing here configures anything globally but `set_up_logging`, which the command `serve` calls.
"""

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from bridge.events.budget import Budget, Minute
from bridge.events.event import Event, EventKind
from bridge.events.options import EventsOptions
from bridge.events.redact import Redact, redact_fields
from bridge.events.rows import iso, visible

WARNINGS: Final[frozenset[EventKind]] = frozenset(
    {
        "audit.lost",
        "credential.refused",
        "email.undone",
        "login.blocked",
        "logout.failed",
        "mail.failed",
        "store.lost",
        "token.replay",
        "upstream.down",
    }
)
MOST_DIFFERENT: Final = 500
"""Kinds of records of which one minute keeps apart how many there were."""
MOST_TEXT: Final = 200
_LIBRARIES: Final = ("uvicorn", "uvicorn.error", "asyncio", "sqlalchemy", "asyncmy")
_ACCESS: Final = "uvicorn.access"
_TALKATIVE: Final = ("aiosqlite", "sqlalchemy")
"""They write every statement at info level, and parameters and rows at debug level, hashes of passwords among them."""

_COMPLAINING: Final = ("python_multipart",)
"""It warns of every byte of a form that stands in the wrong place."""


class Stream(Protocol):
    """Where lines go: standard output, a file, a test's buffer."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class JsonLog:
    """A listener that writes a line for each event, secrets hidden and line breaks escaped."""

    def __init__(self, stream: Stream, options: EventsOptions) -> None:
        self._stream = stream
        self._counted_only = frozenset(options.counted_only)
        self._least = logging.getLevelNamesMapping()[options.log_level.upper()]
        self._render = _renderer(options)
        self._budget = Budget(options.log_refusals)
        self._now = 0.0

    def hear(self, event: Event) -> None:
        """Write its line, and what was left out before it."""
        if event.kind in self._counted_only or _level(event) < self._least:
            return
        self._now = event.at
        admitted = self._budget.admits(event.kind, event.at)
        for summary in self._budget.summary(event.at):
            self._write(summary)
        if admitted:
            self._write(event)

    def close(self) -> None:
        """Write what was left out and not told yet."""
        for summary in self._budget.rest(self._now):
            self._write(summary)

    def _write(self, event: Event) -> None:
        """A stream that is gone is no reason to fail."""
        line = self._render(_fields(event) | {"level": logging.getLevelName(_level(event)).lower()})
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()


class LineFormatter(logging.Formatter):
    """One line for each record of the standard library's logging, in the form of the events' lines."""

    def __init__(self, options: EventsOptions) -> None:
        super().__init__()
        self._render = _renderer(options)

    def format(self, record: logging.LogRecord) -> str:
        """The line; `Redact` has been at the record before."""
        fields: dict[str, object] = {
            "at": iso(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_text:
            fields["exception"] = record.exc_text
        return self._render(fields)


class SparingHandler(logging.StreamHandler[Any]):
    """Writes records; of those that are the same but for their values, only so many a minute.

    How many more there were is told with the next record, or at the end.
    """

    def __init__(self, stream: Any, most: int) -> None:
        super().__init__(stream)
        self._most = most
        self._minute: Minute[tuple[str, str]] = Minute()

    def handle(self, record: logging.LogRecord) -> bool:
        """Before the filters, which put the values in."""
        self.acquire()  # records come from every thread
        try:
            what = (record.name, str(record.msg)[:MOST_TEXT])
            if not self._minute.has_room_for(what, MOST_DIFFERENT):
                what = ("", "lines of other kinds")
            admitted = self._minute.admits(what, self._most, record.created)
            self._tell(self._minute.summary(record.created))
            return super().handle(record) if admitted else False
        finally:
            self.release()

    def close(self) -> None:
        """Tell the rest."""
        self._tell(self._minute.rest())
        super().close()

    def _tell(self, left_out: Mapping[tuple[str, str], int]) -> None:
        for (name, text), lines in left_out.items():
            facts = {"name": name, "levelno": logging.WARNING, "levelname": "WARNING"}
            super().handle(logging.makeLogRecord({**facts, "msg": f"{lines} more left out: {text}"}))


def handler(stream: Any, options: EventsOptions) -> logging.Handler:
    """A handler for any logger: redacts, then writes our lines."""
    made = SparingHandler(stream, options.log_refusals)
    made.addFilter(Redact())
    made.setFormatter(LineFormatter(options))
    return made


def set_up_logging(stream: Any, options: EventsOptions) -> None:
    """Let the whole process log through our handler; uvicorn is to be started with `log_config=None`."""
    root = logging.getLogger()
    root.handlers[:] = [handler(stream, options)]
    root.setLevel(options.log_level.upper())
    for name in _LIBRARIES:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.NOTSET)
    # No access log: a query string may hold a token, what matters is told as an event, and nobody is to make the
    # worker write by asking.  uvicorn takes a handler anywhere above, whatever its `access_log`, for a yes.
    logging.getLogger(_ACCESS).handlers.clear()
    logging.getLogger(_ACCESS).propagate = False
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _COMPLAINING:
        logging.getLogger(name).setLevel(logging.ERROR)


def _level(event: Event) -> int:
    return logging.WARNING if event.kind in WARNINGS else logging.INFO


def _fields(event: Event) -> dict[str, object]:
    facts: dict[str, object] = {
        "at": iso(event.at),
        "event": event.kind,
        "user": event.user,
        "actor": event.actor,
        "client": event.client,
        "door": event.door,
        "ip": str(event.ip) if event.ip else None,
        "sid": event.sid,
        "session": event.session,
        "amr": list(event.amr),
        "reason": event.reason,
        "details": redact_fields(event.details),
    }
    return {name: value for name, value in redact_fields(facts).items() if value not in (None, "", [], {})}


def _renderer(options: EventsOptions) -> Callable[[dict[str, Any]], str]:
    render = _as_json if options.log_format == "json" else _as_text
    return lambda fields: render({name: _visible(value) for name, value in fields.items()})


def _visible(value: Any) -> Any:
    """Nothing that hides, and nothing that begins a new line, in whatever way it is rendered."""
    match value:
        case str():
            return visible(value)
        case dict():
            return {visible(str(name)): _visible(inner) for name, inner in value.items()}
        case list():
            return [_visible(inner) for inner in value]
        case _:
            return value


def _as_json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str)


def _as_text(fields: dict[str, Any]) -> str:
    """`12:00:00.000 warning login.blocked user=7 …`: the time of day, the level, what, and the facts."""
    first = [str(fields.pop(name)) for name in ("at", "level", "event")]
    return " ".join([first[0][11:23], *first[1:], *(f"{name}={value}" for name, value in fields.items())])
