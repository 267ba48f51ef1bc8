"""`login-bridge user`: add, list, disable and enable users, see and end their sessions."""

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from msgspec.structs import replace

from bridge.app.rooms import Rooms
from bridge.cli.output import AsJson, ConfigFile, Refusal, read_line, say, say_table, when
from bridge.cli.rooms import ACTOR, VISIT, within
from bridge.errors import Unavailable, recorded_first
from bridge.events.rows import visible
from bridge.secret import Secret
from bridge.sessions.view import SessionView
from bridge.types import Subject, UserId
from bridge.users.policy import PasswordFault, PasswordPolicy
from bridge.users.user import Taken, User

app: typer.Typer = typer.Typer(help="Users.", no_args_is_help=True)

Who = Annotated[str, typer.Argument(metavar="USER", help="E-mail address or number.")]
WhoOrNobody = Annotated[str | None, typer.Argument(metavar="USER", help="E-mail address or number.")]

_FAULTS: Final[dict[PasswordFault, str]] = {
    "too-short": "has fewer than {shortest} characters",
    "too-long": "has more than 1,024 bytes",
    "too-common": "is one that is guessed first",
    "too-personal": "is made of the user's own name or address",
}
_PAGE: Final = 500
_AT_ONCE: Final = 8  # whose sessions are ended side by side: what a database and a store beside living traffic bear
_SHORTEST_TOTP: Final = 10  # bytes: 80 bits, what authenticators have always taken


