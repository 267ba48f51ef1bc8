"""The tests of a mailer, to inherit — sessions-and-accounts §6.3.

class TestMyMailer(MailerSuite):
    @pytest.fixture
    def mailer(self):                    # sends as `SENDER`, with `Hands()` as its clock
        ...

    async def received(self, mailer):    # all messages that have arrived until now, in their order
        ...
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Final

from bridge.outbox.letter import Rendered
from bridge.outbox.mailer import Mailer
from bridge.outbox.message import Undeliverable

SENDER: Final = "Accès <login@example.org>"
LETTER: Final = Rendered(
    "重置密码 — nouveau mot de passe",
    "Grüße,\n\n.\nA line of one dot stands above.\nFrom here on: " + "long " * 300 + "\n",
    '<!doctype html>\n<p lang="zh-Hans">你好 <a href="https://login.example.org/reset/t/a.b.c">link</a></p>\n',
)
HOSTILE_ADDRESSES: Final = (
    *("", "@", "a", "a@", "@b.example", "a b@c.example", "a@b.example\nBcc: c@d.example", "a@b.example\r\n\r\nhello"),
    *("a@b.example, c@d.example", "a@b.example;c@d.example", "<a@b.example>", "A <a@b.example>", "a@b.example\0"),
    *(
        "a@[127.0.0.1]",
        "a@b..example",
        "a" * 300 + "@b.example",
        "a@" + "b" * 64 + ".example",
        "a@b.example>,<c@d.example",
    ),
    *('"x\ny"@b.example', "a@b@c.example", "a@b.example (comment)", "\ud800@b.example", "group: a@b.example;"),
)


class MailerSuite(ABC):
    """What everybody who carries letters must do."""

    @abstractmethod
    async def received(self, mailer: Mailer) -> Sequence[EmailMessage]:
        """All messages that have arrived."""

    async def test_a_letter_arrives_as_it_was_written(self, mailer: Mailer) -> None:
        await mailer.send("ada@example.net", LETTER)
        (message,) = await self.received(mailer)
        assert message["Subject"] == LETTER.subject
        assert _parts(message) == [("text/plain", LETTER.text), ("text/html", LETTER.html)]
        assert message.get_content_type() == "multipart/alternative"

    async def test_it_says_who_sent_it_when_and_that_nobody_need_answer(self, mailer: Mailer) -> None:
        await mailer.send("ada@example.net", LETTER)
        (message,) = await self.received(mailer)
        assert message["From"] == SENDER
        assert message["To"] == "ada@example.net"
        assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
        assert message["Auto-Submitted"] == "auto-generated"

    async def test_it_follows_nobody(self, mailer: Mailer) -> None:
        await mailer.send("ada@example.net", LETTER)
        (message,) = await self.received(mailer)
        for name in ("List-Unsubscribe", "Bcc", "Cc", "Disposition-Notification-To", "Return-Receipt-To", "X-Mailer"):
            assert message[name] is None

    async def test_the_same_letter_again_can_be_seen_to_be_the_same(self, mailer: Mailer) -> None:
        await mailer.send("ada@example.net", LETTER, message_id="abc123")
        message = (await self.received(mailer))[-1]
        assert message["Message-ID"] == "<abc123@example.org>"

    async def test_two_letters_have_two_names(self, mailer: Mailer) -> None:
        for _ in range(2):
            await mailer.send("ada@example.net", LETTER)
        assert len({message["Message-ID"] for message in await self.received(mailer)}) == 2

    async def test_a_foreign_domain_is_reached_by_its_ascii_name(self, mailer: Mailer) -> None:
        await mailer.send("ada@bücher.example", LETTER)
        (message,) = await self.received(mailer)
        assert message["To"] == "ada@xn--bcher-kva.example"

    async def test_an_unusual_but_right_address_is_reached(self, mailer: Mailer) -> None:
        for address in ("o'neil+tag@example.net", '"a b"@example.net', "x" * 64 + "@example.net", "a@b-c.d.example"):
            await mailer.send(address, LETTER)
            assert (await self.received(mailer))[-1]["To"] == address

    async def test_what_is_not_exactly_one_address_gets_nothing(self, mailer: Mailer) -> None:
        for address in HOSTILE_ADDRESSES:
            assert await _is_undeliverable(mailer, address), address
        assert not await self.received(mailer)

    async def test_a_subject_adds_no_header(self, mailer: Mailer) -> None:
        for subject in ("x\nBcc: c@d.example", "x\r\nBcc: c@d.example", "x\r\n\r\nbody", "x\rBcc: c@d.example"):
            assert await _refuses(mailer, Rendered(subject, "text", "html")), subject
        assert not await self.received(mailer)


def _parts(message: EmailMessage) -> list[tuple[str, str]]:
    return [(part.get_content_type(), part.get_content().replace("\r\n", "\n")) for part in message.iter_parts()]


async def _is_undeliverable(mailer: Mailer, address: str) -> bool:
    try:
        await mailer.send(address, LETTER)
    except Undeliverable:
        return True
    return False


async def _refuses(mailer: Mailer, letter: Rendered) -> bool:
    try:
        await mailer.send("ada@example.net", letter)
    except ValueError:
        return True
    return False
