"""`login-bridge init` and `migrate`: the file of settings, the secrets, the tables, the signing keys — DESIGN §10."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.cli.output import AsJson, ConfigFile, Refusal, say
from bridge.cli.rooms import opened
from bridge.config import Config
from bridge.config.config import DEFAULT_FILE, settings_file
from bridge.config.keyfiles import MASTER_FILE, SLOT_FILE, make_master, make_private, make_slot
from bridge.config.read import PREFIX, Mistakes, files_named, from_environment, from_toml, over
from bridge.config.reference import reference
from bridge.config.sections import Preset

FOLDER: Final = Path("var")

_BASE_URL: Final = f"{PREFIX}SERVER__BASE_URL"
_Makers: Final = {"master": make_master, "slot": make_slot}


@dataclass(slots=True)
class Report:
    """What was made and what was there."""

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def add(self, path: Path, *, new: bool) -> None:
        (self.made if new else self.kept).append(str(path))


def init(
    *,
    config: ConfigFile = None,
    base_url: Annotated[str | None, typer.Option(help="The public https address, which is also the issuer.")] = None,
    preset: Annotated[Preset, typer.Option(help="Which doors there are.")] = "app",
    as_json: AsJson = False,
) -> None:
    """Make what is not there yet: settings, secrets, tables, signing keys.  What is there is never changed."""
    file, report = settings_file(config), Report()
    if file is None and _BASE_URL not in os.environ:
        file = DEFAULT_FILE  # else all comes from the environment, as in a container
    if file is not None:
        report.add(file, new=_write_settings(file, preset=preset, base_url=base_url))
    for name, path in _secret_files(file).items():
        report.add(path, new=_Makers[name](path))
    settings = Config.discover(file)
    if base_url not in (None, settings.server.base_url):
        raise Refusal(f"server.base_url is {settings.server.base_url} already, in {file}")
    revision = asyncio.run(_prepare(settings))
    lines = [*(f"made  {each}" for each in report.made), *(f"kept  {each}" for each in report.kept)]
    lines += [f"the database is at revision {revision}", _next(file)]
    value = {"config": str(file) if file else None, "made": report.made, "kept": report.kept, "revision": revision}
    say(value, "\n".join(lines), as_json=as_json)


def migrate(*, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Bring the tables up to date; harmless while others do the same."""
    revision = asyncio.run(_migrate(Config.discover(config)))
    say({"revision": revision}, f"the database is at revision {revision}", as_json=as_json)


async def _migrate(settings: Config) -> str:
    from bridge.database.migrate import migrate as upgrade  # noqa: PLC0415  brings Alembic

    return await upgrade(settings.database.url)


async def _prepare(settings: Config) -> str:
    revision = await _migrate(settings)
    async with opened(settings) as rooms:
        await rooms.keyring.ensure()
    return revision


def _write_settings(file: Path, *, preset: Preset, base_url: str | None) -> bool:
    """The commented reference with what is known filled in.  False: a file was there."""
    if file.exists():
        return False
    if base_url is None:
        raise Refusal("--base-url is needed: the public https address, such as https://login.example.com")
    text = reference()
    known: dict[str, str | list[str]] = {
        "preset": preset,
        "base_url": base_url,
        "trusted_proxies": ["127.0.0.1", "::1"],  # the TLS proxy before it, which must not pass for its visitors
        "master_file": str(FOLDER / MASTER_FILE),
        "slot_file": str(FOLDER / SLOT_FILE),
    }
    for name, value in known.items():
        text = _filled_in(text, name, value)
    return make_private(file, text)  # URLs with passwords may come to stand in it


def _filled_in(text: str, name: str, value: str | list[str]) -> str:
    """The reference with the first commented line of that name made a setting."""
    before, mark, after = text.partition(f"\n# {name} = ")
    return f"{before}\n{name} = {json.dumps(value)}\n{after.partition(chr(10))[2]}" if mark else text


def _secret_files(file: Path | None) -> dict[str, Path]:
    """The files that the settings name for the two secrets; what cannot be read is told by whoever loads it."""
    mistakes = Mistakes()
    values = over(from_toml(file, mistakes) if file else {}, from_environment(os.environ))
    named = files_named(values)
    return {name: named[f"secrets.{name}"] for name in _Makers if f"secrets.{name}" in named}


def _next(file: Path | None) -> str:
    option = "" if file in (None, DEFAULT_FILE) else f" --config {file}"
    return f"next: login-bridge check{option} && login-bridge serve{option}"
