"""`login-bridge outbox`: the letters and sign-outs that are still to be told, and those that were given up."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, say, say_table, when
from bridge.cli.rooms import within
from bridge.outbox.outbox import Left

app: typer.Typer = typer.Typer(help="What is to be delivered: letters, and sign-outs to apps.", no_args_is_help=True)


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List what is not delivered: what came of the last try, and when the next one is.  `dead`: it was given up."""

    async def work(rooms: Rooms) -> Sequence[Left]:
        return await rooms.outbox.left()

    rows = [_shown(job, as_json=as_json) for job in within(config, work)]
    columns = {"id": "JOB", "purpose": "WHAT", "user": "USER", "client": "APP", "state": "STATE"}
    say_table(rows, columns | {"attempts": "TRIES", "due_at": "NEXT TRY", "error": "LAST ERROR"}, as_json=as_json)


@app.command()
def retry(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Begin again with whatever was given up; a server that runs takes it within a second."""

    async def work(rooms: Rooms) -> int:
        return await rooms.outbox.revive()

    revived = within(config, work)
    say({"revived": revived}, f"{revived} to be tried again", as_json=as_json)


def _shown(job: Left, *, as_json: bool) -> dict[str, Any]:
    row = asdict(job)
    return row if as_json else row | {"due_at": when(job.due_at) if job.state == "waiting" else ""}
