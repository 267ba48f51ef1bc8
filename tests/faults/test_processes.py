"""Real worker processes: begun together, ended under load — issue 2, "What it must survive"."""

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from bridge.database.migrate import migrate
from bridge.database.tables import audit, outbox, signing_keys
from bridge.database.tables import users as users_table
from bridge.ring import Ring
from bridge.types import UserId
from tests.databases import opened
from tests.faults.machines import RedisMachine
from tests.faults.processes import on, worker
from tests.running import ADA, API_SECRET, CLIENT_SECRET, IDENTIFIER, PASSWORD, Furnished, Given
from tests.servers import SmtpSink

pytestmark = pytest.mark.slow
CALL = {"identifier": IDENTIFIER, "secret": API_SECRET, "responsetype": "json"}
LOGIN = {**CALL, "action": "ValidateLogin", "email": ADA, "password2": PASSWORD}


async def count(file: Path, table: Any) -> int:
    async with opened(f"sqlite:///{file}") as db, db.read() as tx:
        return (await tx.execute(select(func.count()).select_from(table))).scalar_one()


@pytest.mark.parametrize("processes", ["two", "one with two"])
async def test_workers_begun_at_once_on_an_empty_database_make_one_set_of_keys(
    tmp_path: Path, machine: RedisMachine, processes: str
) -> None:
    file = tmp_path / "empty.db"
    await asyncio.gather(*(migrate(f"sqlite:///{file}") for _ in range(2)))  # as two that are deployed at once do
    more: Given = {("database", "url"): f"sqlite:///{file}", ("store", "url"): machine.url}
    with contextlib.ExitStack() as stack:
        if processes == "two":
            begun = [stack.enter_context(worker(tmp_path, more)) for _ in range(2)]
        else:
            begun = [stack.enter_context(worker(tmp_path, {**more, ("server", "workers"): 2}))]
        for each in begun:
            await asyncio.to_thread(each.until_up)
        published = set()
        async with httpx2.AsyncClient(trust_env=False) as http:
            for each in begun * 8:
                keys = (await http.get(f"{each.url}/oauth/jwks", headers={"connection": "close"})).json()["keys"]
                published.add(tuple(sorted(key["kid"] for key in keys)))
        assert len(published) == 1 and len(next(iter(published))) == 3
        assert await count(file, signing_keys) == 3
        made = [line for each in begun for line in each.lines() if line["event"] == "key.changed"]
        assert len(made) == 3
        assert [each.stop() for each in begun] == [0] * len(begun)


async def test_a_second_installation_on_its_store_does_not_start(tmp_path: Path, machine: RedisMachine) -> None:
    """Security §6, §19: another slot key, the same issuer."""
    file = tmp_path / "empty.db"
    await migrate(f"sqlite:///{file}")
    more: Given = {("database", "url"): f"sqlite:///{file}", ("store", "url"): machine.url}
    other: Given = {**more, ("secrets", "slot"): Ring.new_line("slot").partition(":")[2]}
    with worker(tmp_path, more) as ours:
        await asyncio.to_thread(ours.until_up)
        with worker(tmp_path, other) as theirs:
            assert await asyncio.to_thread(theirs.process.wait, 60) != 0
            assert "secrets.slot" in theirs.told() and "Traceback" not in theirs.told()
        assert ours._ready()


class Load:
    """Callers who sign in, look who is there, and ask for tokens, until they are told to stop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: Counter[str] = Counter()
        self.tokens: list[str] = []
        self.stopping = False

    async def run(self) -> None:
        """Eight of them."""
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False, timeout=20) as http:
            await asyncio.gather(*(self._one(http, which) for which in range(8)))

    async def _one(self, http: httpx2.AsyncClient, which: int) -> None:
        while not self.stopping:
            try:
                await (self._login(http) if which % 2 else self._robot(http))
            except httpx2.ConnectError:
                self.seen["refused"] += 1  # nobody listens any more
                await asyncio.sleep(0.02)
            except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError) as error:
                # A connection that idled was closed; or, which must not be, an answer was cut in two.
                self.seen["half" if "complete message body" in str(error) else "closed"] += 1

    async def _login(self, http: httpx2.AsyncClient) -> None:
        reply = await http.post("/includes/api.php", data=LOGIN)
        self.seen[f"login {reply.status_code}"] += 1
        if reply.status_code == 200:
            self.tokens.append(reply.json()["passwordhash"])

    async def _robot(self, http: httpx2.AsyncClient) -> None:
        form = {"token": "lba_x", "client_id": "notes", "client_secret": CLIENT_SECRET}
        reply = await http.post("/oauth/revoke", data=form)
        self.seen[f"revoke {reply.status_code}"] += 1
        page = await http.get("/login", headers={"accept": "text/html"})
        assert page.text.rstrip().endswith("</html>")
        self.seen[f"page {page.status_code}"] += 1


async def alive(url: str, tokens: list[str]) -> int:
    """How many of these sessions are there."""
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as http:
        found = 0
        for token in tokens:
            reply = await http.post("/api/v1/sessions/touch", json={"token": token}, auth=(IDENTIFIER, API_SECRET))
            found += reply.json()["result"] != "dead"
    return found


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_under_load_loses_nothing(
    database: Furnished, machine: RedisMachine, tmp_path: Path, workers: int, smtp_sink: SmtpSink
) -> None:
    """Who was answered has his answer whole, and his session; audit and mail are there; the exit is a good one."""
    more = {
        **on(database, machine.url),
        ("sessions", "cap"): 100_000,
        ("server", "workers"): workers,
        ("mail", "url"): f"smtp://127.0.0.1:{smtp_sink.port}?starttls=never",
    }
    with worker(tmp_path, more) as begun:
        await asyncio.to_thread(begun.until_up)
        load = Load(begun.url)
        task = asyncio.create_task(load.run())
        await asyncio.sleep(1.5)
        async with httpx2.AsyncClient(base_url=begun.url, trust_env=False) as http:
            asked = await http.post("/includes/api.php", data={**CALL, "action": "ResetPassword", "email": ADA})
            assert asked.json()["result"] == "success"
        start = time.monotonic()
        status = await asyncio.to_thread(begun.stop)
        took = time.monotonic() - start
        load.stopping = True
        await asyncio.wait_for(task, 30)
        assert status == 0 and took < 15
        assert "Traceback" not in begun.told() and all(begun.lines())
        assert not [line for line in begun.lines() if line.get("logger", "").startswith(("sqlalchemy", "aiosqlite"))]
    wrong = {what for what in load.seen if what.startswith(("login", "revoke", "page")) and not what.endswith("200")}
    assert load.seen["half"] == 0 and not wrong, load.seen
    assert load.seen["login 200"] > 5 and load.tokens
    # Every session that somebody was told of is in the store, and its login in the audit.
    with worker(tmp_path, more) as again:
        await asyncio.to_thread(again.until_up)
        assert await alive(again.url, load.tokens) == len(load.tokens)
        await asyncio.to_thread(smtp_sink.wait_for, 1)
        again.stop()
    async with opened(f"sqlite:///{database.file}") as db, db.read() as tx:
        logins = (await tx.execute(select(func.count()).where(audit.c.kind == "login.ok"))).scalar_one()
        last = (await tx.execute(select(users_table.c.last_login_at).where(users_table.c.id == UserId(1)))).scalar_one()
        jobs = [row.state for row in await tx.execute(select(outbox))]
    assert logins >= len(load.tokens) and last is not None and abs(last - time.time()) < 120
    assert jobs == ["sent"] and len(smtp_sink.messages) == 1