@app.command()
def add(
    *,
    email: Annotated[str, typer.Argument(help="The address he signs in with.")],
    first_name: Annotated[str, typer.Option()] = "",
    last_name: Annotated[str, typer.Option()] = "",
    group: Annotated[list[str] | None, typer.Option(help="A scope that apps see; may be given again.")] = None,
    sub: Annotated[str | None, typer.Option(help="The OpenID subject; default: a new UUID.")] = None,
    email_verified: Annotated[bool, typer.Option("--email-verified", help="You know that the address is his.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
    ] = False,
    totp_secret_stdin: Annotated[
        bool, typer.Option("--totp-secret-stdin", help="Read a base32 TOTP secret from the next line.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Add a user.  Without a password he asks for a reset link first."""
    password = Secret(read_line("password")) if password_stdin else None
    totp = Secret(_base32(read_line("TOTP secret"))) if totp_secret_stdin else None

    async def work(rooms: Rooms) -> User:
        if password is not None:
            _judge(rooms, password, about=(email, first_name, last_name), second_factor=totp is not None)
        try:
            user = await rooms.users.create(
                email=email,
                password=password,
                totp=totp,
                first_name=first_name,
                last_name=last_name,
                groups=group or (),
                email_verified=email_verified,
                sub=Subject(sub) if sub is not None else None,
            )
        except (Taken, ValueError) as error:
            raise Refusal(f"{email}: {error}") from None
        rooms.events.tell("user.created", VISIT, user=user.id, actor=ACTOR)
        return user

    user = within(config, work)
    say(_shown(user), f"added {user.email}, user {user.id}, sub {user.sub}", as_json=as_json)


@app.command("list")
def list_(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all users."""
    found = within(config, all_users)
    columns = {"id": "ID", "email": "EMAIL", "name": "NAME", "groups": "GROUPS", "second_factor": "2ND FACTOR"}
    say_table([_shown(user) for user in found], {**columns, "disabled": "DISABLED"}, as_json=as_json)


@app.command()
def disable(*, user: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Let nobody in as this user, and end all that is his."""

    async def work(rooms: Rooms) -> User:
        found = await the_user(rooms, user)
        changed = await rooms.users.disable(found.id)
        if changed is None:
            raise Refusal(f"{found.email} is disabled already")
        rooms.events.tell("user.disabled", VISIT, user=found.id, actor=ACTOR)
        with recorded_first():
            await rooms.sessions.publish_stamp(found.id, found.tag)
        return changed

    changed = within(config, work)
    say(_shown(changed), f"disabled {changed.email}; his sessions are over", as_json=as_json)


@app.command()
def enable(*, user: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Let him in again."""

    async def work(rooms: Rooms) -> User:
        found = await the_user(rooms, user)
        changed = await rooms.users.enable(found.id)
        if changed is None:
            raise Refusal(f"{found.email} is not disabled")
        rooms.events.tell("user.enabled", VISIT, user=found.id, actor=ACTOR)
        with recorded_first():
            await rooms.sessions.publish_stamp(found.id, found.tag)
        return changed

    changed = within(config, work)
    say(_shown(changed), f"enabled {changed.email}", as_json=as_json)


@app.command("reset-factors")
def reset_factors(*, user: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Ask for the password alone again, when somebody lost his second factor and his recovery codes.  Ends his
    sessions, and tells him by mail.  Make sure that it is he who asks."""

    async def work(rooms: Rooms) -> User:
        found = await the_user(rooms, user)
        changed = await rooms.enrolment.remove_all(found, replace(VISIT, caller=ACTOR))
        if changed is None:
            raise Refusal(f"{found.email} has no second factor here")
        with recorded_first():
            await rooms.sessions.publish_stamp(found.id, found.tag)
        return changed

    changed = within(config, work)
    say(_shown(changed), f"{changed.email} signs in with the password alone", as_json=as_json)


@app.command()
def sessions(*, user: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List his living sessions, the newest first."""

    async def work(rooms: Rooms) -> list[SessionView]:
        found = await the_user(rooms, user)
        return await rooms.sessions.list_of(found.id, found.tag)

    rows = [shown_session(view, as_json=as_json) for view in within(config, work)]
    columns = {"id": "ID", "kind": "KIND", "via": "VIA", "since": "SINCE", "last": "LAST USED", "until": "UNTIL"}
    say_table(rows, {**columns, "ip": "ADDRESS", "user_agent": "PROGRAM"}, as_json=as_json)


@app.command()
def logout(
    *,
    user: WhoOrNobody = None,
    everybody: Annotated[bool, typer.Option("--all", help="Of every user there is.  See docs/incident.md.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """End all his sessions, and every app's access to his account."""
    if (user is None) != everybody:
        raise Refusal("user logout: USER, or --all")

    if user is None:
        count = within(config, _end_everybody)
        said = "1 user" if count == 1 else f"{count:,} users"
        say({"users": count, "ended": "all"}, f"signed {said} out everywhere", as_json=as_json)
        return

    async def work(rooms: Rooms) -> User:
        found = await the_user(rooms, user)
        await rooms.sessions.end_all(found.id, found.tag, "admin", actor=ACTOR)
        return found

    found = within(config, work)
    say({"id": found.id, "email": found.email, "ended": "all"}, f"signed {found.email} out everywhere", as_json=as_json)


async def _end_everybody(rooms: Rooms) -> int:
    """How many there were.  Raises Refusal once the store or the database does not answer, and says how far it came."""
    done = 0
    after = UserId(0)
    try:
        while page := await rooms.users.list(after=after, limit=_PAGE):
            for start in range(0, len(page), _AT_ONCE):
                few = page[start : start + _AT_ONCE]
                ending = (rooms.sessions.end_all(one.id, one.tag, "admin", actor=ACTOR) for one in few)
                for outcome in await asyncio.gather(*ending, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        raise outcome
                    done += 1
            await rooms.audit.flush()  # which holds so many rows, and then loses some
            after = page[-1].id
    except Unavailable as error:
        raise Refusal(f"{error} (signed out so far: {done:,}; to do it again is harmless)") from None
    return done


async def the_user(rooms: Rooms, who: str) -> User:
    """The user of that address or number.  Raises Refusal."""
    found = await (rooms.users.by_id(UserId(int(who))) if who.isdecimal() else rooms.users.by_email(who))
    if found is None:
        raise Refusal(f"there is no user {who}")
    return found


async def all_users(rooms: Rooms) -> list[User]:
    """Every user, by number."""
    found: list[User] = []
    while page := await rooms.users.list(after=found[-1].id if found else 0, limit=_PAGE):
        found += page
    return found


def shown_session(view: SessionView, *, as_json: bool) -> dict[str, Any]:
    """A session for people or programs."""
    times = {"since": view.since, "last": view.last, "until": view.until}
    return {
        "id": view.id,
        "kind": view.kind,
        "via": view.via,
        **(times if as_json else {name: when(at) for name, at in times.items()}),
        "ip": view.ip,
        "user_agent": visible(view.user_agent),
        "amr": list(view.amr),
        "clients": list(view.clients),
    }


def _shown(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "sub": user.sub,
        "email": user.email,
        "email_verified": user.email_verified,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "name": user.name,
        "groups": list(user.groups),
        "second_factor": user.second_factor,
        "authority": user.authority,
        "disabled": user.disabled,
        "created_at": user.created_at,
    }


def _judge(rooms: Rooms, password: Secret, *, about: Sequence[str], second_factor: bool) -> None:
    policy = PasswordPolicy(rooms.config.users)
    fault = policy.judge(password, about=about, second_factor=second_factor)
    if fault is not None:
        shortest = policy.shortest(second_factor=second_factor)
        raise Refusal(f"the password {_FAULTS[fault].format(shortest=shortest)}")


def _base32(text: str) -> str:
    """As authenticators print it: blanks, lower case and missing padding are forgiven.  Raises Refusal."""
    secret = re.sub(r"[\s-]", "", text).upper().rstrip("=")
    try:
        raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    except binascii.Error:
        raise Refusal("the TOTP secret is not base32") from None
    if len(raw) < _SHORTEST_TOTP:
        raise Refusal(f"the TOTP secret has fewer than {_SHORTEST_TOTP} bytes")
    return secret
