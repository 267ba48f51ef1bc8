"""Metrics for Prometheus, in a registry of their own: what happened, how long a login took, what waits — DESIGN §7.

One worker counts for itself; with several, whoever scrapes a shared address meets one of them (docs/decisions/0102).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

from bridge.events.event import Event

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
MOST_REASONS: Final = 200
LOGIN_BUCKETS: Final = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0)

# A reason is one of our own words.  Anything else may be somebody's input, and would make series without end.
_WORD: Final = re.compile(r"[a-z]{1,20}(?:-[a-z]{1,20}){0,3}")


class Metrics:
    """A listener that counts, and the page that Prometheus reads."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counts: Counter[tuple[str, str]] = Counter()
        self.registry.register(_Counted(self._counts))
        self._logins = Histogram(
            "bridge_login_seconds",
            "From the parsed request to the answer of a password check.",
            buckets=LOGIN_BUCKETS,
            registry=self.registry,
        )
        self._reasons: set[str] = {"", "other"}

    def hear(self, event: Event) -> None:
        """Count it."""
        self._counts[event.kind, self._class_of(event.reason)] += 1

    def login_took(self, seconds: float) -> None:
        """Note how long one password check took."""
        self._logins.observe(seconds)

    def watch(self, name: str, help: str, read: Callable[[], float]) -> None:
        """Show `bridge_<name>`: what `read` says whenever somebody asks.  Raises ValueError for a name used twice."""
        Gauge(f"bridge_{name}", help, registry=self.registry).set_function(read)

    def render(self) -> bytes:
        """The page, in Prometheus' text form (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)

    def _class_of(self, reason: str) -> str:
        if reason in self._reasons:
            return reason
        if not _WORD.fullmatch(reason) or len(self._reasons) >= MOST_REASONS:
            return "other"
        self._reasons.add(reason)
        return reason


class _Counted(Collector):
    """The events, put into the library's form when somebody asks: its own counters cost more than all else of one."""

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("bridge_events", "What happened, by kind and reason.", labels=["kind", "reason"])
        for what, count in self._counts.items():
            family.add_metric(what, count)
        yield family
