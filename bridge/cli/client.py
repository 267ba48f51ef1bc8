"""`login-bridge client`: the OAuth clients — RFC 7591 §2, §3.2.1."""

import difflib
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec
import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, cell, say, say_table
from bridge.cli.rooms import ACTOR, VISIT, within
from bridge.clients.client import Client
from bridge.clients.clients import Imported, Registered
from bridge.clients.metadata import InvalidMetadata, Metadata, localized
from bridge.types import ClientId

app: typer.Typer = typer.Typer(help="OAuth clients.", no_args_is_help=True)

ThatClient = Annotated[str, typer.Argument(metavar="CLIENT_ID")]
Many = list[str] | None
_MEMBERS: Final = get_type_hints(Metadata)


@app.command()
def add(
    *,
    name: Annotated[str, typer.Option(help="What people see on the consent page.")],
    redirect_uri: Annotated[Many, typer.Option(help="Where codes are sent; may be given again.")] = None,
    post_logout_redirect_uri: Annotated[Many, typer.Option(help="May be given again.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Without a secret: an app on a device, or in a page.")
    ] = False,
    native: Annotated[
        bool, typer.Option("--native", help="May use a scheme of its own, and any loopback port.")
    ] = False,
    first_party: Annotated[bool, typer.Option("--first-party", help="Ours: nobody is asked for consent.")] = False,
    resource_server: Annotated[
        bool, typer.Option("--resource-server", help="May ask what anybody's access token is good for.")
    ] = False,
    client_id: Annotated[str | None, typer.Option(help="Default: a random one.")] = None,
    grant_type: Annotated[
        Many, typer.Option(help="Default: authorization_code and refresh_token; may be given again.")
    ] = None,
    response_type: Annotated[
        Many, typer.Option(help='What it is answered with, as "code id_token"; default: code; may be given again.')
    ] = None,
    scope: Annotated[str | None, typer.Option(help='What it may ask for, as "openid email"; default: all.')] = None,
    auth_method: Annotated[
        str, typer.Option(help="client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt.")
    ] = "client_secret_basic",
    auth_alg: Annotated[
        str | None, typer.Option(help="How its assertions are signed: HS256, RS256, PS256, ES256 or EdDSA.")
    ] = None,
    jwks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with its public keys; or --jwks-uri.")
    ] = None,
    jwks_uri: Annotated[str | None, typer.Option(help="The https address of its public keys.")] = None,
    id_token_alg: Annotated[str, typer.Option(help="RS256, ES256 or EdDSA.")] = "RS256",  # noqa: S107
    default_max_age: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="How old a sign-in may be where it does not say.")
    ] = None,
    default_acr: Annotated[
        Many, typer.Option(help="pwd, mfa or phr: what it asks for where it does not say; may be given again.")
    ] = None,
    more: Annotated[
        Many, typer.Option("--set", metavar="MEMBER=VALUE", help="Any other member, as `client set` takes it.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Register a client; it must use PKCE.  Its secret is printed now, and never again."""
    metadata: dict[str, Any] = {
        "client_name": name,
        "redirect_uris": redirect_uri or [],
        "post_logout_redirect_uris": post_logout_redirect_uri or [],
        "application_type": "native" if native else "web",
        "token_endpoint_auth_method": "none" if public else auth_method,
        "grant_types": grant_type or ["authorization_code", "refresh_token"],
        "response_types": response_type,
        "id_token_signed_response_alg": id_token_alg,
        "token_endpoint_auth_signing_alg": auth_alg,
        "jwks": _documents(jwks) if jwks is not None else None,
        "jwks_uri": jwks_uri,
        **({"scope": scope} if scope is not None else {}),
        **({"default_max_age": default_max_age} if default_max_age is not None else {}),
        **({"default_acr_values": default_acr} if default_acr else {}),
        **({"resource_server": True} if resource_server else {}),
        **read_members(more or []),
    }

    async def work(rooms: Rooms) -> Registered:
        try:
            made = await rooms.clients.create(metadata, client_id=client_id, first_party=first_party)
        except InvalidMetadata as error:
            raise Refusal(_remedied(error)) from None
        _tell(rooms, made.client.client_id, "made")
        return made

    _say_registered(within(config, work), f"added {name}", as_json=as_json)


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all clients, without their secrets."""

    async def work(rooms: Rooms) -> Sequence[Client]:
        return await rooms.clients.list()

    rows = [_shown(client) for client in within(config, work)]
    columns = {"client_id": "CLIENT ID", "client_name": "NAME", "token_endpoint_auth_method": "SHOWS ITSELF BY"}
    more = {"redirect_uris": "REDIRECT URIS", "require_pkce": "PKCE", "source": "FROM", "disabled": "DISABLED"}
    say_table(rows, columns | more, as_json=as_json)


@app.command()
def show(*, client_id: ThatClient, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show all that is registered of one client, without its secret."""

    async def work(rooms: Rooms) -> Client:
        found = await rooms.clients.get(client_id)
        if found is None:
            raise Refusal(f"there is no client {client_id}")
        return found

    client = within(config, work)
    whole = {**registration_response(Registered(client, None)), **_shown(client)}
    width = max(map(len, whole))
    said = (f"{name:<{width}}  {cell(value)}".rstrip() for name, value in whole.items() if value not in (None, []))
    say(whole, "\n".join(said), as_json=as_json)


@app.command("set")
def set_(
    *,
    client_id: ThatClient,
    members: Annotated[list[str], typer.Argument(metavar="MEMBER=VALUE…")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Change what is registered of it: members of RFC 7591 and its like, as `backchannel_logout_uri=https://…`.

    Of a list, each item is a MEMBER=VALUE of its own, and those named here are the whole list.  `MEMBER=` forgets it.
    """

    async def work(rooms: Rooms) -> Registered:
        given = read_members(members)
        try:
            changed = await rooms.clients.change(client_id, lambda now: {**now, **given})
        except InvalidMetadata as error:
            raise Refusal(_remedied(error)) from None
        if changed is None:
            raise Refusal(f"there is no client {client_id}")
        named = " ".join(sorted(given))
        rooms.events.tell(
            "client.changed", VISIT, actor=ACTOR, client=ClientId(client_id), reason="changed", members=named
        )
        return changed

    _say_registered(within(config, work), f"changed {client_id}", as_json=as_json)


@app.command("new-secret")
def new_secret(
    *,
    client_id: ThatClient,
    keep_old: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="For so long the old one is good as well.")
    ] = 0,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give it a new secret, which is printed now, and never again.  Without --keep-old the old one is over at once."""

    async def work(rooms: Rooms) -> Registered:
        try:
            renewed = await rooms.clients.renew_secret(client_id, overlap=keep_old)
        except InvalidMetadata as error:
            raise Refusal(str(error)) from None
        if renewed is None:
            raise Refusal(f"there is no client {client_id}")
        _tell(rooms, client_id, "secret renewed")
        return renewed

    _say_registered(within(config, work), f"renewed the secret of {client_id}", as_json=as_json)


@app.command()
def disable(*, client_id: ThatClient, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Give it nothing from now on."""
    _change(client_id, "disabled", lambda rooms: rooms.clients.disable(client_id), config=config, as_json=as_json)


@app.command()
def enable(*, client_id: ThatClient, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Undo `disable`."""
    _change(client_id, "enabled", lambda rooms: rooms.clients.enable(client_id), config=config, as_json=as_json)


@app.command()
def remove(*, client_id: ThatClient, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Forget it."""
    _change(client_id, "removed", lambda rooms: rooms.clients.remove(client_id), config=config, as_json=as_json)


@app.command("import")
def import_(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="RFC 7591 metadata of one client, or a list.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take clients over with their ids, secrets and addresses: all of them, or none if one is wrong."""
    documents = _documents(file)

    async def work(rooms: Rooms) -> Sequence[Imported]:
        try:
            imported = await rooms.clients.import_(documents)
        except InvalidMetadata as error:
            raise Refusal(f"{file}: {error}") from None
        for one in imported:
            if one.added:
                _tell(rooms, one.client_id, "imported")
        return imported

    imported = within(config, work)
    rows = [{"client_id": one.client_id, "state": "added" if one.added else "was there"} for one in imported]
    say(rows, "\n".join(f"{row['state']}  {row['client_id']}" for row in rows), as_json=as_json)


def registration_response(made: Registered) -> dict[str, Any]:
    """RFC 7591 §3.2.1: id, secret and the registered metadata."""
    client = made.client
    secret = {} if made.secret is None else {"client_secret": made.secret.reveal(), "client_secret_expires_at": 0}
    return {
        "client_id": client.client_id,
        **secret,
        "client_id_issued_at": client.created_at,
        **client.metadata,
        "client_name": client.name,
        "token_endpoint_auth_method": client.auth_method,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types),
        "response_types": list(client.response_types),
        "scope": " ".join(client.scopes),
    }


def read_members(pairs: Sequence[str]) -> dict[str, Any]:
    """What was typed as MEMBER=VALUE, each of its member's type; None: to be forgotten.  Raises Refusal."""
    given: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Refusal(f"{pair}: must be MEMBER=VALUE")
        if (localized(name) or name) not in _MEMBERS:
            near = difflib.get_close_matches(name, _MEMBERS, 1)
            raise Refusal(f"{name}: no such member" + (f"; did you mean {near[0]}?" if near else ""))
        given.setdefault(name, []).append(value)
    return {name: _typed(name, values) for name, values in given.items()}


def _typed(name: str, values: list[str]) -> Any:
    if values == [""]:
        return None
    kind = _MEMBERS[localized(name) or name]
    if any(get_origin(one) is tuple for one in (kind, *get_args(kind))):
        return values
    if len(values) > 1:
        raise Refusal(f"{name}: is one value, and was given {len(values)} times")
    try:
        return json.loads(values[0]) if name == "jwks" else msgspec.convert(values[0], kind, strict=False)
    except ValueError as error:
        raise Refusal(f"{name}: {error}") from None


def _remedied(error: InvalidMetadata) -> str:
    """What is wrong, and the setting that would make it right, if there is one."""
    browsers = error.field in ("response_types", "grant_types") and "is not offered" in str(error)
    return f"{error}; oidc.implicit and oidc.hybrid offer more" if browsers else str(error)


def _say_registered(made: Registered, done: str, *, as_json: bool) -> None:
    lines = [done, f"client_id      {made.client.client_id}"]
    if made.secret is not None:
        lines.append(f"client_secret  {made.secret.reveal()}")
    say(registration_response(made), "\n".join(lines), as_json=as_json)


def _documents(file: Path) -> Any:
    try:
        found = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from None
    except ValueError:
        raise Refusal(f"{file}: not JSON") from None
    if not isinstance(found, dict) and not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise Refusal(f"{file}: must be one client's metadata, or a list of such")
    return found


def _change(
    client_id: str, done: str, change: Callable[[Rooms], Awaitable[bool]], *, config: ConfigFile, as_json: bool
) -> None:
    async def work(rooms: Rooms) -> None:
        if not await change(rooms):
            raise Refusal(f"there is no client {client_id}")
        _tell(rooms, client_id, done)

    within(config, work)
    say({"client_id": client_id, "state": done}, f"{done} {client_id}", as_json=as_json)


def _tell(rooms: Rooms, client_id: str, what: str) -> None:
    rooms.events.tell("client.changed", VISIT, actor=ACTOR, client=ClientId(client_id), reason=what)


def _shown(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "client_name": client.name,
        "token_endpoint_auth_method": client.auth_method,
        "redirect_uris": list(client.redirect_uris),
        "grant_types": list(client.grant_types),
        "scope": " ".join(client.scopes),
        "require_pkce": client.require_pkce,
        "first_party": client.first_party,
        "allow_query_token": client.allow_query_token,
        "source": client.source,
        "disabled": client.disabled,
        "created_at": client.created_at,
    }
