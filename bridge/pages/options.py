"""The settings of the pages — DESIGN §7."""

from dataclasses import dataclass
from pathlib import Path

from bridge.brand import DEFAULT_ACCENT, DEFAULT_NAME, Brand


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesOptions:
    """Your name, logo and colour on every page and in every mail.

    Raises ValueError for one that cannot be used.
    """

    brand_name: str = DEFAULT_NAME
    """The name that your customers know."""
    logo_url: str = ""
    """An https address, a path on this host or data:image/…, 36 pixels high.  Empty: a mark made from the name."""
    accent: str = DEFAULT_ACCENT
    """The colour of the main button, such as #1d4ed8.  Text upon it and links are made readable by themselves."""
    fresh: int = 300
    """Seconds after signing in for which somebody may end sessions, or change his second step, on his account page
    without showing again who he is."""
    template_dirs: tuple[Path, ...] = ()
    """Folders whose templates go before ours, by file name.  With any, the sign-in page is made anew each time."""
    locale_dirs: tuple[Path, ...] = ()
    """Folders with LANGUAGE/LC_MESSAGES/messages.po (or .mo) that go before our translations, or add a language."""

    def __post_init__(self) -> None:
        _ = self.brand
        if self.fresh < 0:
            raise ValueError("fresh must be 0 or more")

    @property
    def brand(self) -> Brand:
        """What pages and mails share."""
        return Brand(name=self.brand_name, logo_url=self.logo_url or None, accent=self.accent)
