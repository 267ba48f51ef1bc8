"""The settings of log, audit and metrics — sessions-and-accounts §9, A12."""

from dataclasses import dataclass
from typing import Literal

from bridge.errors import ConfigError
from bridge.events.event import EventKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsOptions:
    """What is written down of what happens, and for how long.

    Raises ConfigError for a number that cannot be meant.
    """

    log_format: Literal["json", "text"] = "json"
    """json: one object per line; text: for eyes at a terminal."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are written."""
    log_refusals: int = 60
    """Lines that one minute may have, in each worker, of each kind of refusal that anybody can cause without a login
    (ten times as many of failed logins), and of each warning or error that reads the same.  One line tells how many
    more there were."""
    audit_days: int = 400
    """Days for which an audit row is kept; 0: for ever."""
    audit_queue: int = 10_000
    """Events that may wait for the database; beyond that they are counted and not kept."""
    audit_refusals: int = 600
    """Rows that one minute may have, in each worker, of each kind of refusal that anybody can cause without a login
    (a wrong API credential, client, session, ticket or reset link; ten times as many failed logins).  One row tells
    how many more there were."""
    counted_only: tuple[EventKind, ...] = ("code.issued", "token.issued", "token.in-query", "legacy.call")
    """What happens with every request of an app: it is counted by the metrics, neither logged nor audited."""

    def __post_init__(self) -> None:
        if self.audit_days < 0 or min(self.log_refusals, self.audit_queue, self.audit_refusals) < 1:
            raise ConfigError(
                "events.audit_days must be 0 or more, "
                "events.log_refusals, events.audit_queue and events.audit_refusals 1 or more"
            )
