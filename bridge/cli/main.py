"""All commands, and how one that fails says so: one clear line, and a status that is not 0 — DESIGN §10."""

from collections.abc import Callable, Sequence
from typing import Final

import typer

from bridge.cli import (
    audit,
    check,
    client,
    config,
    credential,
    init,
    keys,
    outbox,
    registration,
    role,
    serve,
    session,
    user,
)
from bridge.cli.output import Refusal, complain
from bridge.errors import BridgeError

FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130

_UsageError: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""What the parser raises; typer does not export it."""

app: typer.Typer = typer.Typer(
    name="login-bridge",
    help="One login for the legacy WHMCS API, for ASGI apps and for OpenID Connect.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(init.init)
app.command()(init.migrate)
app.command()(check.check)
app.add_typer(config.app, name="config")
app.add_typer(user.app, name="user")
app.add_typer(credential.app, name="credential")
app.add_typer(role.app, name="role")
app.add_typer(client.app, name="client")
app.add_typer(registration.app, name="registration")
app.add_typer(keys.app, name="keys")
app.add_typer(session.app, name="session")
app.add_typer(outbox.app, name="outbox")
app.add_typer(audit.app, name="audit")


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status.  Never raises for what an operator can do wrong."""
    try:
        status = app(list(arguments), standalone_mode=False)
    except _UsageError as error:
        if said := _said(error):  # it is silent where it has printed the help
            complain(f"login-bridge: {said}")
        return MISUSED
    except (Refusal, BridgeError) as error:
        complain(f"login-bridge: {error}")
        return FAILED
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    return status if isinstance(status, int) else 0


def _said(error: Exception) -> str:
    """With the name of what is wrong, which the error's own text leaves out."""
    say: Callable[[], str] = getattr(error, "format_message", error.__str__)
    return say()
