"""One plan after the other, module by module, and how what came out compares with what was expected."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from tests.conformance.suite import Created, Late, Module, Suite, SuiteError

GOOD: Final = ("PASSED", "REVIEW")
"""REVIEW: passed, with a picture that a person of the foundation looks at."""
INTERRUPTED, LATE = "INTERRUPTED", "TIMEOUT"
ROTATION: Final = "oidcc-server-rotate-keys"
"""The module that waits until we have changed our signing keys."""
SEEN_SECONDS: Final = 2.0
"""Until then every worker has seen what a command did to the keys; the suite looks once, and at once."""

Rotate = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Allowance:
    """A module that does not pass, and why that is right."""

    plan: str
    """Its name, or a pattern such as `formpost-*`."""
    module: str
    """Its name; or, of one variant alone, the name with its variant as we print it."""
    outcome: str
    reason: str

    def is_of(self, plan: str, module: Module) -> bool:
        """Whether it speaks of that module of that plan."""
        return fnmatchcase(plan, self.plan) and self.module in (module.name, str(module))


@dataclass(frozen=True, slots=True)
class Found:
    """What came of one module."""

    plan: str
    module: Module
    outcome: str
    seconds: float
    complaints: Sequence[str] = ()
    allowance: Allowance | None = None

    @property
    def good(self) -> bool:
        """An allowance that is not needed any more is wrong too."""
        return self.outcome in GOOD if self.allowance is None else self.outcome == self.allowance.outcome


@dataclass(slots=True)
class Summary:
    """All that was found."""

    found: list[Found] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether something was run, and all of it came out as it should."""
        return bool(self.found) and all(each.good for each in self.found)

    def text(self) -> str:
        """One line for each plan, and all that nobody expected."""
        plans = dict.fromkeys(each.plan for each in self.found)
        lines = [f"{plan}: {_counted(each for each in self.found if each.plan == plan)}" for plan in plans]
        bad = [f"unexpected: {each.plan} {each.module} {each.outcome}" for each in self.found if not each.good]
        return "\n".join([*lines, *bad])


def allowances(file: Path) -> tuple[Allowance, ...]:
    """All that the file lists; each has a reason.  Raises ValueError."""
    entries: list[Mapping[str, str]] = json.loads(file.read_text("utf-8"))
    for entry in entries:
        if set(entry) != {"plan", "module", "outcome", "reason"} or not entry["reason"].strip():
            raise ValueError(f"{file}: not a plan, a module, an outcome and a reason: {entry}")
        if entry["outcome"] in (*GOOD, INTERRUPTED, LATE):
            raise ValueError(f"{file}: {entry['outcome']} is nothing to expect: {entry}")
    return tuple(Allowance(**entry) for entry in entries)


async def run_plan(
    suite: Suite,
    plan: str,
    created: Created,
    *,
    allowed: Sequence[Allowance] = (),
    only: Callable[[str], bool] = lambda name: True,
    seconds: float = 240,
    rotate: Rotate | None = None,
) -> AsyncIterator[Found]:
    """Every module of the plan, one after the other: with an alias, the suite can run no two at a time."""
    for module in created.modules:
        if only(module.name):
            begun = time.monotonic()
            outcome, complaints = await _run_module(suite, created, module, seconds=seconds, rotate=rotate)
            allowance = next((each for each in allowed if each.is_of(plan, module)), None)
            yield Found(plan, module, outcome, time.monotonic() - begun, complaints, allowance)


async def _run_module(
    suite: Suite, created: Created, module: Module, *, seconds: float, rotate: Rotate | None
) -> tuple[str, list[str]]:
    """What came of it, and what the suite says of that."""
    run = await suite.begin(created, module)
    try:
        state = await suite.wait(run, ("CONFIGURED", "WAITING", "FINISHED", INTERRUPTED), seconds=seconds)
        if state == "CONFIGURED":
            if module.name == ROTATION and rotate is not None:
                await rotate()
                await asyncio.sleep(SEEN_SECONDS)
            # Nearly every module begins by itself, and the suite may stumble over its own answer meanwhile.
            with contextlib.suppress(SuiteError):
                await suite.start(run)
        if state not in ("FINISHED", INTERRUPTED):
            state = await suite.wait(run, ("FINISHED", INTERRUPTED), seconds=seconds)
        outcome = INTERRUPTED if state == INTERRUPTED else await suite.outcome(run)
    except Late:
        outcome = LATE
        with contextlib.suppress(SuiteError):  # it may have ended by itself in this moment
            await suite.cancel(run)
    return outcome, [] if outcome in GOOD else await suite.complaints(run)


async def command(line: Sequence[str]) -> None:
    """Run a program of ours; raises SuiteError if it fails."""
    process = await asyncio.create_subprocess_exec(*line)
    if status := await process.wait():
        raise SuiteError(f"{line[0]} ended with status {status}")


def _counted(found: Iterable[Found]) -> str:
    counts = Counter(each.outcome for each in found)
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))


def line(found: Found) -> str:
    """What is printed of one module."""
    lines = [f"{found.outcome:11} {found.seconds:6.1f} s  {found.module}"]
    if found.allowance is not None:
        lines.append(f"            {found.allowance.outcome} was expected: {found.allowance.reason}")
    lines += [f"            {each}" for each in found.complaints]
    return "\n".join(lines)


def as_json(summary: Summary) -> list[dict[str, Any]]:
    """The same for a program."""
    return [
        {
            "plan": each.plan,
            "module": each.module.name,
            "variant": dict(each.module.variant),
            "outcome": each.outcome,
            "expected": each.allowance.reason if each.allowance is not None else None,
            "complaints": list(each.complaints),
        }
        for each in summary.found
    ]
