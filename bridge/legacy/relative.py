"""A path on our own host, whoever wrote it: nothing that a browser could read as another place — whmcs-api §3.3, W3."""

import re
from typing import Final
from urllib.parse import unquote

from bridge.asgi import local_path

_HIDDEN: Final = 4  # layers of %-encoding that anybody needs: `%2525` and no more
_CONTROLS: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\]")


def relative_path(text: str) -> str | None:
    """The path with its query, from the root of the host; None for one that leads, or might lead, elsewhere.

    No scheme, no `//`, no backslash, no control character or blank, and none of these in an encoded form.  Only in a
    query there may be addresses: it goes to whoever stands at that path.
    """
    path = text if text.startswith("/") else f"/{text}"
    if not text or local_path(path) is None or _leads_away(text):
        return None
    return path


def _leads_away(text: str) -> bool:
    for _ in range(_HIDDEN):
        before_query = re.split(r"[?#]", text, maxsplit=1)[0]
        if _CONTROLS.search(text) or "//" in before_query or ":" in before_query.partition("/")[0]:
            return True
        plain = unquote(text, errors="replace")
        if plain == text:
            return False
        text = plain
    return True
