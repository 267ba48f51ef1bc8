"""Metrics — DESIGN §7."""

import pytest

from bridge.events.event import Event
from bridge.events.metrics import MOST_REASONS, Metrics
from tests.events.planted import OPAQUE, PASSWORD
from tests.events.test_log import with_secrets


def test_events_are_counted_by_kind_and_reason() -> None:
    metrics = Metrics()
    for reason in ("wrong-password", "wrong-password", "disabled"):
        metrics.hear(Event(kind="login.fail", reason=reason))
    assert _lines(metrics, "bridge_events_total") == [
        'bridge_events_total{kind="login.fail",reason="disabled"} 1.0',
        'bridge_events_total{kind="login.fail",reason="wrong-password"} 2.0',
    ]


def test_no_planted_secret_becomes_a_series() -> None:
    metrics = Metrics()
    for event in with_secrets():
        metrics.hear(event)
    metrics.hear(Event(kind="login.fail", reason=PASSWORD))
    page = metrics.render().decode()
    assert not [name for name, secret in OPAQUE.items() if secret in page]
    assert PASSWORD not in page


def test_made_up_reasons_make_no_series_without_end() -> None:
    metrics = Metrics()
    for number in range(1_000):
        metrics.hear(Event(kind="login.fail", reason=_word(number)))
    assert len(_lines(metrics, "bridge_events_total")) <= MOST_REASONS


def test_a_login_falls_into_its_bucket() -> None:
    metrics = Metrics()
    metrics.login_took(0.06)
    counts = dict(line.split(" ") for line in _lines(metrics, "bridge_login_seconds_bucket"))
    assert counts['bridge_login_seconds_bucket{le="0.05"}'] == "0.0"
    assert counts['bridge_login_seconds_bucket{le="0.075"}'] == "1.0"


def test_a_gauge_shows_what_is_now() -> None:
    metrics, waiting = Metrics(), [1, 2]
    metrics.watch("outbox_waiting", "Messages that wait.", lambda: len(waiting))
    waiting.append(3)
    assert _lines(metrics, "bridge_outbox_waiting") == ["bridge_outbox_waiting 3.0"]
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.watch("outbox_waiting", "Again.", lambda: 0)


def test_two_bridges_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.hear(Event(kind="login.ok"))
    assert _lines(second, "bridge_events_total") == []


def _lines(metrics: Metrics, name: str) -> list[str]:
    page = metrics.render().decode()
    return sorted(line for line in page.splitlines() if line.startswith((name + "{", name + " ")))


def _word(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))
