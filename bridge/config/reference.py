"""Writes `config/bridge.toml`, the commented reference, from the options classes themselves.

A test compares the file with what this writes, so that no setting is undocumented and no comment is out of date.

    python -m bridge.config.reference > config/bridge.toml
"""

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

from bridge.config.config import Config, sections
from bridge.config.read import is_secret

_HEAD = """\
# Every setting of login-bridge, with its default.  Lines that begin with `#` and a name are the defaults.
# The environment goes over this file: BRIDGE__SECTION__KEY, lists separated by commas.  A secret may stand in a file
# of its own: NAME_file here, BRIDGE__SECTION__NAME_FILE there.

# app: login pages and sessions for your own apps; provider: an OpenID Provider too; whmcs: the legacy API too.
# preset = "app"

# production, or dev: localhost only, plain http and cookies, secrets kept in var/.
# profile = "production"
"""


def reference() -> str:
    """The whole file."""
    default, said = Config(), documented(Config)
    parts = [_HEAD]
    for name, options in sections().items():
        parts.append(f"\n\n{_comment(said[name])}[{name}]\n" + "".join(_settings(options, getattr(default, name))))
    return "".join(parts)


def _settings(cls: type[Any], default: Any) -> Iterator[str]:
    said, hints = documented(cls), get_type_hints(cls)
    for each in fields(cls):
        suffix = "_file" if is_secret(hints[each.name]) else ""
        yield f"\n{_comment(said[each.name])}# {each.name}{suffix} = {_toml(getattr(default, each.name))}\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 114))


def documented(cls: type[Any]) -> dict[str, str]:
    """Field → the text that stands below it in the class body."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{cls!r} is no class")
    out = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and (text := _text(after)):
            out[before.target.id] = " ".join(text.split())
    return out


def _text(node: ast.stmt) -> str | None:
    """The text that this statement consists of."""
    value = node.value.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) else None
    return value if isinstance(value, str) else None


def _toml(value: object) -> str:
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case tuple() | frozenset() | list():
            return "[" + ", ".join(_toml(each) for each in value) + "]"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(reference())
