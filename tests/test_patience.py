"""What the tests wait with waits, and gives up; and what they measure with leaves out only what nobody used."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.patience import LetRun, until


async def test_it_waits_until_it_is_so_whether_or_not_it_must_be_awaited() -> None:
    said: list[int] = []
    asyncio.get_running_loop().call_later(0.05, said.append, 1)

    async def heard() -> bool:
        return bool(said)

    await until(heard)
    await until(lambda: said)
    with pytest.raises(AssertionError, match=r"within 0\.05 s"):
        await until(lambda: len(said) == 2, seconds=0.05)


@pytest.mark.parametrize(
    ("wall", "computed", "counted"),
    [(0.01, 0.0, 0.01), (2.0, 0.0, 0.05), (2.0, 2.0, 2.0), (2.0, 0.5, 0.5), (0.01, 0.04, 0.01)],
    ids=["waited", "stood", "computed", "computed and stood", "on four processors"],
)
def test_a_step_counts_for_what_was_used_of_it(wall: float, computed: float, counted: float) -> None:
    now = [(5.0, 7.0), (5.0 + wall, 7.0 + computed)]
    ran = LetRun(lambda: now[0][0], lambda: now[0][1])
    ran.step()
    ran.seconds = 0
    del now[0]
    ran.step()
    assert ran.seconds == pytest.approx(counted)


async def test_who_waits_in_the_block_is_counted() -> None:
    begun = time.monotonic()
    with LetRun() as ran:
        await until(lambda: ran.seconds > 0.5)
    assert ran.seconds <= time.monotonic() - begun


INSIDE = """
import sys
from tests.patience import LetRun
with LetRun() as ran:
    print(flush=True)
    sys.stdin.read()
print(ran.seconds)
"""


def test_what_the_process_stood_still_for_is_not_counted() -> None:
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", INSIDE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdout.readline()
        os.kill(child.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(1)
        stood = time.monotonic() - stopped
        os.kill(child.pid, signal.SIGCONT)
        child.stdin.close()
        counted = float(child.stdout.read())
        assert counted < time.monotonic() - begun - stood + 0.2
