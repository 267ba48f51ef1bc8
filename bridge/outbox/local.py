"""Letters that stay on this machine: printed, or kept as files — for development and tests."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

from bridge.errors import Unavailable
from bridge.outbox.letter import Rendered
from bridge.outbox.message import Stationery
from bridge.tokens import new_id


class Stream(Protocol):
    """Where text goes."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class ConsoleMailer:
    """Prints the text of each letter.  It may hold a reset link: not for production."""

    def __init__(self, stationery: Stationery, stream: Stream) -> None:
        self._stationery = stationery
        self._stream = stream

    async def send(self, to: str, letter: Rendered, *, message_id: str | None = None) -> None:
        """Print it; raises as `Mailer.send`."""
        message = self._stationery.compose(to, letter, message_id or new_id())
        self._stream.write(f"── mail to {message['To']}: {message['Subject']}\n\n{letter.text}\n──\n")
        self._stream.flush()


class FileMailer:
    """Keeps each letter as `<Message-ID>.eml`, readable by nobody else."""

    def __init__(self, stationery: Stationery, folder: Path) -> None:
        self._stationery = stationery
        self._folder = folder

    async def send(self, to: str, letter: Rendered, *, message_id: str | None = None) -> None:
        """Write it; the same message again replaces itself.  Raises as `Mailer.send`."""
        message_id = message_id or new_id()
        message = self._stationery.compose(to, letter, message_id)
        try:
            await asyncio.to_thread(self._write, message_id, message.as_bytes())
        except OSError as error:
            raise Unavailable(f"{self._folder}: {error.strerror}") from error

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self._folder / f".{name}"
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(content)
        unfinished.replace(self._folder / f"{name}.eml")
