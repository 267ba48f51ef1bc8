"""Who carries letters away — sessions-and-accounts §6.3."""

import io
import ssl
import stat
import subprocess
from collections.abc import Sequence
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as modern
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiosmtpd.controller import Controller

from bridge.errors import ConfigError, Unavailable
from bridge.outbox.letter import Rendered
from bridge.outbox.local import ConsoleMailer, FileMailer
from bridge.outbox.mailer import Mailer, open_mailer
from bridge.outbox.message import Stationery, Undeliverable
from bridge.outbox.options import MailOptions
from bridge.outbox.smtp import Way
from bridge.testing.hands import Hands
from bridge.testing.mailer_suite import LETTER, SENDER, MailerSuite
from tests import servers
from tests.patience import PATIENCE


def mailer_to(url: str, **options: str) -> Mailer:
    """A mailer as the settings would make it."""
    return open_mailer(MailOptions(url=url, sender=SENDER, **options), Hands())  # type: ignore[arg-type]


class TestSmtpMailer(MailerSuite):
    @pytest.fixture
    def mailer(self, smtp_sink: servers.SmtpSink) -> Mailer:
        self.sink = smtp_sink
        return mailer_to(f"smtp://127.0.0.1:{smtp_sink.port}")

    async def received(self, mailer: Mailer) -> Sequence[EmailMessage]:
        assert [message["To"].addresses[0].addr_spec for message in self.sink.messages] == [
            only for (only,) in self.sink.recipients
        ]
        return self.sink.messages


class TestFileMailer(MailerSuite):
    @pytest.fixture
    def mailer(self, tmp_path: Path) -> Mailer:
        self.folder = tmp_path / "var" / "mail"
        self.came: list[Path] = []
        return mailer_to(f"file:{self.folder}")

    async def received(self, mailer: Mailer) -> Sequence[EmailMessage]:
        self.came += set(self.folder.glob("*.eml")).difference(self.came)  # two may have the same time
        return [BytesParser(policy=modern).parsebytes(file.read_bytes()) for file in self.came]

    async def test_nobody_else_may_read_a_letter(self, mailer: Mailer) -> None:
        await mailer.send("ada@example.net", LETTER, message_id="a")
        assert stat.S_IMODE((self.folder / "a.eml").stat().st_mode) == 0o600
        assert stat.S_IMODE(self.folder.stat().st_mode) == 0o700

    async def test_the_same_letter_again_replaces_itself(self, mailer: Mailer) -> None:
        for _ in range(2):
            await mailer.send("ada@example.net", LETTER, message_id="a")
        assert [file.name for file in self.folder.iterdir()] == ["a.eml"]

    async def test_a_folder_that_cannot_be_is_worth_another_try(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(Unavailable):
            await FileMailer(stationery(), tmp_path / "file").send("ada@example.net", LETTER)


async def test_the_console_shows_whom_what_and_the_link() -> None:
    out = io.StringIO()
    await ConsoleMailer(stationery(), out).send("ada@example.net", Rendered("Subject", "https://x/reset/t/1", "<p>"))
    assert "ada@example.net: Subject" in out.getvalue()
    assert "https://x/reset/t/1" in out.getvalue()
    with pytest.raises(Undeliverable):
        await ConsoleMailer(stationery(), out).send("nobody", LETTER)


async def test_without_a_setting_letters_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    await open_mailer(MailOptions(), Hands()).send("ada@example.net", LETTER)
    assert "ada@example.net" in capsys.readouterr().out


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="at_once"):
        MailOptions(at_once=0)


async def test_answers_go_where_the_settings_say(smtp_sink: servers.SmtpSink) -> None:
    await mailer_to(f"smtp://127.0.0.1:{smtp_sink.port}", reply_to="Hilfe <help@example.org>").send(
        "a@b.example", LETTER
    )
    assert smtp_sink.messages[0]["Reply-To"] == "Hilfe <help@example.org>"


