"""Reads settings from a TOML file, the environment and secret files into typed sections; gathers every mistake.

A value that is a secret is never part of a message.
"""

import difflib
import json
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from bridge.errors import ConfigError
from bridge.secret import Secret

T = TypeVar("T")
_PREFIX: Final = "BRIDGE__"
_PLAIN: Final = {"REDIS_URL": ("store", "url"), "DATABASE_URL": ("database", "url")}


@dataclass(frozen=True, slots=True)
class Given:
    """One value and where it came from."""

    value: Any
    origin: str


Values = dict[tuple[str, ...], Given]
"""(section, key) or (key,) → what was given."""


@dataclass(slots=True)
class Mistakes:
    """Every mistake found so far, each one clear line."""

    lines: list[str] = field(default_factory=list)

    def add(self, name: str, what: str, origin: str) -> None:
        self.lines.append(f"{name}: {what} ({origin})")


def from_toml(path: Path, mistakes: Mistakes) -> Values:
    """The file's values; a missing or broken file is a mistake."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        mistakes.lines.append(f"{path}: no such file")
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mistakes.lines.append(f"{path}: {error}")
        return {}
    return dict(_flat(content, path.name))


def _flat(content: Mapping[str, Any], origin: str) -> Iterator[tuple[tuple[str, ...], Given]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from (((name, key), Given(inner, origin)) for key, inner in value.items())
        else:
            yield (name,), Given(value, origin)


def from_environment(environment: Mapping[str, str]) -> Values:
    """`BRIDGE__SECTION__KEY`, and the plain REDIS_URL and DATABASE_URL beneath them."""
    plain: Values = {place: Given(environment[name], name) for name, place in _PLAIN.items() if environment.get(name)}
    ours: Values = {
        tuple(name.removeprefix(_PREFIX).lower().split("__")): Given(value, name)
        for name, value in environment.items()
        if name.startswith(_PREFIX)
    }
    return plain | ours


def section(cls: type[T], name: str, values: Values, mistakes: Mistakes, origins: dict[str, str]) -> T | None:
    """Build one section's options from what was given for it; what is missing keeps its default.

    None when the values do not go together, which is one more mistake.
    """
    hints = typing.get_type_hints(cls)
    known: dict[str, Field[Any]] = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]
    given = {path[1]: value for path, value in values.items() if len(path) == 2 and path[0] == name}
    arguments: dict[str, Any] = {}
    for key in known:
        origins[f"{name}.{key}"] = "default"
    for key, value in given.items():
        target = key.removesuffix("_file") if key not in known else key
        if target not in known or (target != key and not is_secret(hints[target])):
            mistakes.add(f"{name}.{key}", f"unknown setting{_nearest(key, _spellings(known, hints))}", value.origin)
            continue
        try:
            arguments[target] = _convert(hints[target], _from_file(value) if target != key else value.value)
            origins[f"{name}.{target}"] = value.origin
        except ValueError as error:
            mistakes.add(f"{name}.{key}", str(error), value.origin)
    try:
        return cls(**arguments)
    except (ValueError, ConfigError) as error:
        mistakes.lines.append(f"{name}: {error}".replace(f"{name}: {name}.", f"{name}."))
        return None


def unknown_sections(values: Values, sections: set[str], plain: set[str], mistakes: Mistakes) -> None:
    """A mistake for each value that no section and no plain setting takes."""
    for path, given in values.items():
        if len(path) == 1 and path[0] in plain:
            continue
        if len(path) == 2 and path[0] in sections:
            continue
        wrong = path[0]
        mistakes.add(".".join(path), f"unknown setting{_nearest(wrong, sections | plain)}", given.origin)


def _spellings(known: Mapping[str, object], hints: Mapping[str, Any]) -> set[str]:
    return set(known) | {f"{key}_file" for key in known if is_secret(hints[key])}


def _nearest(wrong: str, known: set[str]) -> str:
    close = difflib.get_close_matches(wrong, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def is_secret(hint: Any) -> bool:
    return hint is Secret or Secret in typing.get_args(hint)


def _from_file(given: Given) -> str:
    path = Path(str(given.value))
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text") from None


def _convert(hint: Any, value: Any) -> Any:
    if is_secret(hint):
        if not isinstance(value, str):
            raise ValueError("must be a text")
        return Secret(value) if value else None
    if value == "" and type(None) in typing.get_args(hint):
        return None
    if isinstance(value, str) and _takes_many(hint):
        value = (
            json.loads(value) if value.startswith("[") else [part.strip() for part in value.split(",") if part.strip()]
        )
    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        raise ValueError(_said(error)) from None


def _takes_many(hint: Any) -> bool:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return any(typing.get_origin(choice) in (tuple, frozenset, list) for choice in choices)


def _said(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    messages = dict.fromkeys(f"{each['msg'][:1].lower()}{each['msg'][1:]}, got {each['input']!r}" for each in found)
    return "; ".join(messages)
