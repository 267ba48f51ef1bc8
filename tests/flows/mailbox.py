"""The letters that a bridge has written to a folder, read back."""

import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path

from tests.patience import PATIENCE, until

LINK = re.compile(r"https?://\S+/(?:reset|invite|email|signup)/t/\S+")


@dataclass
class Mailbox:
    """`await box.next(address)`: the next letter to that address."""

    folder: Path
    read: set[str] = field(default_factory=set[str])

    def unread(self, to: str) -> list[EmailMessage]:
        """What has come to that address and was not asked for yet, the oldest first."""
        files = sorted(self.folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
        found = []
        for file in files:
            letter = BytesParser(policy=modern).parsebytes(file.read_bytes())
            if file.name not in self.read and letter["To"].addresses[0].addr_spec == to:
                letter["X-File"] = file.name
                found.append(letter)
        return found

    async def next(self, to: str, *, seconds: float = PATIENCE) -> EmailMessage:
        """The next letter to that address; fails if none comes."""
        await until(lambda: self.unread(to), seconds=seconds)
        (letter, *_) = self.unread(to)
        self.read.add(letter["X-File"])
        return letter


def text_of(letter: EmailMessage) -> str:
    """Its plain text."""
    part = letter.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def link_in(letter: EmailMessage) -> str:
    """The one link with a token in its text."""
    (link,) = LINK.findall(text_of(letter))
    return str(link)
