"""A clock you move — spec/style.md §7."""


class Hands:
    """Tells the time that the test set; it stands still until it is moved."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        """Unix time in seconds."""
        return self._now

    def move(self, seconds: float) -> None:
        """Let that many seconds pass at once; negative: the clock was set back."""
        self._now += seconds
