"""What a login and a request with a session take with 1,000, 10,000 and 100,000 users and as many sessions.

Three instances of different sizes take turns, each with the same load: a thousand people, spread over all that it has.
Somebody who was not there for a while costs the read of his row more, at any size.  The plot is an SVG.
"""

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import insert

from bridge.app.rooms import Rooms
from bridge.clients.credential import Rights
from bridge.database.tables import users
from bridge.secret import Secret
from bridge.sessions.stamp import draw_stamp
from bridge.types import UserId
from tests.benchmarks import servers
from tests.benchmarks.measure import Run, load
from tests.benchmarks.setup import PASSWORD, address, begin, opened, settings
from tests.servers import free_port

SIZES: Final = (1_000, 10_000, 100_000)
FLAT: Final = 0.2
"""How much slower the middle of all answers may be with 100,000 than with 1,000."""
_AT_ONCE: Final = 200
_WIDTH, _HEIGHT, _MARGIN = 640, 360, 56


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of request: for each size the median latency in milliseconds, from one connection."""

    name: str
    medians: list[float]

    @property
    def growth(self) -> float:
        """From the smallest size to the largest: 0.1 is 10 % slower."""
        return self.medians[-1] / self.medians[0] - 1


@dataclass(kw_only=True)
class _Instance:
    login: Callable[[], Run]
    visit: Callable[[], Run]
    logins: list[float] = field(default_factory=list[float])
    visits: list[float] = field(default_factory=list[float])


def measure(plot: Path, *, rounds: int, seconds: float) -> int:
    """Print the table and write the plot; returns the exit status (1: not flat)."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        redis = stack.enter_context(servers.redis_on(folder))
        instances = list[_Instance]()
        for number, size in enumerate(SIZES):
            (folder / str(size)).mkdir()
            environment = settings(folder / str(size), port=free_port(), redis=redis, number=number)
            instances.append(_instance(folder / str(size), stack, environment, size, seconds))
        for _ in range(rounds + 1):
            for instance in instances:
                instance.logins.append(instance.login().median)
                instance.visits.append(instance.visit().median)
    lines = [  # the first round warms
        Line("ValidateLogin", [statistics.median(each.logins[1:]) for each in instances]),
        Line("request with a session", [statistics.median(each.visits[1:]) for each in instances]),
    ]
    print("\n".join(_table(lines)))
    plot.write_text("\n".join(_svg(lines)) + "\n")
    return 1 if any(line.growth > FLAT for line in lines) else 0


def _instance(folder: Path, stack: ExitStack, environment: Mapping[str, str], size: int, seconds: float) -> _Instance:
    known = asyncio.run(_fill(environment, folder, size))
    password = PASSWORD.replace(" ", "+")
    bodies = (f"{known}&email={address(number)}&password2={password}\n" for number in _seen(size))
    (folder / "bodies").write_text("".join(bodies))
    login = {"METHOD": "POST", "TARGET": "/includes/api.php", "BODIES": str(folder / "bodies")}
    login["EXPECTED"] = "passwordhash"
    visit = {"TARGET": "/", "COOKIES": str(folder / "cookies"), "EXPECTED": "hello"}
    port, app_port = int(environment["BRIDGE__SERVER__PORT"]), free_port()
    bridge = stack.enter_context(servers.bridge(environment, port))
    app = stack.enter_context(servers.app("guarded", environment, app_port))

    def run(pid: int, port: int, env: Mapping[str, str]) -> Run:
        done = load(pid, f"http://127.0.0.1:{port}", "single.lua", seconds=seconds, env=env, callers=(1, 1))
        if done.failures:
            raise RuntimeError(f"{done.failures} failed")
        return done

    return _Instance(login=lambda: run(bridge, port, login), visit=lambda: run(app, app_port, visit))


