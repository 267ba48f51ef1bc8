"""The cookies: their names, how they are read and how they are set — security §0, §13, S16.

Names compare as bytes.  The same name twice is ambiguous: somebody may have tossed one in, and we do not guess which.
"""

import re
from typing import Final, Literal

from bridge.asgi import Scope
from bridge.sessions.options import SessionOptions

_OfLetter = Literal["reset", "invite", "email", "signup"]
Purpose = Literal["op", "app", "pre", "pending", "known", "dev", "begun", "op_state", "lang", _OfLetter]
"""op: the person at the issuer's pages; app: behind the middleware; pre: before login; pending: a right password that
waits for its code; known: browsers that signed in before; dev: the secret of one that stays signed in; reset, invite,
email, signup: an opened link of a letter; begun: on the host of an app, which is another, the browser that began a
sign-in there; op_state: changes whenever who is signed in does, and opens nothing (security §29); lang: the language
that was chosen on a page."""

LONGEST_VALUE: Final = 4096 - 256
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*", re.ASCII)  # RFC 6265 §4.1.1
Header = tuple[bytes, bytes]


class Ambiguous:
    """One cookie name came twice."""


class Cookies:
    """The cookies of one installation.  `plain`: no `__Host-` and no Secure, in the dev profile only."""

    def __init__(self, options: SessionOptions, *, plain: bool) -> None:
        host = "" if plain else "__Host-"
        shared = options.shared_domain
        app_prefix = "" if plain else "__Secure-" if shared else "__Host-"
        self._names: dict[Purpose, bytes] = {
            "op": f"{host}lb_op".encode(),
            "app": f"{app_prefix}{options.cookie_name}".encode(),
            "pre": f"{host}lb_pre".encode(),
            "pending": f"{host}lb_pending".encode(),
            "known": f"{host}lb_known".encode(),
            "dev": f"{host}lb_dev".encode(),
            "reset": f"{host}lb_reset".encode(),
            "invite": f"{host}lb_invite".encode(),
            "email": f"{host}lb_email".encode(),
            "signup": f"{host}lb_signup".encode(),
            "begun": f"{host}lb_begun".encode(),
            "op_state": f"{host}lb_op_state".encode(),
            "lang": f"{host}lb_lang".encode(),
        }
        secure = b"" if plain else b"; Secure"
        ours = b"; Path=/; HttpOnly; SameSite=Lax" + secure
        self._attributes: dict[Purpose, bytes] = dict.fromkeys(self._names, ours)
        # It must come with a POST from another site.  Browsers want Secure for that, and take it from loopback names.
        self._attributes["begun"] = b"; Path=/; HttpOnly; SameSite=None; Secure"
        # A page of ours reads it by script, in a frame of another site's.
        self._attributes["op_state"] = b"; Path=/; SameSite=None; Secure"
        if shared:
            self._attributes["app"] = b"; Domain=%b" % shared.encode() + ours

    def name(self, purpose: Purpose) -> str:
        """The cookie's name in this installation."""
        return self._names[purpose].decode()

    def read(self, scope: Scope, purpose: Purpose) -> str | Ambiguous | None:
        """The cookie's value exactly as sent, None when there is none, `Ambiguous` when there are several."""
        wanted = self._names[purpose]
        found: bytes | None = None
        for header, value in scope["headers"]:
            if header != b"cookie" or wanted not in value:
                continue
            for pair in value.split(b";"):
                if wanted not in pair:
                    continue
                name, equals, text = pair.partition(b"=")
                # SP and HTAB only: str.strip would make "\xa0__Host-lb_op" our cookie.
                if name.strip(b" \t") == wanted and equals:
                    if found is not None:
                        return Ambiguous()
                    found = text.strip(b" \t")
        return None if found is None else found.decode("latin-1")

    def set(self, purpose: Purpose, value: str, *, max_age: int | None = None) -> Header:
        """The header that sets it; without `max_age` (seconds) it goes when the browser closes.

        Raises ValueError for a value that could not be sent back as it is.
        """
        if (
            len(value) > LONGEST_VALUE
            or not value.isascii()
            or any(c in ' ",;\\' or not c.isprintable() for c in value)
        ):
            raise ValueError("not a cookie value")
        age = b"" if max_age is None else b"; Max-Age=%d" % max_age
        return b"set-cookie", b"%b=%b%b%b" % (self._names[purpose], value.encode(), self._attributes[purpose], age)

    def clear(self, purpose: Purpose) -> Header:
        """The header that removes it, with the attributes it was set with (S7)."""
        return b"set-cookie", b"%b=%b; Max-Age=0" % (self._names[purpose], self._attributes[purpose])
