"""What the suite is told of us: addresses, clients, and what its browser does on our pages."""

from collections.abc import Sequence
from typing import Any, Final

ALIAS: Final = "login-bridge"
EMAIL, PASSWORD = "ada@example.com", "plums ripen behind the old mill"
CHANNELS: Final = ("backchannel", "frontchannel")
CLIENTS: Final = (
    *("conformance-first", "conformance-second", "conformance-post"),
    *(f"conformance-{channel}" for channel in CHANNELS),
)
SECRETS: Final = tuple(f"for-the-conformance-suite-alone-{number}-0123456789" for number in (1, 2, 3, 4, 5))
"""Known to everybody: a bridge with these clients is for the suite alone."""

RESPONSE_TYPES: Final = (
    *("code", "id_token", "id_token token"),
    *("code id_token", "code token", "code id_token token"),
)
PATIENCE: Final = 10
"""Seconds that the suite's browser waits for a text or an element."""

UNSENT: Final = {
    "oidcc-response-type-missing": "response_type",
    "oidcc-ensure-request-without-nonce-fails": "nonce",
}
"""What the page says in the modules whose requests are wrong, where nobody is signed in."""

Task = dict[str, Any]


def configuration(provider: str, *, dynamic: bool, channel: str = "") -> dict[str, Any]:
    """The suite's JSON configuration for the provider at that address.

    An imported client is told of a sign-out by that channel alone: it is what two plans ask for, and none forgives
    another.
    """
    browser = _Browser(provider)
    told: dict[str, Any] = {
        "description": f"login-bridge, clients {'register themselves' if dynamic else 'imported'}",
        "server": {"discoveryUrl": f"{provider}/.well-known/openid-configuration", "login_hint": EMAIL},
        "client": {"client_name": "Conformance suite, first"},
        "client2": {"client_name": "Conformance suite, second"},
        "browser": [browser.authorization(), browser.logout(), COMPARISON],
        "override": browser.overrides(dynamic=dynamic),
        "options": {"browsercontrol_css_enable": False},
    }
    if not dynamic:
        told["alias"] = ALIAS
        first = f"conformance-{channel or 'first'}"
        for name, client_id in zip(("client", "client2", "client_secret_post"), (first, *CLIENTS[1:3]), strict=True):
            secret = SECRETS[CLIENTS.index(client_id)]
            told[name] = {**told.get(name, {}), "client_id": client_id, "client_secret": secret}
    return told


def clients(suite: str) -> list[dict[str, Any]]:
    """The metadata of the clients that a suite at that address is, for `login-bridge client import`."""
    at = f"{suite}/test/a/{ALIAS}"
    return [
        {
            "client_id": client_id,
            "client_secret": secret,
            "client_name": client_id,
            "redirect_uris": [f"{at}/callback", f"{at}/callback?dummy1=lorem&dummy2=ipsum"],
            "post_logout_redirect_uris": [f"{at}/post_logout_redirect"],
            "grant_types": ["authorization_code", "refresh_token", "implicit"],
            "response_types": list(RESPONSE_TYPES),
            "require_pkce": False,
            **_ears(client_id, at),
        }
        for client_id, secret in zip(CLIENTS, SECRETS, strict=True)
    ]


def _ears(client_id: str, at: str) -> dict[str, Any]:
    channel = client_id.removeprefix("conformance-")
    if channel not in CHANNELS:
        return {}
    return {f"{channel}_logout_uri": f"{at}/{channel}_logout", f"{channel}_logout_session_required": True}


def _task(name: str, match: str, *commands: Sequence[Any], optional: bool = False) -> Task:
    return {
        "task": name,
        "match": match,
        **({"optional": True} if optional else {}),
        **({"commands": [list(each) for each in commands]} if commands else {}),
    }


COMPARISON: Final = {
    "match": "*session_verify",
    "tasks": [_task("Ask our frame for the session", "*", ["wait", "contains", "session_result", PATIENCE])],
}
"""At a page of the suite's own, which shows our frame for session management."""


