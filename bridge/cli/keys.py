"""`login-bridge keys`: the signing keys, as they come and go — docs/incident.md."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, say, say_table, when
from bridge.cli.rooms import ACTOR, within
from bridge.keys.algorithms import ALGORITHMS, Algorithm
from bridge.keys.keyring import UnknownKey
from bridge.keys.rotation import Schedule, Stage, due_at

app: typer.Typer = typer.Typer(help="Signing keys.", no_args_is_help=True)

Kid = Annotated[str, typer.Argument(metavar="KID")]


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all keys, those that are gone too: since when each is what it is, and until when."""

    async def work(rooms: Rooms) -> list[dict[str, Any]]:
        stages = await rooms.keyring.stages()
        return [_shown(stage, rooms.keyring.schedule, stages) for stage in stages]

    rows = within(config, work)
    if not as_json:
        rows = [{**row, **{name: when(row[name]) for name in ("since", "until")}} for row in rows]
    columns = {"kid": "KID", "alg": "ALG", "state": "STATE", "since": "SINCE", "until": "UNTIL"}
    say_table(rows, columns, as_json=as_json)


@app.command()
def rotate(
    *,
    alg: Annotated[list[str] | None, typer.Option(help="Only of this algorithm; may be given again.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Publish new keys now; they sign as soon as every client has had time to read them."""
    if unknown := sorted({*(alg or ())} - {*ALGORITHMS}):
        raise Refusal(f"nothing is signed with {unknown[0]}, but with {', '.join(ALGORITHMS)}")
    wanted: list[Algorithm] = [each for each in ALGORITHMS if alg is None or each in alg]

    async def work(rooms: Rooms) -> list[dict[str, Any]]:
        await rooms.keyring.refresh()
        pending = await rooms.keyring.rotate(actor=ACTOR, algorithms=wanted)
        return [_shown(stage, rooms.keyring.schedule) for stage in pending]

    rows = within(config, work)
    lines = [f"{row['alg']} {row['kid']} is published, and signs from {when(row['until'])}" for row in rows]
    say({"pending": rows}, "\n".join(lines), as_json=as_json)


@app.command()
def compromise(*, kid: Kid, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """A key leaked: nobody is told of it any more, and another one signs, at once.  See docs/incident.md."""

    async def work(rooms: Rooms) -> Sequence[Stage]:
        await rooms.keyring.refresh()
        try:
            return await rooms.keyring.compromise(kid, actor=ACTOR)
        except UnknownKey as error:
            raise Refusal(str(error)) from None

    active = [{"kid": stage.kid, "alg": stage.alg} for stage in within(config, work)]
    lines = [f"{kid} is gone", *(f"{key['alg']} is signed by {key['kid']}" for key in active)]
    say({"compromised": kid, "active": active}, "\n".join(lines), as_json=as_json)


def _shown(stage: Stage, schedule: Schedule, stages: Sequence[Stage] = ()) -> dict[str, Any]:
    until = due_at(stage, schedule, stages)
    return {"kid": stage.kid, "alg": stage.alg, "state": stage.state, "since": stage.since, "until": until}
