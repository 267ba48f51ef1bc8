"""`login-bridge role`: named sets of actions for API credentials — whmcs-api §2.4."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, say, say_table
from bridge.cli.rooms import ACTOR, VISIT, within
from bridge.clients.credential import EVERY_ACTION
from bridge.clients.roles import Role, RoleInUse, RoleTaken

app: typer.Typer = typer.Typer(help="Roles of API credentials.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What credentials and the log call it.")]
Actions = Annotated[list[str] | None, typer.Option("--allow-action", metavar="ACTION", help="May be given again.")]
AllActions = Annotated[
    bool, typer.Option("--all-actions", help="Every action but the powerful ones, which must be named.")
]


@app.command()
def add(
    *,
    name: Name,
    allow_action: Actions = None,
    all_actions: AllActions = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Add a role.  Give it to a credential by `credential add --role` or `credential roles`."""
    actions = _named(allow_action, all_actions=all_actions)

    async def work(rooms: Rooms) -> Role:
        try:
            made = await rooms.roles.add(name, actions)
        except (RoleTaken, ValueError) as error:
            raise Refusal(str(error)) from None
        rooms.events.tell("role.changed", VISIT, actor=ACTOR, reason="made", name=name, actions=" ".join(actions))
        return made

    made = within(config, work)
    say(_shown(made), f"added {made.name}", as_json=as_json)


@app.command("set")
def set_(
    *,
    name: Name,
    allow_action: Actions = None,
    all_actions: AllActions = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let it allow these actions instead, to all who have it."""
    actions = _named(allow_action, all_actions=all_actions)

    async def work(rooms: Rooms) -> None:
        try:
            if not await rooms.roles.change(name, actions):
                raise Refusal(f"there is no role {name}")
        except ValueError as error:
            raise Refusal(str(error)) from None
        rooms.events.tell("role.changed", VISIT, actor=ACTOR, reason="set", name=name, actions=" ".join(actions))

    within(config, work)
    say({"name": name, "state": "set"}, f"set {name}", as_json=as_json)


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all roles, what they allow and who has them."""

    async def work(rooms: Rooms) -> Sequence[Role]:
        return await rooms.roles.list()

    rows = [_shown(role) for role in within(config, work)]
    say_table(rows, {"name": "NAME", "actions": "ACTIONS", "credentials": "CREDENTIALS"}, as_json=as_json)


@app.command()
def remove(*, name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Forget a role that no credential has."""

    async def work(rooms: Rooms) -> None:
        try:
            if not await rooms.roles.remove(name):
                raise Refusal(f"there is no role {name}")
        except RoleInUse as error:
            raise Refusal(str(error)) from None
        rooms.events.tell("role.changed", VISIT, actor=ACTOR, reason="removed", name=name)

    within(config, work)
    say({"name": name, "state": "removed"}, f"removed {name}", as_json=as_json)


def _named(actions: list[str] | None, *, all_actions: bool) -> list[str]:
    named = [*(actions or ()), *([EVERY_ACTION] if all_actions else ())]
    if not named:
        raise Refusal("it would allow nothing: name actions by --allow-action, or --all-actions")
    return named


def _shown(role: Role) -> dict[str, Any]:
    return {
        "name": role.name,
        "actions": sorted(role.actions),
        "credentials": list(role.credentials),
        "created_at": role.created_at,
    }
