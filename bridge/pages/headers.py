"""The headers of every page — sessions-and-accounts §3.5 (W1), §1.10; docs/decisions/0010."""

import re
import secrets
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from bridge.asgi import Headers
from bridge.brand import Brand
from bridge.i18n import html_lang
from bridge.pages.app import App, wire_host
from bridge.pages.models import (
    Arrive,
    Consent,
    ContinueAs,
    Error,
    FormPost,
    Login,
    Logout,
    Page,
    PasskeySetup,
    SecondFactor,
    SignedOut,
    SignUp,
    SignUpFinish,
)

_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,63}")
_HOST: Final = re.compile(r"[a-zA-Z0-9.-]+(?::\d{1,5})?")
_NO_PLACES: Final = {"javascript", "data", "blob", "about", "file", "filesystem"}
_NONCE: Final = re.compile(r"[A-Za-z0-9+/_=-]{22,}")

_ALWAYS: Final = (
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"vary", b"Accept-Language, Cookie"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


def page_headers(page: Page, brand: Brand, *, locale: str, https: bool, nonce: str = "") -> Headers:
    """What goes with a rendered page, without content type and length.

    `https`: the request came by it, so the browser may be told to stay. `nonce`: fresh per answer, at least 128 bits,
    needed by pages with a script alone.
    """
    policy = content_security_policy(
        forms=form_targets(page),
        images=_images(page, brand),
        frames=page.frames if isinstance(page, SignedOut) else (),
        nonce=nonce if has_script(page) else "",
    )
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-language", html_lang(locale).encode()),
        (b"content-security-policy", policy.encode("ascii")),
        # Not no-referrer: with it Chrome sends `Origin: null` on our own forms, and the Origin check refuses them.  The
        # address of Arrive carries a token, so of that one nothing but the origin is told.
        (b"referrer-policy", b"strict-origin" if isinstance(page, Arrive) else b"same-origin"),
        *_ALWAYS,
    ]
    if https:
        headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    return tuple(headers)


def has_script(page: Page) -> bool:
    """Whether the page carries one: to send its form, or to ask the browser for a passkey."""
    match page:
        case FormPost() | PasskeySetup():
            return True
        case Login() | SecondFactor():
            return page.passkey is not None
        case _:
            return False


def new_nonce() -> str:
    """For one answer."""
    return secrets.token_urlsafe(18)


def content_security_policy(
    *, forms: Iterable[str] = (), images: Iterable[str] = (), frames: Iterable[str] = (), nonce: str = ""
) -> str:
    """Nothing but our style sheet, the pictures' hosts, forms to us, and the frames that the page has.

    `forms`, `images` and `frames` are addresses, or schemes with a colon; one that cannot be written as a source is
    left out.
    """
    directives = [
        "default-src 'none'",
        "style-src 'self'",
        " ".join(["img-src 'self' data:", *_sources(images)]),
        " ".join(["form-action 'self'", *_sources(forms)]),
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
    if framed := _sources(frames):
        directives.append(" ".join(["frame-src", *framed]))
    if nonce:
        if not _NONCE.fullmatch(nonce):
            raise ValueError("not a nonce")
        directives.append(f"script-src 'nonce-{nonce}'")
    return "; ".join(directives)


def form_targets(page: Page) -> tuple[str, ...]:
    """Where a form of this page may end up, besides us: nowhere, as forms to us never lead away (`Desk.onward`).

    The one that carries an answer to an application must, and Chromium holds the redirects that the application makes
    next against `form-action` too: so it may go on to any place of that scheme, or of https.
    """
    if isinstance(page, FormPost) or (isinstance(page, Error) and page.fields):
        return (f"{urlsplit(page.target or '').scheme}:", "https:")
    return ()


def source(url: str) -> str | None:
    """The address as a source of a policy: its origin, or its scheme where no host can be named or only it was."""
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https") and url == f"{scheme}:":
        return url
    host = wire_host(url)
    if _HOST.fullmatch(host):
        return f"{scheme}://{host}"
    if scheme in ("http", "https"):
        return f"{scheme}:" if host else None  # `[::1]` has no spelling in a policy (CSP 3 §2.3.1)
    return f"{scheme}:" if _SCHEME.fullmatch(scheme) and scheme not in _NO_PLACES else None


def _sources(urls: Iterable[str]) -> list[str]:
    return sorted({found for url in urls if (found := source(url))})


def _images(page: Page, brand: Brand) -> list[str]:
    match page:
        case Login() | SignUp() | SignUpFinish() | SecondFactor() | Consent() | ContinueAs() | Logout() | Error():
            app: App | None = page.app
        case _:
            app = None
    candidates = (brand.logo_url, app.logo_uri if app else None)
    return [url for url in candidates if url and wire_host(url)]
