"""`login-bridge registration`: who may register apps by themselves — RFC 7591 §1.2, security §17."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, say, say_table
from bridge.cli.rooms import ACTOR, VISIT, within
from bridge.clients.client import DEFAULT_SCOPES
from bridge.clients.registrations import InitialToken

app: typer.Typer = typer.Typer(help="Initial access tokens, by which apps register themselves.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="For yourself: whom it was given to.")]


@app.command()
def add(
    *,
    name: Name,
    uses: Annotated[int, typer.Option(min=0, help="So many apps may be registered by it; 0: any number.")] = 1,
    lifetime: Annotated[int, typer.Option(min=0, help="Seconds; 0: for ever.")] = 86_400,
    scope: Annotated[str, typer.Option(help="What these apps may ask for.")] = " ".join(DEFAULT_SCOPES),
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make an initial access token; it is printed now, and never again."""

    async def work(rooms: Rooms) -> tuple[InitialToken, str]:
        made = await rooms.registrations.invite(
            name, uses=uses or None, lifetime=lifetime or None, scopes=scope.split()
        )
        if made is None:
            raise Refusal(f"there is an initial access token {name} already")
        _tell(rooms, f"initial access token {name} made")
        return made, rooms.config.oidc.registration

    made, who = within(config, work)
    assert made.token is not None
    value = {**_shown(made), "initial_access_token": made.token.reveal(), "registration": who}
    lines = [f"initial_access_token  {made.token.reveal()}"]
    if who == "off":
        lines.append('nobody can register by it yet: oidc.registration is "off", and must be "token"')
    say(value, "\n".join(lines), as_json=as_json)


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List them, used up or not, without the tokens themselves."""

    async def work(rooms: Rooms) -> Sequence[InitialToken]:
        return await rooms.registrations.invited()

    rows = [_shown(token) for token in within(config, work)]
    columns = {"name": "NAME", "uses_left": "USES LEFT", "scope": "SCOPE", "expires_at": "UNTIL"}
    say_table(rows, columns, as_json=as_json)


@app.command()
def remove(*, name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Let nobody register by it any more; what was registered stays."""

    async def work(rooms: Rooms) -> None:
        if not await rooms.registrations.uninvite(name):
            raise Refusal(f"there is no initial access token {name}")
        _tell(rooms, f"initial access token {name} removed")

    within(config, work)
    say({"name": name, "state": "removed"}, f"removed {name}", as_json=as_json)


def _tell(rooms: Rooms, what: str) -> None:
    rooms.events.tell("client.changed", VISIT, actor=ACTOR, reason=what)


def _shown(token: InitialToken) -> dict[str, Any]:
    return {
        "name": token.name,
        "uses_left": token.left,
        "scope": " ".join(token.scopes),
        "expires_at": token.expires_at,
        "created_at": token.created_at,
    }
