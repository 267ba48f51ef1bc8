"""ASGI's lifespan protocol, for the bridge itself — engine §11."""

from collections.abc import Awaitable, Callable

from bridge.asgi import Receive, Send

Step = Callable[[], Awaitable[None]]


async def live(receive: Receive, send: Send, opening: Step, closing: Step, *, begun: bool = False) -> None:
    """Open at start-up, close at shut-down, whatever ends it; a failure is told to the server, and raised.

    `begun`: the server's first message was heard by somebody else.
    """
    if not begun:
        await receive()
    try:
        await opening()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    try:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    finally:
        await _closed(send, closing)
    await send({"type": "lifespan.shutdown.complete"})


async def _closed(send: Send, closing: Step) -> None:
    try:
        await closing()
    except Exception as error:
        await send({"type": "lifespan.shutdown.failed", "message": str(error)})
        raise
