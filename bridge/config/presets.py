"""The three presets and the two profiles: what they set beneath the operator's own values — DESIGN §7, §10.

app       protects your own ASGI apps: login pages and sessions, no other door
provider  the same, and an OpenID Provider for other apps
whmcs     all doors: the legacy login API beside them
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.config.sections import Preset, Profile

PRESETS: Final[Mapping[Preset, Mapping[tuple[str, ...], Any]]] = {
    "app": {("oidc", "enabled"): False, ("legacy", "enabled"): False},
    "provider": {("oidc", "enabled"): True, ("legacy", "enabled"): False},
    "whmcs": {("oidc", "enabled"): True, ("legacy", "enabled"): True},
}

PROFILES: Final[Mapping[Profile, Mapping[tuple[str, ...], Any]]] = {
    "production": {},
    "dev": {("events", "log_format"): "text", ("mail", "url"): "console:"},
}
