"""Signs in to the peer by its own pages, as a browser would, and asks either side for tokens as an application does."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import IO
from urllib.request import Request

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B


def authorize_path(path: str, client: str, redirect: str) -> str:
    """The authorization request of the benchmark."""
    query = {
        "client_id": client,
        "response_type": "code",
        "scope": "openid profile email",
        "redirect_uri": redirect,
        "state": "0123456789abcdef",
        "nonce": "fedcba9876543210",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return f"{path}?{urllib.parse.urlencode(query)}"


def sign_in(base: str, clients: list[str], redirect: str) -> str:
    """One session with a grant for each client; the value of its Cookie header."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), _StopAtApp())
    for client in clients:
        page = browser.open(base + authorize_path("/auth", client, redirect)).read().decode()
        for fields in ({"prompt": "login", "login": "demo", "password": "demo"}, {"prompt": "consent"}):
            form = re.search(
                rf'action="([^"]+)"(?:(?!</form>).)*name="prompt" value="{fields["prompt"]}"', page, re.DOTALL
            )
            if form is not None:
                body = urllib.parse.urlencode(fields).encode()
                page = browser.open(urllib.parse.urljoin(base, form[1]), body).read().decode()
    wanted = ("_session", "_session.sig")
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar if cookie.name in wanted)


def code_of(address: str, cookie: str) -> str:
    """The code that a browser with that session is sent back with."""
    browser = urllib.request.build_opener(_StopAtOnce())
    try:
        browser.open(Request(address, headers={"Cookie": cookie}))
    except urllib.error.HTTPError as sent:
        place = urllib.parse.urlsplit(sent.headers["location"])
        return urllib.parse.parse_qs(place.query)["code"][0]
    raise RuntimeError("nobody was sent back")


def sent_to_sign_in(address: str) -> tuple[str, str]:
    """Where a browser without a session is sent by an authorization request, and the Cookie header that it then has."""
    browser = urllib.request.build_opener(_StopAtOnce())
    try:
        browser.open(Request(address))
    except urllib.error.HTTPError as sent:
        place = urllib.parse.urlsplit(sent.headers["location"])
        return f"{place.path}?{place.query}", sent.headers["set-cookie"].partition(";")[0]
    raise RuntimeError("nobody was asked to sign in")


def post(address: str, form: dict[str, str], authorization: str) -> dict[str, str]:
    """What a program is answered."""
    asked = Request(address, urllib.parse.urlencode(form).encode(), {"Authorization": authorization})
    with urllib.request.urlopen(asked) as reply:
        said: dict[str, str] = json.load(reply)
    return said


class _StopAtOnce(urllib.request.HTTPRedirectHandler):
    """The first redirect is the answer."""

    def redirect_request(  # noqa: PLR0917  # the library's shape
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        return None


class _StopAtApp(urllib.request.HTTPRedirectHandler):
    """The application itself is not there: being sent to it is the end."""

    def redirect_request(  # noqa: PLR0917  # the library's shape
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if "app.example.test" in newurl:
            return Request(f"{req.type}://{req.host}/.well-known/openid-configuration")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
