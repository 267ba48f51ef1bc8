"""`login-bridge config show`: every setting, and where it came from — DESIGN §10."""

from pathlib import Path
from typing import Any

import typer

from bridge.cli.output import AsJson, ConfigFile, say_table
from bridge.config import Config

app: typer.Typer = typer.Typer(help="The settings.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `show` a word of its own, though it is the only one."""


@app.command()
def show(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print each setting with its value and its origin; secrets show as (set)."""
    settings = Config.discover(config).shown()
    rows = [{"name": name, "value": _plain(value), "origin": origin} for name, (value, origin) in settings.items()]
    say_table(rows, {"name": "SETTING", "value": "VALUE", "origin": "FROM"}, as_json=as_json)


def _plain(value: object) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple() | list() | frozenset():
            return [_plain(each) for each in value]
        case Path():
            return str(value)
        case _:
            return str(value)
