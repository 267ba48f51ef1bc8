"""A device as a person knows it, from what its browser says: "Chrome · Windows" — sessions-and-accounts §3.1, S10."""

from collections.abc import Sequence

# Order matters: every Chromium says "Safari", Edge and Opera say "Chrome", Android says "Linux", an iPad "Mac OS X".
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("MicroMessenger/", "WeChat"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("HarmonyOS", "HarmonyOS"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def device_name(user_agent: str) -> str | None:
    """Browser and system, as far as they are known; None if neither is.

    Only our own words come out: a made-up header cannot put text before the person.
    """
    known = [_first(user_agent, _BROWSERS), _first(user_agent, _SYSTEMS)]
    return " · ".join(word for word in known if word) or None


def _first(text: str, table: Sequence[tuple[str, str]]) -> str | None:
    return next((word for mark, word in table if mark in text), None)
