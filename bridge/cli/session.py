"""`login-bridge session`: what a session is, what became of it, and ending it — DESIGN §6."""

from typing import Annotated, Any

import typer

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, read_line, say, say_table, when
from bridge.cli.rooms import ACTOR, within
from bridge.cli.user import Who, shown_session, the_user
from bridge.secret import Secret
from bridge.sessions.ending import look
from bridge.sessions.judge import Alive, DeadReason, judge_anywhere
from bridge.sessions.record import Ended, SessionRecord, Trace, show_record_keys
from bridge.sessions.view import SessionView, view
from bridge.tokens import LoginToken
from bridge.types import SlotTag

app: typer.Typer = typer.Typer(help="Sessions.", no_args_is_help=True)

ThatSession = Annotated[str, typer.Argument(metavar="SESSION", help="The id that `user sessions` shows.")]

WORDS: dict[DeadReason, str] = {
    "unknown": "never was, or too long ago",
    "wrong-place": "is not good there",
    "rotated": "was replaced by a newer token of the same session",
    "idle": "was not used for too long",
    "absolute": "reached its longest life",
    "password-changed": "ended because the password was changed",
    "second-factor-changed": "ended because the second factor was changed",
    "email-changed": "ended because the e-mail address was changed",
    "disabled": "ended because the user was disabled",
    "ended-by-you": "was ended by the user",
    "ended-by-administrator": "was ended by an administrator",
    "evicted": "made room for newer sessions",
    "address-changed": "came from another address",
}


@app.command()
def show(
    *,
    user: Annotated[str | None, typer.Argument(metavar="USER", help="E-mail address or number.")] = None,
    session: Annotated[str | None, typer.Argument(metavar="SESSION", help="An id that `user sessions` shows.")] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Instead: read a login token from standard input.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one living session: by user and id, or by its token."""
    if token_stdin:
        _show_token(config, as_json=as_json)
        return
    if user is None or session is None:
        raise Refusal("session show: USER and SESSION, or --token-stdin")

    async def work(rooms: Rooms) -> SessionView:
        return await _living(rooms, user, session)

    shown = shown_session(within(config, work), as_json=as_json)
    say(shown, _lines(shown), as_json=as_json)


@app.command()
def why(*, user: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """What became of a user's sessions: the living ones, and of the others why they ended."""

    async def work(rooms: Rooms) -> list[dict[str, Any]]:
        return await _history(rooms, user)

    rows = within(config, work)
    if not as_json:
        rows = [{**row, "since": when(row["since"]), "ended_at": when(row["ended_at"])} for row in rows]
    columns = {"id": "ID", "kind": "KIND", "via": "VIA", "since": "SINCE", "why": "STATE", "ended_at": "ENDED"}
    say_table(rows, columns, as_json=as_json)


@app.command()
def revoke(*, user: Who, session: ThatSession, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """End one session, and what was born under it."""

    async def work(rooms: Rooms) -> None:
        found = await the_user(rooms, user)
        await _living(rooms, user, session)
        await rooms.sessions.end(found.id, found.tag, session, "administrator", actor=ACTOR)

    within(config, work)
    say({"id": session, "state": "ended"}, f"ended {session}", as_json=as_json)


@app.command("reader-keys")
def reader_keys(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print the keys by which satellites and other readers check session records (docs/session-record.md).

    Secrets: whoever has them and may write to the store can make sessions.  They are not the master key.
    """

    async def work(rooms: Rooms) -> str:
        return show_record_keys(rooms.ring.subkeys("record-mac"))

    keys = within(config, work)
    say({"record_keys": keys}, keys.rstrip(), as_json=as_json)


def _show_token(config: ConfigFile, *, as_json: bool) -> None:
    token = LoginToken.parse(read_line("token"))
    if token is None:
        raise Refusal("that is no login token: 40 letters and digits")

    async def work(rooms: Rooms) -> SessionView:
        match await rooms.sessions.why(token):
            case Alive(record=record):
                return view(record)
            case dead:
                raise Refusal(f"the session {WORDS[dead.reason]}")

    shown = shown_session(within(config, work), as_json=as_json)
    say(shown, _lines(shown), as_json=as_json)


async def _living(rooms: Rooms, user: str, session: str) -> SessionView:
    found = await the_user(rooms, user)
    for one in await rooms.sessions.list_of(found.id, found.tag):
        if one.id == session:
            return one
    raise Refusal(f"{found.email} has no living session {session}; `login-bridge session why` tells more")


async def _history(rooms: Rooms, user: str) -> list[dict[str, Any]]:
    """Every session that the user's index still knows, the newest first; children show as their parents."""
    found = await the_user(rooms, user)
    tools = rooms.sessions.tools
    await rooms.sessions.publish_stamp(found.id, found.tag)
    (stamp,) = await rooms.store.read(tools.names.stamp(found.tag))
    told: dict[str, dict[str, Any]] = {}
    for key, record in await look(rooms.store, tools, await rooms.store.members(tools.names.sessions_of(found.tag))):
        if record is not None and (row := await _row(rooms, found.tag, key, record, stamp)) is not None:
            told.setdefault(row["id"], row)
    return sorted(told.values(), key=lambda row: row["since"] or row["ended_at"] or 0, reverse=True)


async def _row(
    rooms: Rooms, tag: SlotTag, key: str, record: SessionRecord | Trace, stamp: bytes | None
) -> dict[str, Any] | None:
    if isinstance(record, SessionRecord) and record.parent is not None:
        return None
    # The token itself is known to nobody but its holder; its name is enough to judge what lies there.
    nameless = LoginToken(Secret(""), tag, key.rpartition(":")[2])
    (raw,) = await rooms.store.read(key)
    now, codec = rooms.clock.now(), rooms.sessions.tools.codec
    verdict = judge_anywhere(nameless, rooms.sessions.keys_of(nameless)[0], raw, stamp, now=now, codec=codec)
    kept = record if isinstance(record, SessionRecord) else None
    return {
        "id": record.id,
        "kind": kept.kind if kept else None,
        "via": kept.via if kept else None,
        "since": kept.iat if kept else None,
        "state": "alive" if isinstance(verdict, Alive) else verdict.reason,
        "why": "alive" if isinstance(verdict, Alive) else WORDS[verdict.reason],
        "ended_at": record.at if isinstance(record, Ended) else None,
    }


def _lines(shown: dict[str, Any]) -> str:
    return "\n".join(f"{name:<11} {value if value is not None else ''}".rstrip() for name, value in shown.items())
