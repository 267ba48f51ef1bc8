"""What no log line may show: passwords, tokens, codes, query strings — sessions-and-accounts S17, A12; DESIGN §11.

Events hold no secrets by themselves; this is the second lock, and the only one for lines that libraries write.
"""

import logging
import re
import string
from collections.abc import Mapping
from typing import Final

HIDDEN: Final = "[hidden]"
CUT: Final = "[...]"
MOST_TEXT: Final = 2_000
"""Characters of a message or a fact that are shown."""
MOST_STACK: Final = 20_000
"""Characters of an exception's stack that are shown."""

SECRET_NAMES: Final = frozenset(
    {
        "access_token",
        "accesskey",
        "api_secret",
        "assertion",
        "authorization",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "cookie",
        "id_token",
        "id_token_hint",
        "interaction",
        "login_auth_tk",
        "logout_token",
        "new_password",
        "newpassword",
        "offer",
        "otp",
        "passkey",
        "password",
        "password2",
        "passwordhash",
        "recovery_code",
        "refresh_token",
        "registration_access_token",
        "request",
        "second_factor",
        "secret",
        "set-cookie",
        "sso_token",
        "token",
        "totp",
    }
)
"""Names of parameters, fields and headers whose values are secrets."""

# Each pattern must take time in proportion to the text, which anybody may choose: one long path must not hold up a
# worker.  Hence what runs on is possessive, begins where a word begins, or has a limit.

# A value after such a name: `name=value` of a query or cookie, `"name": "value"` of JSON or a Python dict.  A quoted
# one that nothing closes reaches to the end.
_NAMED: Final = re.compile(
    r"(?<![A-Za-z0-9])(?P<name>(?:__Host-|__Secure-)?(?:lb_\w{1,64}+|"
    + "|".join(sorted(SECRET_NAMES, key=len, reverse=True))
    + r"))(?P<is>=|[\"']\s*+[:=]\s*+)"
    r"(?P<value>\"(?:[^\"\\]|\\[\s\S])*+\\?(?:\"|\Z)|'(?:[^'\\]|\\[\s\S])*+\\?(?:'|\Z)|[^\s&;,}\"']+)",
    re.IGNORECASE,
)
_HEADER: Final = re.compile(r"\b(?P<scheme>Basic|Bearer|DPoP)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_RESET_PATH: Final = re.compile(r"(?P<path>/reset/[a-z]{1,8}/)[^\s\"'?#]+")
_URL_PASSWORD: Final = re.compile(r"(?P<user>://[^\s:/@]*:)[^\s@/]+@")
# Login tokens, OAuth tokens, secrets, hashes: 32 or more letters and digits, with one of each.  A UUID is a name, and
# so is the id of a key that cannot be opened: it stands in the JWKS, and the operator must know which.
_OPAQUE: Final = re.compile(
    r"(?<![A-Za-z0-9_-])(?<!\bsigning key )"
    r"(?![0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![A-Za-z0-9_-]))"
    r"(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{32,}"
)
# A JWT, a reset token.
_SIGNED: Final = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+\.[A-Za-z0-9_-]{20,}+")
# What is nothing but a short word matches none of the patterns above, and most of what is told is such a word.
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{0,31}")
_OF_TOKENS: Final = string.ascii_letters + string.digits + "_-.~+/=%:"
# Facts that are long and no secrets: key ids, clients' ids, names of messages.
_SHOWN_NAMES: Final = frozenset({"kid", "client", "client_id", "message_id"})


def redact(text: str, *, most: int = MOST_TEXT) -> str:
    """The text without anything that is, or looks like, a secret; of a longer one the first `most` characters."""
    if _WORD.fullmatch(text) and len(text) <= most:
        return text
    if len(text) > most:
        # Half a token would be recognised no more: the word that the cut goes through is left out.
        return redact(text[:most].rstrip(_OF_TOKENS), most=most) + CUT
    text = _NAMED.sub(rf"\g<name>\g<is>{HIDDEN}", text)
    text = _HEADER.sub(rf"\g<scheme> {HIDDEN}", text)
    text = _RESET_PATH.sub(rf"\g<path>{HIDDEN}", text)
    text = _URL_PASSWORD.sub(rf"\g<user>{HIDDEN}@", text)
    text = _SIGNED.sub(HIDDEN, text)
    return _OPAQUE.sub(HIDDEN, text)


def redact_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """The same for named values: those of a secret name are hidden whole."""
    return {name: _field(name, value) for name, value in fields.items()}


def without_query(path: str) -> str:
    """A request's target as a log may show it: no query string, no token in the path."""
    return redact(path.partition("?")[0])


class Redact(logging.Filter):
    """Takes secrets out of every record of a handler: message, exception and stack, and uvicorn's request lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is shown, changed."""
        if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, target, *rest = record.args  # its formatter wants the five of them
            record.args = (client, method, without_query(str(target)), *rest)
        else:
            record.msg, record.args = redact(_message(record)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = record.exc_text and redact(record.exc_text, most=MOST_STACK)
        record.stack_info = record.stack_info and redact(record.stack_info, most=MOST_STACK)
        # A formatter that renders the exception anew would show the secret again.
        record.exc_info = None
        return True


def _field(name: str, value: object) -> object:
    if name.lower() in SECRET_NAMES:
        return HIDDEN
    if isinstance(value, Mapping):
        return redact_fields({str(key): inner for key, inner in value.items()})
    if not isinstance(value, str):
        return value
    return value[:MOST_TEXT] if name in _SHOWN_NAMES else redact(value)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit: the line is still worth having
        return str(record.msg)
