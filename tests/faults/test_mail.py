"""The mail server refuses, hangs or says no: nobody who asks notices, and the letter comes when it is back — §6.3."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from bridge.database.tables import outbox
from bridge.outbox import worker
from bridge.testing.hands import Hands
from bridge.types import Visit
from tests.flows.mailbox import link_in, text_of
from tests.patience import LetRun, until
from tests.running import ADA, Furnished, Given, Site, in_process
from tests.security.holdings import Visiting
from tests.servers import LOOPBACK, SmtpSink, free_port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def clock() -> Hands:
    return Hands(time.time())


@pytest.fixture
async def site(database: Furnished, port: int, clock: Hands, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    more: Given = {("mail", "url"): f"smtp://{LOOPBACK}:{port}?starttls=never"}
    async with in_process(database, more=more, clock=clock) as site:
        yield site


@contextlib.contextmanager
def working(port: int) -> Iterator[SmtpSink]:
    sink = SmtpSink(port=port)
    controller = Controller(sink, hostname=LOOPBACK, port=port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@contextlib.asynccontextmanager
async def silent(port: int) -> AsyncIterator[None]:
    """Takes connections, and says nothing."""
    held: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(accept, LOOPBACK, port)
    try:
        yield
    finally:
        server.close()
        for writer in held:
            writer.close()


async def jobs(site: Site) -> list[tuple[str, str, int]]:
    async with site.bridge.rooms.database.read() as tx:
        rows = (await tx.execute(select(outbox).order_by(outbox.c.id))).all()
    return [(row.purpose, row.state, row.attempts) for row in rows]


async def under_way(site: Site) -> bool:
    async with site.bridge.rooms.database.read() as tx:
        held = select(outbox.c.id).where(outbox.c.state == "waiting", outbox.c.claim != "")
        return (await tx.execute(held)).first() is not None


async def until_jobs(site: Site, wanted: list[tuple[str, str, int]]) -> None:
    """A try counts from its beginning, but when to try again is only known once nobody holds the job any more."""

    async def so() -> bool:
        return await jobs(site) == wanted and not await under_way(site)

    await until(so)


@pytest.mark.parametrize("how", ["refused", pytest.param("silent", marks=pytest.mark.slow)])
async def test_a_reset_link_comes_when_the_mail_server_is_back(
    site: Site, visit: Visiting, port: int, clock: Hands, how: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        held = silent(port) if how == "silent" else contextlib.nullcontext()
        async with held:
            browser = visit(site)
            await browser.open("/reset")
            patch.setattr(worker, "SEND_SECONDS", 1.0)
            with LetRun() as ran:
                await browser.press("reset-submit", email=ADA)
            assert browser.reply.status_code == 200 and ran.seconds < 1
            await until_jobs(site, [("reset", "waiting", 1)])
            # The next try is a minute away; until then the server is left alone.
            await asyncio.sleep(1.2 if how == "silent" else 0.2)
            assert await jobs(site) == [("reset", "waiting", 1)]
            clock.move(61)
            await until_jobs(site, [("reset", "waiting", 2)])
            await asyncio.sleep(1.2 if how == "silent" else 0.2)
    with working(port) as sink:
        clock.move(301)
        await until_jobs(site, [("reset", "sent", 3)])
        (letter,) = await asyncio.to_thread(sink.wait_for, 1)
        await asyncio.sleep(0.2)
        assert len(sink.messages) == 1 and sink.recipients == [[ADA]]
    browser = visit(site)
    await browser.open(link_in(letter))
    assert browser.at == "/reset/new"  # made when it was sent: its hour has only begun
    assert ADA in text_of(letter)
    assert (await browser.get("/readyz")).status_code == 200


async def test_whatever_cannot_be_sent_is_given_up_and_told(site: Site, clock: Hands) -> None:
    site.bridge.rooms.resets.ask(ADA, Visit("pages"))
    for attempt, pause in enumerate((*worker.PAUSES, 0), 1):
        state = "waiting" if pause else "dead"
        await until_jobs(site, [("reset", state, attempt)])
        clock.move(pause + 1)
    await until(lambda: "mail.failed" in site.told.kinds())  # said after it was written down
    await asyncio.sleep(0.2)
    assert site.told.kinds().count("mail.failed") == 1
    assert await jobs(site) == [("reset", "dead", 5)]


async def test_a_restart_in_the_middle_of_a_letter_sends_it_again_after_the_lease(
    database: Furnished, port: int, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may come twice, with one Message-ID, but not never."""
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.05)
    more: Given = {("mail", "url"): f"smtp://{LOOPBACK}:{port}?starttls=never"}
    async with in_process(database, more=more, clock=clock) as site:
        await site.bridge.rooms.resets.close()
        site.bridge._work._outbox.stop()
        site.bridge.rooms.resets.ask(ADA, Visit("pages"))
        await site.bridge.rooms.resets.close()
        jobs_of = site.bridge._work._outbox._jobs
        assert len(await jobs_of.claim(10, worker.LEASE_SECONDS)) == 1  # claimed, and then the power went
    with working(port) as sink:
        async with in_process(database, more=more, clock=clock) as site:
            await asyncio.sleep(0.3)
            assert sink.messages == []
            clock.move(worker.LEASE_SECONDS + 2)
            await asyncio.to_thread(sink.wait_for, 1)
