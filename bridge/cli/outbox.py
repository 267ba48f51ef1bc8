"""`login-bridge outbox`: the letters and sign-outs that are still to be told, and those that were given up."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from bridge.accounts.invites import PURPOSE as INVITE
from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, say, say_table, when
from bridge.cli.rooms import ACTOR, VISIT, within
from bridge.config import Config
from bridge.outbox.outbox import Left, Revived
from bridge.resets.ask import PURPOSE as RESET
from bridge.users.email_changes import CONFIRM, UNDO, UNDO_SECONDS
from bridge.users.sign_ups import SIGN_UP

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
def retry(
    *,
    kind: Annotated[list[str] | None, typer.Option(help="Only what is of this kind; may be given again.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Begin again with what was given up; a server that runs takes it within a second.

    A letter whose link is over stays as it is: who still needs one asks for it.
    """

    async def work(rooms: Rooms) -> Revived:
        if kind and (unknown := sorted({*kind} - {*await rooms.outbox.given_up()})):
            raise Refusal(f"nothing of the kind {unknown[0]} was given up")
        lives = _lives(rooms.config)
        return await rooms.ledger.do(
            replace(VISIT, caller=ACTOR), lambda deed: rooms.outbox.revive(deed, only=kind or (), lives=lives)
        )

    done = within(config, work)
    total = sum(done.again.values())
    lines = [f"{total} to be tried again", *(f"  {count} {purpose}" for purpose, count in done.again.items())]
    lines += [f"{count} {purpose} left alone: the link is over" for purpose, count in done.over.items()]
    say({"revived": total, "kinds": done.again, "over": done.over}, "\n".join(lines), as_json=as_json)


def _lives(config: Config) -> dict[str, int]:
    """For how long each letter's link is good, in seconds."""
    return {
        RESET: config.resets.lifetime,
        INVITE: config.accounts.invite_lifetime,
        CONFIRM: config.users.email_change_lifetime,
        UNDO: UNDO_SECONDS,
        SIGN_UP: config.users.sign_up_lifetime,
    }


def _shown(job: Left, *, as_json: bool) -> dict[str, Any]:
    row = asdict(job)
    return row if as_json else row | {"due_at": when(job.due_at) if job.state == "waiting" else ""}
