"""`login-bridge credential`: who may call the API — whmcs-api §2.2."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, read_line, say, say_table
from bridge.cli.rooms import ACTOR, VISIT, within
from bridge.clients.credential import EVERY_ACTION, Credential, Rights, SessionTerms
from bridge.clients.credentials import CredentialTaken
from bridge.clients.roles import UnknownRole
from bridge.secret import Secret

app: typer.Typer = typer.Typer(help="API credentials.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the audit calls it.")]
_TERM: Final = "Seconds, of the sessions it makes; default: as sessions.* says."


@app.command()
def add(
    *,
    name: Name,
    identifier: Annotated[str | None, typer.Option(help="Default: 32 random characters.")] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read the secret from standard input; default: 32 random characters.")
    ] = False,
    admin: Annotated[
        bool,
        typer.Option(
            "--admin", help="An admin: --identifier is his name, --secret-stdin his password; callers send its md5."
        ),
    ] = False,
    allow_ip: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="Only from there; may be given again.")
    ] = None,
    allow_action: Annotated[list[str] | None, typer.Option(metavar="ACTION", help="May be given again.")] = None,
    all_actions: Annotated[
        bool, typer.Option("--all-actions", help="Every action but the powerful ones, which must be named.")
    ] = False,
    role: Annotated[list[str] | None, typer.Option(help="A role of `role add`; may be given again.")] = None,
    lifetime: Annotated[int | None, typer.Option("--lifetime", "--session-lifetime", min=1, help=_TERM)] = None,
    idle: Annotated[int | None, typer.Option("--idle", "--session-idle", min=1, help=_TERM)] = None,
    cap: Annotated[
        int | None, typer.Option("--cap", "--session-cap", min=1, help="The most sessions of one user by it.")
    ] = None,
    error_on_2fa: Annotated[
        bool | None,
        typer.Option(
            "--error-on-2fa/--no-error-on-2fa",
            help="Tell it an error for users with a second factor, or not; default: as legacy.error_on_2fa says.",
        ),
    ] = None,
    sso_without_2fa: Annotated[
        bool,
        typer.Option("--sso-without-2fa", help="Its links of CreateSsoToken ask nobody for a second factor: it did."),
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Add a credential.  Its secret is printed now, and never again."""
    if not (allow_action or all_actions or role):
        raise Refusal("it could call nothing: name actions by --allow-action, --all-actions or --role")
    if admin and not (identifier and secret_stdin):
        raise Refusal("--admin needs --identifier and --secret-stdin")
    given = Secret(read_line("secret")) if secret_stdin else None
    try:
        rights = Rights.parse(
            allowed_ips=allow_ip or (),
            actions=[*(allow_action or ()), *([EVERY_ACTION] if all_actions else ())],
            roles=role or (),
            sessions=SessionTerms(lifetime=lifetime, idle=idle, cap=cap),
            error_on_2fa=error_on_2fa,
            sso_without_2fa=sso_without_2fa,
        )
    except ValueError as error:
        raise Refusal(str(error)) from None

    async def work(rooms: Rooms) -> tuple[Credential, Secret | None]:
        try:
            if admin and identifier and given:
                md5 = Secret(hashlib.md5(given.reveal_bytes(), usedforsecurity=False).hexdigest())
                made = await rooms.credentials.create_admin(name, rights, username=identifier, md5=md5)
                secret = None
            else:
                new = await rooms.credentials.create(name, rights, identifier=identifier, secret=given)
                made, secret = new.credential, new.secret
        except (CredentialTaken, ValueError) as error:
            raise Refusal(str(error)) from None
        rooms.events.tell("credential.changed", VISIT, actor=ACTOR, reason="made", name=name)
        return made, secret

    made, secret = within(config, work)
    shown = _shown(made) | ({"secret": secret.reveal()} if secret is not None else {})
    lines = [f"added {made.name}", f"identifier  {made.identifier}"]
    if secret is not None and given is None:  # whoever gave it knows it
        lines.append(f"secret      {secret.reveal()}")
    say(shown, "\n".join(lines), as_json=as_json)


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all credentials, without their secrets."""

    async def work(rooms: Rooms) -> list[Credential]:
        return list(await rooms.credentials.list())

    rows = [_shown(credential) for credential in within(config, work)]
    columns = {"name": "NAME", "kind": "KIND", "identifier": "IDENTIFIER", "allowed_ips": "FROM", "actions": "ACTIONS"}
    say_table(rows, {**columns, "roles": "ROLES", "disabled": "DISABLED"}, as_json=as_json)


@app.command()
def roles(
    *,
    name: Name,
    role: Annotated[list[str] | None, typer.Option(help="May be given again; none: no role.")] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let it have these roles, and no other."""
    named = role or []

    async def work(rooms: Rooms) -> None:
        try:
            if not await rooms.credentials.give_roles(name, named):
                raise Refusal(f"there is no credential {name}")
        except UnknownRole as error:
            raise Refusal(str(error)) from None
        rooms.events.tell(
            "credential.changed", VISIT, actor=ACTOR, reason="roles", name=name, roles=" ".join(sorted(named))
        )

    within(config, work)
    shown = ", ".join(sorted(named)) or "no role"
    say({"name": name, "roles": sorted(named)}, f"{name} has {shown}", as_json=as_json)


@app.command()
def disable(*, name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Refuse it from now on."""
    _change(name, "disabled", lambda rooms: rooms.credentials.disable(name), config=config, as_json=as_json)


@app.command()
def enable(*, name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Take it again."""
    _change(name, "enabled", lambda rooms: rooms.credentials.enable(name), config=config, as_json=as_json)


@app.command()
def remove(*, name: Name, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Forget it."""
    _change(name, "removed", lambda rooms: rooms.credentials.remove(name), config=config, as_json=as_json)


def _change(
    name: str, done: str, change: Callable[[Rooms], Awaitable[bool]], *, config: ConfigFile, as_json: bool
) -> None:
    async def work(rooms: Rooms) -> None:
        if not await change(rooms):
            raise Refusal(f"there is no credential {name}")
        rooms.events.tell("credential.changed", VISIT, actor=ACTOR, reason=done, name=name)

    within(config, work)
    say({"name": name, "state": done}, f"{done} {name}", as_json=as_json)


def _shown(credential: Credential) -> dict[str, Any]:
    terms = credential.sessions
    return {
        "name": credential.name,
        "kind": credential.kind,
        "identifier": credential.identifier,
        "allowed_ips": [str(network) for network in credential.allowed_ips],
        "actions": sorted(credential.actions),
        "roles": sorted(credential.roles),
        "sessions": {"lifetime": terms.lifetime, "idle": terms.idle, "cap": terms.cap},
        "error_on_2fa": credential.error_on_2fa,
        "sso_without_2fa": credential.sso_without_2fa,
        "disabled": credential.disabled,
        "created_at": credential.created_at,
    }
