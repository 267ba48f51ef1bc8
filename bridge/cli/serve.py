"""`login-bridge serve`: look that it can work, then become the server — DESIGN §3, §10."""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bridge.app.production import refuse_the_demo
from bridge.cli.demo import SETTINGS, Given, choose, prepare
from bridge.cli.output import AsJson, ConfigFile, Refusal, say
from bridge.cli.rooms import opened
from bridge.config import Config
from bridge.config.config import FILE_VARIABLE, settings_file
from bridge.config.read import to_environment
from bridge.config.sections import ServerOptions


def serve(
    *,
    config: ConfigFile = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="The dev profile with all doors, a user and a client; keeps all in var/.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many processes serve.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A PEM certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve.  With --demo: everything on this machine, and what to try is printed."""
    options = {"host": host, "port": port, "workers": workers, "tls_cert": tls_cert, "tls_key": tls_key}
    given: Given = {("server", name): value for name, value in options.items() if value is not None}
    if demo:
        if config is not None:
            raise Refusal("--demo has settings of its own: --config does not go with it")
        settings, given = choose(given)
        see_that_it_is_free(settings.server)
        what = asyncio.run(prepare(settings))
        say(what.as_json(), what.as_text(), as_json=as_json)
        become_the_server(SETTINGS, given)
    settings = Config.discover(config, given)
    see_that_it_is_free(settings.server)
    asyncio.run(_see_that_it_can_serve(settings))
    become_the_server(settings_file(config), given)


def see_that_it_is_free(server: ServerOptions) -> None:
    """Raise Refusal if nobody can listen there."""
    try:
        family = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((server.host, server.port), family=family).close()
    except OSError as error:
        why = str(error.strerror).partition(" (")[0]
        raise Refusal(f"{server.host}:{server.port}: {why}; --port takes another") from None


def become_the_server(file: Path | None, given: Mapping[tuple[str, ...], Any]) -> NoReturn:
    """Replace this process by the server's, which has the same number and a third of its size."""
    environment = {**os.environ, **to_environment(given)}
    if file is not None:
        environment[FILE_VARIABLE] = str(file.resolve())
    # -P: a file of the working directory must not stand in for a module.
    os.execve(sys.executable, [sys.executable, "-P", "-m", "bridge.cli.worker"], environment)  # noqa: S606


async def _see_that_it_can_serve(settings: Config) -> None:
    """What would stop the server is told here, in one line."""
    async with opened(settings) as rooms:
        await refuse_the_demo(rooms)
