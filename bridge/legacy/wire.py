"""How an answer looks on the wire: json, xml or nvp — whmcs-api §1.2 to §1.5."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from bridge.asgi import Reply
from bridge.legacy.options import LegacyOptions

Format = Literal["json", "xml", "nvp"]
Scalar: TypeAlias = str | int | bool | None
Value: TypeAlias = "Scalar | Sequence[Value] | Mapping[str, Value]"
Content: TypeAlias = Mapping[str, Value]

HEADERS: Final = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"), (b"referrer-policy", b"no-referrer"))
_ITEMS: Final = {"users": "user", "clients": "client"}  # the lists of the documentation that name their items
_XML_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_XML_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
# A reader splits at `;`, some at lines too: what a user typed must not add a field of its own.
_NVP_BREAKS: Final = re.compile("[;\r\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")
_encode: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_JSON_ESCAPE: Final = re.compile(r"\\(u007f|.)")


def format_of(responsetype: str) -> Format:
    """What the caller asked for; nvp unless it is json or xml."""
    match responsetype.strip().lower():
        case "json":
            return "json"
        case "xml":
            return "xml"
        case _:
            return "nvp"


def reply(action: str, content: Content, form: Format, options: LegacyOptions, status: int = 200) -> Reply:
    """The whole answer to `action` in that form, never to be stored."""
    match form:
        case "json":
            text, kind = to_json(_stringified(content) if options.string_scalars else content), "application/json"
        case "xml":
            text, kind = to_xml(action, content, options), "application/xml"
        case "nvp":
            text, kind = to_nvp(content, options), options.nvp_content_type
    return Reply(status, text.encode(), kind.encode("latin-1"), HEADERS)


def to_json(content: Content) -> str:
    """As PHP's json_encode prints it: `\\/`, `\\uXXXX`, and `[]` for whatever is empty."""
    text = _encode(_php(content)).replace("/", "\\/")
    return _JSON_ESCAPE.sub(lambda found: "\x7f" if found[1] == "u007f" else found[0], text)


def to_xml(action: str, content: Content, options: LegacyOptions) -> str:
    """Root, lower-case action, then one element for each key."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<whmcsapi version="{_xml_text(options.advertised_version)}">',
        f"<action>{_xml_text(action.lower())}</action>",
        *_xml_members(content, options),
        "</whmcsapi>",
    ]
    return "\n".join(lines)


def to_nvp(content: Content, options: LegacyOptions) -> str:
    """`key=value` joined by `;`; a success ends in `;`, an error does not."""
    if options.nvp_lists == "refuse" and _has_list(content):
        return "result=error;message=This API function can only return XML response format;"
    text = ";".join(f"{_nvp(key).replace('=', ' ')}={_nvp(_cast(value))}" for key, value in _flat(content))
    return text if content.get("result") == "error" else text + ";"


def _php(value: Value) -> Any:
    match value:
        case str():
            return _clean(value)
        case None | int():
            return value
        case Mapping():
            return {_clean(str(key)): _php(member) for key, member in value.items()} or []
        case Sequence():
            return [_php(member) for member in value]
        case _:
            return value


def _stringified(content: Content) -> Content:
    """The form of the documentation's examples, `"userid":"1"`, `"twoFactorEnabled":"false"` (§1.5)."""
    return {key: _in_words(value) for key, value in content.items()}


def _in_words(value: Value) -> Value:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case None | str():
            return value
        case Mapping():
            return _stringified(value)
        case _:
            return [_in_words(member) for member in value]


def _cast(value: Scalar) -> str:
    """PHP's (string): true is 1, false and null are empty."""
    match value:
        case None | False:
            return ""
        case True:
            return "1"
        case _:
            return _clean(str(value))


def _clean(text: str) -> str:
    """What is no character becomes U+FFFD, where the original fails (§1.2)."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") if not text.isascii() else text


def _xml_members(content: Content, options: LegacyOptions) -> Iterator[str]:
    for key, value in content.items():
        item = _ITEMS.get(key) if options.xml_lists == "named" else None
        match value:
            case None | str() | int():
                yield _xml_leaf(key, value)
            case Mapping():
                yield from _xml_element(key, _xml_members(value, options))
            case _ if item is not None:
                yield from _xml_element(key, _xml_items(item, value, options))
            case _:
                yield from _xml_items(key, value, options)


def _xml_items(name: str, values: Sequence[Value], options: LegacyOptions) -> Iterator[str]:
    for value in values:
        yield from _xml_members({name: value}, options)


def _xml_element(key: str, inside: Iterator[str]) -> Iterator[str]:
    yield f"<{_xml_name(key)}>"
    yield from inside
    yield f"</{_xml_name(key)}>"


def _xml_leaf(key: str, value: Scalar) -> str:
    name = _xml_name(key)
    return f"<{name}>{_xml_text(_cast(value))}</{name}>"


def _xml_name(key: str) -> str:
    name = _NOT_A_NAME.sub("_", str(key)) or "_"
    return name if name[0].isalpha() or name[0] == "_" else f"_{name}"


def _xml_text(text: str) -> str:
    return _XML_FORBIDDEN.sub("", text).translate(_XML_ESCAPES)


def _nvp(text: str) -> str:
    return _NVP_BREAKS.sub(" ", _clean(text))


def _flat(value: Content, prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    for key, member in value.items():
        name = f"{prefix}[{key}]" if prefix else str(key)
        match member:
            case None | str() | int():
                yield name, member
            case Mapping():
                yield from _flat(member, name)
            case _:
                yield from _flat({str(number): one for number, one in enumerate(member)}, name)


def _has_list(value: Value) -> bool:
    match value:
        case None | str() | int():
            return False
        case Mapping():
            return any(_has_list(member) for member in value.values())
        case _:
            return True
