"""`login-bridge audit export`: what happened, as JSON lines — sessions-and-accounts A12."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal
from bridge.cli.rooms import within
from bridge.events.export import export as export_rows

app: typer.Typer = typer.Typer(help="The audit log.", no_args_is_help=True)

_AGO: Final = re.compile(r"(\d{1,6})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.callback()
def _group() -> None:
    """Keeps `export` a word of its own, though it is the only one."""


@app.command()
def export(
    *,
    since: Annotated[str, typer.Option(help="2026-01-31, 2026-01-31T08:00:00Z, or an age: 90m, 24h, 7d.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Print every row since then, one JSON object on each line, with or without --json."""
    del as_json

    async def work(rooms: Rooms) -> None:
        async for line in export_rows(rooms.database, since=begin(since, now=rooms.clock.now())):
            print(line)

    within(config, work)


def begin(text: str, *, now: float) -> float:
    """The Unix time that an operator means; without a zone it is UTC.  Raises Refusal."""
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}).total_seconds()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(f"--since {text}: a date, a date with a time, or an age such as 24h") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
