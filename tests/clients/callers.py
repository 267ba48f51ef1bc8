"""Every way in which software in the wild calls the API, brought to one form: what was said, or which error."""

import json
import os
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from xml.etree import ElementTree as ET

import whmcspy

from tests.clients.house import IDENTIFIER, SECRET
from tests.servers import missing, need

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples/php_curl"


@dataclass(frozen=True)
class Call:
    """One call; `accesskey` "" where none is sent."""

    url: str
    action: str
    values: Mapping[str, str]
    identifier: str = IDENTIFIER
    secret: str = SECRET
    accesskey: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """All parameters but the form of the answer."""
        credentials = {"identifier": self.identifier, "secret": self.secret, "accesskey": self.accesskey}
        return {"action": self.action, **credentials, **self.values}


KNOWN_TO_WHMCS: Final = frozenset(
    {"ValidateLogin", "AddClient", "UpdateClient", "GetClientsDetails", "GetContacts", "DeleteClient"}
)
"""The actions for which the npm client `whmcs` has a method; the others take any."""


@dataclass(frozen=True)
class Said:
    """What the client made of the answer."""

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: str = ""


Client = Callable[[Call], Said]


def raw(form: str, *, method: str = "POST") -> Client:
    """A request as a program without any library sends it."""

    def call(call: Call) -> Said:
        encoded = urllib.parse.urlencode(call.fields | ({"responsetype": form} if form else {}))
        if method == "GET":
            request = urllib.request.Request(f"{call.url}?{encoded}")
        else:
            request = urllib.request.Request(call.url, encoded.encode())
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return _read(form, reply.read().decode())
        except HTTPError as reply:
            return _read(form, reply.read().decode())

    return call


def by_whmcspy(call: Call) -> Said:
    """The Python client, whose every failure is an exception with the message."""
    extra = {"accesskey": call.accesskey} if call.accesskey else {}
    try:
        client = whmcspy.WHMCS(call.url, call.identifier, call.secret)
        return Said(client.call(call.action, **call.values, **extra))
    except whmcspy.exceptions.Error as error:
        return Said(error=str(error))


def by_node(client: str) -> Client:
    """One of the two npm clients."""

    def call(call: Call) -> Said:
        node = need("node", "apt install nodejs")
        if not (HERE / "node_modules").is_dir():
            missing("tests/clients/node_modules", "npm ci in tests/clients")
        asked = {
            "client": client,
            "url": call.url,
            "identifier": call.identifier,
            "secret": call.secret,
            "accesskey": call.accesskey or None,
            "action": call.action,
            "values": dict(call.values),
        }
        if not call.accesskey:
            del asked["accesskey"]
        answer = json.loads(_run([node, "--no-deprecation", str(HERE / "call.cjs")], input=json.dumps(asked)))
        if "error" in answer:
            return Said(error=answer["error"].partition("): ")[2] or answer["error"])
        return _said(answer["value"])

    return call


def by_php(*, multipart: bool) -> Client:
    """Our PHP example, with its fields as one string or as an array."""

    def call(call: Call) -> Said:
        php = need("php", "apt install php-cli php-curl")
        match call.action:
            case "ValidateLogin":
                command = [EXAMPLES / "validate_login.php", call.values["email"], call.values["password2"]]
            case "ResetPassword":
                command = [EXAMPLES / "reset_password.php", *(word for pair in call.values.items() for word in pair)]
            case _:
                command = [HERE / "call.php", call.action]
        environment = os.environ | {
            "LOGIN_API": call.url,
            "LOGIN_IDENTIFIER": call.identifier,
            "LOGIN_SECRET": call.secret,
            "LOGIN_ACCESSKEY": call.accesskey,
            "LOGIN_MULTIPART": "1" if multipart else "",
        }
        said = _run([php, *map(str, command)], env=environment, input=json.dumps(dict(call.values)))
        return _said(json.loads(said))

    return call


CLIENTS: Mapping[str, Client] = {
    "json": raw("json"),
    "xml": raw("xml"),
    "nvp": raw(""),
    "get": raw("json", method="GET"),
    "whmcspy": by_whmcspy,
    "whmcs": by_node("whmcs"),
    "whmcs-js": by_node("whmcs-js"),
    "php-string": by_php(multipart=False),
    "php-array": by_php(multipart=True),
}


def _run(command: list[str], **how: Any) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, **how).stdout


def _read(form: str, text: str) -> Said:
    match form:
        case "json":
            return _said(json.loads(text))
        case "xml":
            return _said({element.tag: element.text or "" for element in ET.fromstring(text)})
        case _:
            return _said({name: value for name, _, value in (part.partition("=") for part in text.split(";")) if name})


def _said(values: Mapping[str, Any]) -> Said:
    return Said(error=values["message"]) if values["result"] == "error" else Said(values)
