"""What a command says: JSON for programs, text for people, one line on stderr for what went wrong."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from bridge.events.rows import visible

_WIDE: Final = 240
"""Columns of a table that no terminal shows: a program that reads it wants whole words."""

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The settings.  Default: $BRIDGE_CONFIG, or bridge.toml here."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Refusal(Exception):
    """What was asked for cannot be done; the message is one line, for whoever asked."""


def say(value: Any, text: str, *, as_json: bool) -> None:
    """Print the value as JSON, or the text."""
    print(json.dumps(value, ensure_ascii=False) if as_json else text, flush=True)


def say_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool) -> None:
    """Print the rows as a JSON list, or the named members (member → heading) as a table."""
    if as_json:
        say(rows, "", as_json=True)
        return
    table = Table(*columns.values(), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell(row[member]) for member in columns))
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False, markup=False, emoji=False)
    console.print(table)


def complain(text: str) -> None:
    """Print to stderr."""
    print(text, file=sys.stderr, flush=True)


def read_line(what: str) -> str:
    """The next line of standard input, without its end.  Raises Refusal for none."""
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise Refusal(f"no {what} came on standard input")
    return line


def when(at: float | None) -> str:
    """A Unix time for people; nothing for None."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def cell(value: Any) -> str:
    """One value, for people."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(visible(str(each)) for each in value)
        case _:
            return visible(str(value))  # a name or a program chosen by others must not move the cursor
