"""Settings of sessions that contradict one another are refused, all at once — DESIGN §10."""

from typing import Any

import pytest

from bridge.errors import ConfigError
from bridge.sessions.options import SessionOptions
from bridge.stores.store import LONGEST_TTL


def test_the_defaults_are_the_documented_ones() -> None:
    options = SessionOptions()
    assert (options.idle, options.absolute, options.unused, options.touch_interval) == (1_800, 43_200, 600, 60)
    assert (options.ip_check, options.bind_browser_ip, options.legacy_at_issuer) == ("subnet", False, False)
    assert (options.sources, options.shared_domain) == (("cookie",), None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"idle": 59},
        {"idle": 50_000},
        {"absolute": 40 * 86_400},
        {"longest": 190 * 86_400},
        {"cap": 0},
        {"touch_interval": 0},
        {"touch_interval": 1_800},
        {"unused": 59},
        {"remember": -1},
        {"remember_ended": 599},
        {"cookie_name": "a b"},
        {"cookie_name": "__Host-x"},
        {"cookie_name": "lb_op"},
        {"cookie_name": ""},
        {"shared_domain": "localhost"},
        {"shared_domain": "example.org; Secure"},
        {"shared_domain": ".example.org"},
        {"sources": ("cookie", "cookie")},
        *(
            {"ticket_origins": ("https://fine.example", wrong)}
            for wrong in (
                "",
                "*",
                "app.example",
                "https://app.example/",
                "https://app.example/path",
                "https://app.example?x",
                "https://APP.example",
                "https://user@app.example",
                "https://app.example:0",
                "https://app.example.",
                "https://*.example",
                "ftp://app.example",
                "javascript:alert(1)",
                "https://app.example\n",
                "https://äpp.example",
            )
        ),
        {"ticket_lifetime": 4},
        {"ticket_lifetime": 121},
    ],
)
def test_a_wrong_value_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"sessions\.{next(iter(wrong))}"):
        SessionOptions(**wrong)


def test_an_origin_may_have_a_port_and_be_an_address() -> None:
    origins = ("https://app.example.net", "https://app:8443", "http://127.0.0.1:8001", "https://[2001:db8::1]:8443")
    assert SessionOptions(ticket_origins=origins).ticket_origins == origins
    assert SessionOptions().ticket_origins == ()


def test_every_mistake_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        SessionOptions(cap=0, idle=1, unused=1)
    assert all(f"sessions.{name}" in str(caught.value) for name in ("cap", "idle", "unused"))


@pytest.mark.parametrize("longest", [86_400, 180 * 86_400])
def test_no_time_is_longer_than_a_store_may_be_asked_for(longest: int) -> None:
    options = SessionOptions(longest=longest, absolute=min(43_200, longest), remember=30 * 86_400)
    assert options.longest < options.stamp_ttl <= LONGEST_TTL
    assert options.longest < options.ended_ttl <= LONGEST_TTL
