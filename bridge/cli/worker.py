"""The server process that `login-bridge serve` becomes: nothing of the command line is in it — DESIGN §9, §10.

`python -m bridge.cli.worker` reads its settings from the environment alone.
"""

import atexit
import gc
import logging
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from bridge.config import Config
from bridge.config.config import PROXY_UNNAMED
from bridge.events.log import JsonLog, set_up_logging

if TYPE_CHECKING:
    from bridge.app import Bridge

BEGIN_SECONDS: Final = 30
"""What a process may take to begin, or to say that it lives: on a busy machine it is slow, and not to be killed."""

COLLECT_AFTER: Final = 10_000
"""Objects made and not yet freed between two looks for cycles: some hundred requests."""

_log = logging.getLogger("bridge")


def make() -> "Bridge":
    """The app of one worker."""
    gc.disable()  # what is imported stays: to look through it for garbage takes a quarter of the start
    from bridge.app import Bridge  # noqa: PLC0415  the parent of several workers needs none of it

    gc.enable()

    config = Config.discover()
    _set_up_log(config)
    log = JsonLog(sys.stderr, config.events)
    atexit.register(log.close)
    bridge = Bridge(config, listeners=[log])
    # What is there by now stays, and a request leaves no cycles: the collector need not look every few requests.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    return bridge


def main() -> int:
    """Serve until SIGTERM or SIGINT; what is under way is finished first.  Returns the exit status."""
    config = Config.discover()
    server = config.server
    _set_up_log(config)
    if config.proxy_unnamed:
        _log.error(PROXY_UNNAMED)
    signal.signal(signal.SIGTERM, _asked_to_stop)
    try:
        uvicorn.run(
            "bridge.cli.worker:make",
            factory=True,
            host=server.host,
            port=server.port,
            workers=server.workers,
            loop="uvloop",
            http="bridge.cli.protocol:BoundedProtocol",
            ws="none",
            lifespan="on",
            proxy_headers=False,  # `server.trusted_proxies` is read by the doors, which know whom to believe
            server_header=False,
            log_config=None,
            access_log=False,
            limit_concurrency=server.most_connections + 1 if server.most_connections > 0 else None,  # it means "fewer"
            timeout_graceful_shutdown=server.graceful_timeout,
            timeout_worker_healthcheck=BEGIN_SECONDS,
            ssl_certfile=server.tls_cert,
            ssl_keyfile=server.tls_key,
        )
    except KeyboardInterrupt:
        return 0
    return 0


def _set_up_log(config: Config) -> None:
    set_up_logging(sys.stderr, config.events)
    # No access log: a query string may hold a token, and what matters is told as an event.
    logging.getLogger("uvicorn.access").propagate = False


def _asked_to_stop(_signal: int, _frame: FrameType | None) -> None:
    """Before it serves, or once more from the server that has stopped in good order: that is the end, not a death."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
if __name__ == "__mp_main__":  # one process of several, before it serves
    signal.signal(signal.SIGTERM, _asked_to_stop)
