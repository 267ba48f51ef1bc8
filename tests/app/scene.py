"""What the tests of the app ask with: a request as a server would hand it in, and a lifespan played by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from bridge.asgi import ASGIApp, Message

HTML = "text/html,*/*;q=0.8"


@dataclass
class Answer:
    """What came back."""

    messages: list[Message] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        return bool(self.messages)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def whole(self) -> bool:
        """Exactly one start, one end, and as many bytes as were promised."""
        kinds = [message["type"] for message in self.messages]
        return kinds == ["http.response.start", *["http.response.body"] * (len(kinds) - 1)] and len(kinds) > 1

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.messages[0]["headers"] if key == name.encode()]
        return found[0].decode("latin-1") if found else None


def request(
    path: str = "/",
    method: str = "GET",
    *,
    headers: Mapping[str, str] | None = None,
    root_path: str = "",
    query: str = "",
    client: str = "203.0.113.7",
    **more: Any,
) -> dict[str, Any]:
    """A scope as uvicorn makes it: `path` unescaped, `raw_path` as it was sent."""
    sent = {"host": "login.example.com", **(headers or {})}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": root_path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()],
        "client": (client, 40_000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        **more,
    }


async def ask(app: ASGIApp, scope: dict[str, Any], body: bytes = b"") -> Answer:
    """The answer of the app, which may raise."""
    answer, sent = Answer(), False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        answer.messages.append(message)

    await app(scope, receive, send)
    return answer


async def get(app: ASGIApp, path: str, **more: Any) -> Answer:
    """A whole GET."""
    answer = await ask(app, request(path, **more))
    assert answer.whole, answer.messages
    return answer


@dataclass
class Life:
    """A lifespan as a server plays it."""

    said: list[Message] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[Message], object] = lambda _: None
    """Called with each message before the server has it."""
    _events: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    _answers: "asyncio.Queue[Message]" = field(default_factory=asyncio.Queue)
    _task: "asyncio.Task[None] | None" = None

    async def start(self, app: ASGIApp) -> Message:
        """What the app says to start-up."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}

        async def run() -> None:
            await app(scope, self._events.get, self._send)

        self._task = asyncio.create_task(run())
        await self._events.put({"type": "lifespan.startup"})
        return await self._answer()

    async def stop(self) -> Message:
        """What it says to shut-down."""
        await self._events.put({"type": "lifespan.shutdown"})
        return await self._answer()

    async def end(self) -> BaseException | None:
        """What the app raised at the end, if it did."""
        assert self._task is not None
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        return outcome

    async def kill(self) -> None:
        """As a server does that gives up."""
        assert self._task is not None
        self._task.cancel()
        await self.end()

    async def _send(self, message: Message) -> None:
        self.watch(message)
        self.said.append(message)
        await self._answers.put(message)

    async def _answer(self) -> Message:
        assert self._task is not None
        waiting = asyncio.create_task(self._answers.get())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            return {"type": "returned"}
        return waiting.result()


@asynccontextmanager
async def living(app: ASGIApp) -> AsyncIterator[Life]:
    """From a start-up that worked to a shut-down that did."""
    life = Life()
    assert (await life.start(app))["type"] == "lifespan.startup.complete", life.said
    try:
        yield life
    finally:
        assert (await life.stop())["type"] == "lifespan.shutdown.complete", life.said
        assert await life.end() is None
