"""Letters about sign-ins that may not be the owner's, from the browser's form to a real mail server — A9."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
from sqlalchemy import text

from bridge.outbox import patient, worker
from bridge.testing.hands import Hands
from tests.flows.broken import Broken
from tests.flows.mailbox import text_of
from tests.flows.visitor import Visitor
from tests.patience import until
from tests.running import (
    ADA,
    API_SECRET,
    IDENTIFIER,
    LI,
    NEW_PASSWORD,
    PASSWORD,
    PUBLIC_URL,
    TOM,
    TOTP,
    Furnished,
    Given,
    Site,
    code,
    in_process,
)
from tests.security.holdings import call, validate_login
from tests.servers import LOOPBACK, SmtpSink

Visit = Callable[[Site], Visitor]
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"


@dataclass
class Post:
    """The mail server, and the bridge that writes to it."""

    site: Site
    sink: SmtpSink

    async def letters(self, to: str) -> list[EmailMessage]:
        """All that came to that address, once nothing waits before or in the outbox any more."""

        async def empty() -> bool:
            await self.site.bridge.rooms.letters.flush()
            async with self.site.bridge.rooms.database.read() as tx:
                left = (await tx.execute(text("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'"))).scalar_one()
            return not left

        await until(empty)
        pairs = zip(self.sink.recipients, self.sink.messages, strict=True)
        return [message for recipients, message in pairs if recipients == [to]]

    async def subjects(self, to: str) -> list[str]:
        return [message["Subject"] for message in await self.letters(to)]

    async def came_in_before(self, *emails: str) -> None:
        """They have signed in some day."""
        users = [await self.site.user(email) for email in emails]
        now = int(self.site.bridge.rooms.clock.now())
        await self.site.bridge.rooms.users.write_logins([(user.id, now, None) for user in users])


def settings(sink: SmtpSink, **login: int) -> Given:
    return {
        ("mail", "url"): f"smtp://{LOOPBACK}:{sink.port}?starttls=never",
        ("login", "notices_per_day"): 3,
        ("login", "many_failures"): 4,
        **{("login", name): value for name, value in login.items()},
    }


@pytest.fixture
async def post(
    database: Furnished, smtp_sink: SmtpSink, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Post]:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(patient, "PATIENCE", 30.0)  # a letter that was taken unheard is written twice (decision 0101)
    async with in_process(database, more=settings(smtp_sink), clock=clock) as site:
        yield Post(site, smtp_sink)


@pytest.mark.parametrize(
    ("email", "subject", "words"),
    [
        (ADA, "New sign-in to ", ["on a device that we had not seen before", "Chrome · Windows", "If it was you"]),
        (LI, "有新的登录", ["在一台此前未出现过的设备上登录", "Chrome · Windows", "如果是您本人的操作"]),
    ],
    ids=["english", "chinese"],
)
async def test_a_sign_in_on_another_device_is_told_and_on_the_same_is_not(
    post: Post, visit: Visit, email: str, subject: str, words: list[str]
) -> None:
    site = post.site
    first, other = visit(site), visit(site)
    await first.sign_in(email)
    await site.bridge.rooms.last_logins.flush()
    assert await post.letters(email) == [], "the first of all"
    other.headers["user-agent"] = WINDOWS
    await other.sign_in(email)
    assert other.at == "/account"
    (letter,) = await post.letters(email)
    said = text_of(letter)
    assert subject in letter["Subject"] and all(word in said for word in words), said
    assert LOOPBACK in said and f"{PUBLIC_URL}/account" in said
    for browser in (first, other):
        await browser.open("/logout")
        await browser.press("logout-confirm")
        await browser.sign_in(email)
        assert browser.at == "/account"
    assert len(await post.letters(email)) == 1
    assert post.sink.recipients == [[email]]


async def test_the_page_says_the_language_of_who_has_set_none(post: Post, visit: Visit) -> None:
    await post.came_in_before(ADA)
    browser = visit(post.site)
    browser.headers["accept-language"] = "zh-CN"
    await browser.sign_in(ADA)
    (letter,) = await post.letters(ADA)
    assert "有新的登录" in letter["Subject"]


async def test_there_is_no_secret_in_it(post: Post, visit: Visit) -> None:
    await post.came_in_before(ADA, TOM)
    ada, tom = visit(post.site), visit(post.site)
    await ada.sign_in(ADA, "a wrong one, but nearly right")
    await ada.sign_in(ADA)
    await tom.sign_in(TOM)
    pending, typed = dict(tom.jar), code(at=post.site.bridge.rooms.clock.now())
    await tom.press("second-factor-submit", code=typed)
    secrets = {PASSWORD, "nearly right", TOTP, typed, *ada.jar.values(), *tom.jar.values(), *pending.values()}
    for email in (ADA, TOM):
        (letter,) = await post.letters(email)
        parts = [str(part.get_content()) for part in letter.walk() if not part.is_multipart()]
        whole = "\n".join([*parts, *map(str, letter.values())])
        assert len(parts) == 2 and not [secret for secret in secrets if secret in whole]


async def test_two_who_share_a_browser_get_no_letter_for_each_change(post: Post, visit: Visit) -> None:
    await post.came_in_before(ADA, LI)
    browser = visit(post.site)
    for email in (ADA, LI, ADA, LI):
        await browser.sign_in(email)
        assert browser.at == "/account", email
        await browser.open("/logout")
        await browser.press("logout-confirm")
    assert (len(await post.letters(ADA)), len(await post.letters(LI))) == (1, 1)


async def test_who_owes_a_code_is_in_only_with_it(post: Post, visit: Visit) -> None:
    await post.came_in_before(TOM)
    tom = visit(post.site)
    await tom.sign_in(TOM)
    assert await post.letters(TOM) == [], "a thief with the password alone makes no news of a sign-in"
    await tom.press("second-factor-submit", code=code(at=post.site.bridge.rooms.clock.now()))
    assert tom.at == "/account"
    assert [subject.startswith("New sign-in") for subject in await post.subjects(TOM)] == [True]


async def test_many_wrong_codes_and_then_the_right_one(post: Post, visit: Visit) -> None:
    tom = visit(post.site)
    await tom.sign_in(TOM)
    for _ in range(4):
        await tom.press("second-factor-submit", code="not one")
    await tom.press("second-factor-submit", code=code(at=post.site.bridge.rooms.clock.now()))
    assert tom.at == "/account"
    (letter,) = await post.letters(TOM)
    assert letter["Subject"].startswith("Unusual sign-in") and "after 4 failed attempts" in text_of(letter)


@pytest.mark.parametrize(
    ("email", "subject", "words"),
    [(ADA, "Unusual sign-in to ", "after 4 failed attempts"), (LI, "有异常登录", "4 次")],
    ids=["english", "chinese"],
)
async def test_many_failures_then_a_success_at_whichever_doors(
    post: Post, visit: Visit, email: str, subject: str, words: str
) -> None:
    browser = visit(post.site)
    for _ in range(2):
        await browser.sign_in(email, "wrong")
        await call(post.site, action="ValidateLogin", email=email, password2="wrong", clientip="198.51.100.7")
    assert await post.letters(email) == []
    assert await validate_login(post.site, email)
    (letter,) = await post.letters(email)
    assert subject in letter["Subject"] and words in text_of(letter), text_of(letter)
    assert API_SECRET not in text_of(letter) and IDENTIFIER not in text_of(letter)
    await browser.sign_in(email)
    await validate_login(post.site, email)
    assert len(await post.letters(email)) == 1, "told once"


async def test_a_portals_letter_names_the_persons_address_and_not_the_portals(post: Post) -> None:
    for password in ("wrong",) * 4:
        await call(post.site, action="ValidateLogin", email=ADA, password2=password)
    reply = await call(post.site, action="ValidateLogin", email=ADA, password2=PASSWORD, clientip="198.51.100.7")
    assert reply.json()["result"] == "success"
    (letter,) = await post.letters(ADA)
    assert "198.51.100.7" in text_of(letter) and LOOPBACK not in text_of(letter)


async def test_who_knows_no_password_makes_us_write_nothing(post: Post, visit: Visit) -> None:
    await post.came_in_before(ADA)
    for _ in range(12):
        await visit(post.site).sign_in(ADA, NEW_PASSWORD)
        await call(post.site, action="ValidateLogin", email=ADA, password2=NEW_PASSWORD)
    assert await post.letters(ADA) == []


async def test_who_knows_it_makes_us_write_so_many_a_day(post: Post, visit: Visit, clock: Hands) -> None:
    await post.came_in_before(ADA)
    await asyncio.gather(*(visit(post.site).sign_in(ADA) for _ in range(12)))
    assert len(await post.letters(ADA)) == 3
    clock.move(2 * 86_400)
    await visit(post.site).sign_in(ADA)
    assert len(await post.letters(ADA)) == 4


async def test_whoever_waits_for_the_database_the_sign_in_does_not_and_the_letter_comes(
    post: Post, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read, but not written: a full disk, a lock, a replica."""
    monkeypatch.setattr(patient, "EVERY", 0.05)
    await post.came_in_before(ADA)
    queue = Broken(monkeypatch, post.site.bridge.rooms.outbox, "put")
    queue.down = True
    browser = visit(post.site)
    await browser.sign_in(ADA)
    assert browser.at == "/account" and await post.letters(ADA) == []
    queue.down = False
    await letters_written(post.site, 1)
    assert len(await post.letters(ADA)) == 1


async def test_what_waits_at_the_end_is_left_before_the_database_is_closed(
    database: Furnished, smtp_sink: SmtpSink, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient, "EVERY", 3_600.0)
    monkeypatch.setattr(patient, "PATIENCE", 30.0)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    async with in_process(database, more=settings(smtp_sink)) as site:
        post = Post(site, smtp_sink)
        await post.came_in_before(ADA)
        queue = Broken(monkeypatch, site.bridge.rooms.outbox, "put")
        queue.down = True
        await visit(site).sign_in(ADA)
        assert await post.letters(ADA) == []
        queue.down = False
    async with in_process(database, more=settings(smtp_sink)) as site:
        await letters_written(site, 1)
        assert len(await Post(site, smtp_sink).letters(ADA)) == 1


async def letters_written(site: Site, count: int) -> None:
    """Wait until the outbox has, or had, that many."""

    async def written() -> bool:
        async with site.bridge.rooms.database.read() as tx:
            found: int = (await tx.execute(text("SELECT COUNT(*) FROM outbox"))).scalar_one()
        return found >= count

    await until(written)