class _Browser:
    """The tasks of the suite's browser: what a person would do on each of our pages."""

    def __init__(self, provider: str) -> None:
        self._at = provider

    def authorization(self, *login: Sequence[Any]) -> dict[str, Any]:
        """Sign in, consent, and arrive; before he signs in, `login`."""
        return self._visit("/oauth/authorize*", self._login(*login), self._consent(), self._arrived())

    def logout(self) -> dict[str, Any]:
        """Confirm where that is asked for, and arrive at the client."""
        return self._visit("/oauth/logout*", self._confirm(), _task("Back at the client", "*/test/*/post*"))

    def overrides(self, *, dynamic: bool) -> dict[str, Any]:
        """By module: where a picture of a page is asked for.  A client that registered itself is sent no error before
        somebody has signed in: the person sees it."""
        again = self.authorization(_picture("Sign in|Confirm that it is you", optional=True))
        refused = {
            "oidcc-ensure-registered-redirect-uri": "redirect_uri",
            "oidcc-ensure-redirect-uri-in-authorization-request": "redirect_uri",
            "oidcc-ensure-request-object-with-redirect-uri": "redirect_uri",
            "oidcc-redirect-uri-query-added": "redirect_uri",
            "oidcc-redirect-uri-query-mismatch": "redirect_uri",
            **(UNSENT if dynamic else {}),
        }
        shown = {
            "oidcc-registration-logo-uri": [["wait", "css", "img.app-logo", PATIENCE], _picture("Sign in")],
            "oidcc-registration-policy-uri": [_picture("Privacy policy")],
            "oidcc-registration-tos-uri": [_picture("Terms of service")],
        }
        unsure = {
            "bad-post-logout-redirect-uri": "post_logout_redirect_uri",
            "query-added-to-post-logout-redirect-uri": "post_logout_redirect_uri",
            "modified-id-token-hint": "id_token_hint",
            "bad-id-token-hint": "id_token_hint",
            "no-id-token-hint": "id_token_hint|client_id",
        }
        plain = ("no-params", "no-post-logout-redirect-uri", "only-state")
        return {
            **{name: {"browser": [again]} for name in ("oidcc-prompt-login", "oidcc-max-age-1")},
            **{name: {"browser": [self._refusal("/oauth/authorize*", text)]} for name, text in refused.items()},
            **{name: {"browser": [self._shows("/login*", *commands)]} for name, commands in shown.items()},
            **{
                f"oidcc-rp-initiated-logout-{name}": {
                    "browser": [self.authorization(), self._refusal("/oauth/logout*", text)]
                }
                for name, text in unsure.items()
            },
            **{
                f"oidcc-rp-initiated-logout-{name}": {"browser": [self.authorization(), self._signed_out()]}
                for name in plain
            },
        }

    def _login(self, *before: Sequence[Any]) -> Task:
        typed = [
            ["text", "name", "email", EMAIL, "optional"],
            ["text", "name", "password", PASSWORD, "optional"],
            ["click", "id", "login-submit"],
        ]
        return _task("Sign in", f"{self._at}/login*", *before, *typed, optional=True)

    def _consent(self) -> Task:
        return _task("Consent", f"{self._at}/consent*", ["click", "id", "consent-allow"], optional=True)

    def _confirm(self) -> Task:
        # The page of that address may say already that he is signed out.
        return _task("Confirm", f"{self._at}/logout*", ["click", "id", "logout-confirm", "optional"], optional=True)

    def _arrived(self) -> Task:
        return _task("Back at the client", "*/test/*/callback*", ["wait", "id", "submission_complete", PATIENCE])

    def _refusal(self, path: str, text: str) -> dict[str, Any]:
        return self._visit(path, _task("Say what is wrong", f"{self._at}/*", _picture(text)))

    def _shows(self, path: str, *commands: Sequence[Any]) -> dict[str, Any]:
        return self._visit("/oauth/authorize*", _task("Show it", f"{self._at}{path}", *commands))

    def _signed_out(self) -> dict[str, Any]:
        return self._visit("/oauth/logout*", self._confirm(), _task("Say so", f"{self._at}/*", _picture("signed out")))

    def _visit(self, path: str, *tasks: Task) -> dict[str, Any]:
        return {"match": self._at + path, "tasks": list(tasks)}


def _picture(text: str, *, optional: bool = False) -> list[Any]:
    """Wait until the page says that, and take its picture; an optional one where it was asked for."""
    action = "update-image-placeholder-optional" if optional else "update-image-placeholder"
    return ["wait", "xpath", "//*", PATIENCE, text, action]
