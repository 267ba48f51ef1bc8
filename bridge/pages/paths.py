"""Where the pages are, below the prefix under which the bridge is mounted — DESIGN §7."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from bridge.sessions.ticket import AT_ISSUER

PLACES: Final[Mapping[str, str]] = {
    "login": "/login",
    "second_factor": "/login/code",
    "passkey": "/login/passkey",
    "continue_as": "/login/continue",
    "ticket": AT_ISSUER,
    "single_sign_on": "/oauth/singlesignon.php",
    "consent": "/consent",
    "logout": "/logout",
    "reset": "/reset",
    "new_password": "/reset/new",
    "invite": "/invite",
    "email": "/email",
    "signup": "/signup",
    "signup_finish": "/signup/finish",
    "account": "/account",
    "change_password": "/account/password",
    "change_email": "/account/email",
    "end_sessions": "/account/sessions",
    "withdraw": "/account/apps",
    "forget": "/account/devices",
    "totp": "/account/totp",
    "passkeys": "/account/passkeys",
    "remove_factor": "/account/factors",
    "recovery_codes": "/account/recovery-codes",
    "stylesheet": "/static/bridge.css",
    "script": "/static/passkey.js",
}


class Paths(Mapping[str, str]):
    """Each page's path on this host.

    `root` is the mount prefix (ASGI's `root_path`), "" or `/sso`.  Raises ValueError for one that a browser might read
    as another host: it ends up in the action of the form that carries the password.
    """

    def __init__(self, root: str = "") -> None:
        root = quote(root.rstrip("/"), safe="/-._~!$&'()*+,;=:@%")
        if root and (not root.startswith("/") or root.startswith("//")):
            raise ValueError(f"not a mount prefix: {root!r}")
        self.root = root

    def __getitem__(self, place: str) -> str:
        return self.root + PLACES[place]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)
