"""Reads settings from a TOML file, the environment and secret files into typed sections; gathers every mistake.

A value that is a secret is never part of a message, nor is the password of a URL.
"""

import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from bridge.errors import ConfigError
from bridge.secret import Secret

T = TypeVar("T")
PREFIX: Final = "BRIDGE__"
_PLAIN: Final = {"REDIS_URL": ("store", "url"), "DATABASE_URL": ("database", "url")}
_FILE: Final = "_file"
_MESSAGES: Final = {  # the kinds of pydantic's complaints, as an operator understands them
    "int_": "must be a whole number",
    "bool_": "must be true or false",
    "string_": "must be a text",
    "path_": "must be a path",
    "tuple_": "must be a list",
    "ip_": "must be an address or a network such as 10.0.0.0/8",
}
_PASSWORD: Final = re.compile(r"(?<=://)[^/@\s]*(?=@)")


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
    names: set[str] = field(default_factory=set)
    """The settings (`section.key`) and sections that have one."""

    def add(self, name: str, what: str, origin: str = "") -> None:
        self.names.add(name)
        self.lines.append(f"{name}: {what} ({origin})" if origin else f"{name}: {what}")


def from_toml(path: Path, mistakes: Mistakes) -> Values:
    """The file's values; a missing or broken file is a mistake."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        mistakes.add(str(path), "no such file")
        return {}
    except OSError as error:
        mistakes.add(str(path), str(error.strerror))
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mistakes.add(str(path), str(error))
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
        tuple(name.removeprefix(PREFIX).lower().split("__")): Given(value, name)
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    return over(plain, ours)


def to_environment(given: Mapping[tuple[str, ...], Any]) -> dict[str, str]:
    """The variables that say the same to another process."""
    return {PREFIX + "__".join(path).upper(): _as_text(value) for path, value in given.items()}


def over(beneath: Values, above: Values) -> Values:
    """Both, `above` winning; a value above also wins over a `_file` beneath, and the other way round."""
    return {path: given for path, given in beneath.items() if _twin(path) not in above} | above


def section(cls: type[T], name: str, values: Values, mistakes: Mistakes, origins: dict[str, str]) -> T | None:
    """Build one section's options from what was given for it; what is missing keeps its default.

    None when the values do not go together, which is one more mistake.
    """
    hints = _hints(typing.cast("Any", cls))  # mypy takes a class of any kind for no Hashable
    known: dict[str, Field[Any]] = {each.name: each for each in fields(cls)}  # type: ignore[arg-type]
    origins |= {f"{name}.{key}": "default" for key in known}
    arguments: dict[str, Any] = {}
    for key, given in _of_section(name, values):
        target = key if key in known else _in_file(key, hints)
        if target is None:
            continue  # told by `unknown`
        if target != key and (name, target) in values:
            mistakes.add(f"{name}.{target}", f"is given twice, here and as {key}", values[name, target].origin)
            continue
        try:
            arguments[target] = _convert(hints[target], _from_file(given) if target != key else given.value)
            origins[f"{name}.{target}"] = given.origin
        except ValueError as error:
            mistakes.add(f"{name}.{target}", str(error), given.origin)
    try:
        return cls(**arguments)
    except (ValueError, ConfigError) as error:
        for line in str(error).split("; "):
            mistakes.add(*_split(name, line))
        return None


def unknown(values: Values, sections: Mapping[str, type[Any]], plain: Iterable[str], mistakes: Mistakes) -> None:
    """A mistake for each value that nothing takes, with the nearest setting that there is."""
    known = set(plain) | {f"{name}.{key}" for name, cls in sections.items() for key in _spellings(cls)}
    for path, given in values.items():
        if (wrong := ".".join(path)) not in known:
            mistakes.add(wrong, f"unknown setting{_nearest(wrong, known)}", given.origin)


def files_named(values: Values) -> dict[str, Path]:
    """`section.key` → the file in which its value stands."""
    given = {path: str(given.value) for path, given in values.items() if path[-1].endswith(_FILE) and given.value}
    return {".".join(path).removesuffix(_FILE): Path(text) for path, text in given.items()}


def is_secret(hint: Any) -> bool:
    """Whether a setting of that type is never shown."""
    return hint is Secret or Secret in typing.get_args(hint)


def masked(text: str) -> str:
    """The text with user and password of every URL in it replaced."""
    return _PASSWORD.sub("…", text)


def _of_section(name: str, values: Values) -> Iterator[tuple[str, Given]]:
    return ((path[1], given) for path, given in values.items() if len(path) == 2 and path[0] == name)


def _spellings(cls: type[Any]) -> set[str]:
    hints = _hints(typing.cast("Any", cls))  # mypy takes a class of any kind for no Hashable
    names = {each.name for each in fields(cls)}
    return names | {key + _FILE for key in names if _may_be_file(key, hints[key])}


def _in_file(key: str, hints: Mapping[str, Any]) -> str | None:
    """The setting whose value stands in the file that `key` names."""
    target = key.removesuffix(_FILE)
    return target if target != key and target in hints and _may_be_file(target, hints[target]) else None


def _may_be_file(key: str, hint: Any) -> bool:
    return is_secret(hint) or key == "url"  # the URL of a store or a database holds its password


def _twin(path: tuple[str, ...]) -> tuple[str, ...]:
    *before, key = path
    return (*before, key.removesuffix(_FILE) if key.endswith(_FILE) else key + _FILE)


def _nearest(wrong: str, known: set[str]) -> str:
    """Also a key that exists, in another section."""
    key = wrong.rpartition(".")[2]
    elsewhere = [name for name in sorted(known) if name.rpartition(".")[2] == key]
    close = difflib.get_close_matches(wrong, sorted(known), n=1, cutoff=0.7) or elsewhere
    return f"; did you mean {close[0]}?" if close else ""


def _split(name: str, line: str) -> tuple[str, str]:
    """What an options class complains of, with the setting it names first."""
    ours = re.match(rf"{name}\.(\w+)\*?:? ", line)
    return (f"{name}.{ours[1]}", line[ours.end() :]) if ours else (name, line)


def _from_file(given: Given) -> str:
    if not given.value:
        return ""
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
        value = _listed(value)
    try:
        return _checker(hint).validate_python(value)
    except ValidationError as error:
        raise ValueError(_said(error)) from None


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


@cache
def _checker(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | tuple) else str(value)


def _listed(text: str) -> Any:
    if not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise ValueError("is no list") from None


def _takes_many(hint: Any) -> bool:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return any(typing.get_origin(choice) in (tuple, frozenset, list) for choice in choices)


def _said(error: ValidationError) -> str:
    """One reason for each value: of a union's members, the last one's."""
    found = {masked(repr(each["input"])): _words(each["type"], each["msg"]) for each in error.errors(include_url=False)}
    return "; ".join(f"{message}, got {value}" for value, message in found.items())


def _words(kind: str, message: str) -> str:
    ours = (words for beginning, words in _MESSAGES.items() if kind.startswith(beginning))
    return next(ours, f"{message[:1].lower()}{message[1:]}")
