"""An event as a row of the audit table, and a row as a line of its export — sessions-and-accounts A12."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bridge.database.tables import audit
from bridge.events.event import Event
from bridge.events.redact import redact, redact_fields

MOST_NAME: Final = 64
MOST_VALUE: Final = 500

# Control characters, line and paragraph separators, what turns text around, and halves of characters.
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


COLUMNS: Final = tuple(column.name for column in audit.columns if column.name != "id")
"""What `row_of` gives."""


def _lengths() -> dict[str, int]:
    """Column → characters, where the column has a limit."""
    limits = {column.name: getattr(column.type, "length", None) for column in audit.columns}
    return {name: limit for name, limit in limits.items() if limit}


_LENGTHS: Final[dict[str, int]] = _lengths()


def row_of(event: Event) -> dict[str, Any]:
    """The columns of `audit`; text is redacted, made visible, and cut to what its column holds."""
    texts = {
        "kind": event.kind,
        "actor": redact(event.actor),
        "client_id": event.client,
        "door": event.door,
        "ip": str(event.ip) if event.ip else None,
        "sid": event.sid,
        "session_id": event.session,
        "amr": " ".join(event.amr),
        "reason": redact(event.reason),
    }
    row = {name: None if text is None else visible(text)[: _LENGTHS[name]] for name, text in texts.items()}
    return {"at": event.at, "user_id": event.user, "details": _details_of(event), **row}


def _details_of(event: Event) -> str:
    if not event.details:
        return "{}"
    shown = redact_fields(event.details).items()
    return json.dumps({visible(name)[:MOST_NAME]: visible(str(value))[:MOST_VALUE] for name, value in shown})


def line_of(row: Mapping[str, Any]) -> str:
    """One JSON object without a line break in it; what is empty is left out."""
    facts = {name: value for name, value in row.items() if value not in {None, ""} and name != "details"}
    facts["at"] = iso(row["at"])
    if details := json.loads(row["details"]):
        facts["details"] = details
    return json.dumps(facts, ensure_ascii=False)


def iso(at: float) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def visible(text: str) -> str:
    """The text with everything escaped that could begin a new line, or hide, or be no text at all."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)
