"""Writes `config/bridge.toml`, the commented reference, from the options classes themselves.

A test compares the file with what this writes, so that no setting is undocumented and no comment is out of date.
"""

import ast
import inspect
import json
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
    parts = [_HEAD]
    default = Config()
    for name, options in sections().items():
        summary = (inspect.getdoc(options) or "").split("\n\n")[0].replace("\n", " ")
        parts.append(f"\n# {summary}\n[{name}]\n" + "".join(_lines(options, getattr(default, name))))
    return "".join(parts)


def _lines(cls: type[Any], default: Any) -> Iterator[str]:
    said, hints = documented(cls), get_type_hints(cls)
    for each in fields(cls):
        for line in textwrap.wrap(said.get(each.name, ""), 114):
            yield f"# {line}\n"
        suffix = "_file" if is_secret(hints[each.name]) else ""
        yield f"# {each.name}{suffix} = {_toml(getattr(default, each.name))}\n"


def documented(cls: type[Any]) -> dict[str, str]:
    """Field → the text that stands below it in the class body."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{cls!r} is no class")
    out = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and _is_text(after):
            out[before.target.id] = " ".join(ast.literal_eval(after.value).split())
    return out


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


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