@pytest.mark.parametrize(
    "url",
    [
        *("", "mailto:x", "smtp:", "smtp://", "smtp://h?x=1", "smtp://h?starttls=maybe", "smtp://h:port", "file:"),
        *("smtp://u:hush@h?starttls=never", "smtps://h?ca=/nowhere/ca.pem"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_mistake_of_the_settings(url: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.url") as raised:
        mailer_to(url)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    "sender", ["", "nobody", "a@b.example, c@d.example", "x\n <a@b.example>", "a@b.example\nBcc: c@d.example"]
)
def test_a_sender_that_is_no_address_is_a_mistake_of_the_settings(sender: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.sender"):
        open_mailer(MailOptions(sender=sender), Hands())


@pytest.mark.parametrize(
    ("url", "port", "tls", "starttls"),
    [
        ("smtp://mail.example.org", 587, False, True),
        ("smtp://mail.example.org:25?starttls=never", 25, False, False),
        ("smtps://u:p%40@mail.example.org", 465, True, False),
        ("smtp://127.0.0.1:2525", 2525, False, False),
        ("smtp://[::1]", 587, False, False),
        ("smtp://localhost?starttls=required", 587, False, True),
        ("smtp://u:p@localhost", 587, False, False),
    ],
)
def test_letters_are_encrypted_unless_the_server_is_this_machine(
    url: str, port: int, tls: bool, starttls: bool
) -> None:
    way = Way.parse(url)
    assert (way.port, way.tls, way.starttls) == (port, tls, starttls)


def test_a_password_in_the_url_is_decoded_and_shown_to_nobody() -> None:
    way = Way.parse("smtps://us%40er:p%40ss@mail.example.org")
    assert way.user == "us@er"
    assert way.password is not None
    assert way.password.matches("p@ss")
    assert "p@ss" not in repr(way)


class Post:
    """A mail server that answers as the test says."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.messages: list[bytes] = []
        self.auth: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        answer = self.answers.get("rcpt", "250 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append(envelope.content)
        return self.answers.get("data", "250 ok")


class Listening:
    """A `Post` on a port, with or without TLS."""

    def __init__(self, post: Post, **settings: Any) -> None:
        self.controller = Controller(post, hostname="127.0.0.1", port=servers.free_port(), **settings)

    def __enter__(self) -> int:
        self.controller.start()
        return int(self.controller.port)

    def __exit__(self, *exception: object) -> None:
        self.controller.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of our own for 127.0.0.1, its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = [servers.need("openssl", "apt install openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt"]
    make += ["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", *names]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


async def test_a_server_without_starttls_gets_no_letter(smtp_sink: servers.SmtpSink) -> None:
    """Somebody on the way could have taken the offer out."""
    with pytest.raises(Unavailable):
        await mailer_to(f"smtp://127.0.0.1:{smtp_sink.port}?starttls=required").send("a@b.example", LETTER)
    assert not smtp_sink.messages


async def test_with_starttls_and_the_right_certificate_it_goes(tls: ssl.SSLContext, certificate: Path) -> None:
    post = Post()
    with Listening(post, tls_context=tls, require_starttls=True) as port:
        await mailer_to(f"smtp://127.0.0.1:{port}?starttls=required&ca={certificate}").send("a@b.example", LETTER)
    assert len(post.messages) == 1


async def test_a_certificate_that_nobody_vouches_for_gets_no_letter(tls: ssl.SSLContext) -> None:
    post = Post()
    with Listening(post, tls_context=tls) as port, pytest.raises(Unavailable):
        await mailer_to(f"smtp://127.0.0.1:{port}?starttls=required").send("a@b.example", LETTER)
    assert not post.messages


async def test_smtps_speaks_tls_from_the_first_byte(tls: ssl.SSLContext, certificate: Path) -> None:
    post = Post()
    with Listening(post, ssl_context=tls) as port:
        await mailer_to(f"smtps://127.0.0.1:{port}?ca={certificate}").send("a@b.example", LETTER)
    assert len(post.messages) == 1


async def test_user_and_password_are_given(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.outbox.smtp.SECONDS", 1.0)  # the sink goes silent after a wrong password
    from aiosmtpd.smtp import AuthResult, LoginPassword

    given: list[LoginPassword] = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword) -> AuthResult:
        given.append(data)
        return AuthResult(success=data.password == b"p@ss")

    settings = {"tls_context": tls, "authenticator": check, "auth_required": True, "require_starttls": True}
    with Listening(Post(), **settings) as port:
        url = f"smtp://us%40er:{{}}@127.0.0.1:{port}?starttls=required&ca={certificate}"
        await mailer_to(url.format("p%40ss")).send("a@b.example", LETTER)
        with pytest.raises(Unavailable) as raised:
            await mailer_to(url.format("wr0ng")).send("a@b.example", LETTER)
    assert given[0].login == b"us@er"
    assert "wr0ng" not in str(raised.value)


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"rcpt": "550 no such user"}, Undeliverable),
        ({"rcpt": "450 greylisted"}, Unavailable),
        ({"data": "554 no"}, Unavailable),
        ({"data": "451 later"}, Unavailable),
    ],
)
async def test_only_a_lasting_refusal_of_the_address_is_the_end(
    answers: dict[str, str], error: type[Exception]
) -> None:
    with Listening(Post(**answers)) as port, pytest.raises(error):
        await mailer_to(f"smtp://127.0.0.1:{port}").send("a@b.example", LETTER)


async def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    with pytest.raises(Unavailable):
        await mailer_to(f"smtp://127.0.0.1:{servers.free_port()}").send("a@b.example", LETTER)


async def test_a_server_that_says_nothing_is_given_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.outbox.smtp.SECONDS", 0.3)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, _silent)
        with anyio.fail_after(PATIENCE), pytest.raises(Unavailable):
            await mailer_to(f"smtp://127.0.0.1:{port}").send("a@b.example", LETTER)
        group.cancel_scope.cancel()
    await listener.aclose()


async def _silent(stream: anyio.abc.SocketStream) -> None:
    async with stream:
        await anyio.sleep(3_600)


def stationery() -> Stationery:
    """Ours."""
    return Stationery.of(MailOptions(sender=SENDER), Hands())