async def _fill(environment: Mapping[str, str], folder: Path, size: int) -> str:
    """People with one session each; gives how a caller shows who he is."""
    async with opened(environment) as rooms:
        cookies, name = list[str](), rooms.cookies.name("app")
        async for ids in _people(rooms, size):
            born = await asyncio.gather(*(_begin(rooms, user) for user in ids))
            cookies += [f"{name}={cookie}\n" for cookie in born]
        (folder / "cookies").write_text("".join(cookies[number] for number in _seen(size)))
        made = await rooms.credentials.create("bench", Rights(actions=frozenset({"*"})))
        shown = f"identifier={made.credential.identifier}&secret={made.secret.reveal()}"
        return f"action=ValidateLogin&{shown}&responsetype=json"


def _seen(size: int) -> range:
    return range(0, size, size // SIZES[0])


async def _people(rooms: Rooms, size: int) -> AsyncIterator[list[UserId]]:
    """Rows like the first one's, many in one statement: to hash 100,000 times the same would take an hour."""
    first = await rooms.users.draft(email=address(0), password=Secret(PASSWORD), email_verified=True)
    for start in range(0, size, _AT_ONCE):
        ids = [UserId(number + 1) for number in range(start, min(start + _AT_ONCE, size))]
        rows = [
            {
                **first.values,
                "id": user,
                "tag": rooms.slots.of_user(user),
                "sub": f"person-{user}",
                "email": address(user - 1),
                "email_key": address(user - 1),
                "stamp": draw_stamp("new"),
            }
            for user in ids
        ]
        async with rooms.database.begin() as tx:
            await tx.execute(insert(users), rows)
        yield ids


async def _begin(rooms: Rooms, number: UserId) -> str:
    user = await rooms.users.by_id(number)
    assert user is not None
    born = await begin(rooms, user)
    assert born.child is not None
    return born.child.text.reveal()


def _table(lines: list[Line]) -> Iterator[str]:
    yield f"| median latency, one connection (ms) | {' | '.join(f'{size:,}' for size in SIZES)} | growth |"
    yield "|---|" + "---|" * (len(SIZES) + 1)
    for line in lines:
        yield f"| {line.name} | {' | '.join(f'{median:.2f}' for median in line.medians)} | {line.growth:+.0%} |"


def _svg(lines: list[Line]) -> Iterator[str]:
    """Sizes from left to right, each ten times the one before; milliseconds upwards, from nought."""
    top = max(median for line in lines for median in line.medians) * 1.25
    columns = [_MARGIN + n * (_WIDTH - 2 * _MARGIN) / (len(SIZES) - 1) for n in range(len(SIZES))]

    def height(median: float) -> float:
        return _HEIGHT - _MARGIN - median / top * (_HEIGHT - 2 * _MARGIN)

    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
    yield f'<path d="M{_MARGIN} {_MARGIN}V{_HEIGHT - _MARGIN}H{_WIDTH - _MARGIN}" fill="none" stroke="#888"/>'
    for x, size in zip(columns, SIZES, strict=True):
        yield f'<text x="{x:.0f}" y="{_HEIGHT - _MARGIN + 20}" font-size="12" text-anchor="middle">{size:,}</text>'
    yield f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 12}" font-size="12" text-anchor="middle">users and sessions</text>'
    yield f'<text x="{_MARGIN}" y="{_MARGIN - 16}" font-size="12">median latency, ms (one connection)</text>'
    for line, colour in zip(lines, ("#3b5bdb", "#2b8a3e"), strict=True):
        points = [(x, height(median)) for x, median in zip(columns, line.medians, strict=True)]
        drawn = " ".join(f"{x:.0f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for (x, y), median in zip(points, line.medians, strict=True):
            yield f'<circle cx="{x:.0f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
            yield f'<text x="{x:.0f}" y="{y - 10:.0f}" font-size="11" text-anchor="middle">{median:.2f}</text>'
        x, y = points[0]
        yield f'<text x="{x + 24:.0f}" y="{y - 26:.0f}" font-size="12" fill="{colour}">{line.name}</text>'
    yield "</svg>"
