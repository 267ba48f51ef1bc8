"""`python -m tests.conformance`: run certification plans on a suite that is running, and say what came of them.

Exit status: 0 all is as it should be, 1 something is not, 2 the suite does not answer.
"""

import argparse
import asyncio
import fnmatch
import json
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import httpx2

from tests.conformance.configuration import clients, configuration
from tests.conformance.plans import PLANS
from tests.conformance.run import Summary, allowances, as_json, command, line, run_plan
from tests.conformance.suite import Suite, SuiteError

SUITE: Final = "https://localhost.emobix.co.uk:8443"
PROVIDER: Final = "https://op.example.test:9443"
EXPECTED: Final = Path(__file__).with_name("expected.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, report."""
    asked = _parser().parse_args(arguments)
    if asked.print_clients:
        print(json.dumps(clients(asked.suite), indent=2))
        return 0
    if asked.print_configuration:
        channel = PLANS[asked.plan[0]].channel if asked.plan else ""
        print(json.dumps(configuration(asked.provider, dynamic=asked.dynamic, channel=channel), indent=2))
        return 0
    summary, broken = Summary(), False
    try:
        asyncio.run(_run(asked, summary))
    except SuiteError as error:
        print(f"the suite at {asked.suite}: {error}", file=sys.stderr)
        broken = True
    print(summary.text())
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_json(summary), indent=2) + "\n", "utf-8")
    return 2 if broken else 0 if summary.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--plan", action="append", choices=sorted(PLANS), help="may be given again; default: all")
    parser.add_argument("--module", default="*", help="only modules of that name, such as 'oidcc-prompt-*'")
    parser.add_argument("--suite", default=os.environ.get("CONFORMANCE_SERVER", SUITE).rstrip("/"))
    parser.add_argument("--provider", default=os.environ.get("CONFORMANCE_PROVIDER", PROVIDER).rstrip("/"))
    parser.add_argument("--dynamic", action="store_true", help="clients register themselves wherever a plan lets them")
    parser.add_argument("--timeout", type=float, default=240, metavar="SECONDS", help="for each state of a module")
    parser.add_argument("--rotate", type=shlex.split, metavar="COMMAND", help="changes the provider's signing keys")
    parser.add_argument("--expected", type=Path, default=EXPECTED, metavar="FILE", help="what need not pass, and why")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found there")
    parser.add_argument("--print-clients", action="store_true", help="for `login-bridge client import`, and no more")
    parser.add_argument("--print-configuration", action="store_true", help="for the suite's own pages, and no more")
    return parser


async def _run(asked: argparse.Namespace, summary: Summary) -> None:
    """All that was asked for; what was found by then stands in the summary, however it ends.  Raises SuiteError."""
    allowed = allowances(asked.expected)
    async with _connected(asked.suite) as http:
        suite = Suite(http)
        print(f"conformance suite {await suite.version()} at {asked.suite}, provider {asked.provider}")
        for name in asked.plan or PLANS:
            plan = PLANS[name]
            dynamic = plan.is_dynamic(dynamic=asked.dynamic)
            told = configuration(asked.provider, dynamic=dynamic, channel=plan.channel)
            created = await suite.create(plan.name, plan.chosen(dynamic=asked.dynamic), told)
            print(f"\n{name}: {asked.suite}/plan-detail.html?plan={created.id}", flush=True)
            async for found in run_plan(
                suite,
                name,
                created,
                allowed=allowed,
                only=lambda module: fnmatch.fnmatch(module, asked.module),
                seconds=asked.timeout,
                rotate=partial(command, asked.rotate) if asked.rotate else None,
            ):
                print(line(found), flush=True)
                summary.found.append(found)


def _connected(suite: str) -> httpx2.AsyncClient:
    """By a token, or in the suite's dev mode by none: then it is one of our own, whose certificate nobody signed."""
    token = os.environ.get("CONFORMANCE_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx2.AsyncClient(base_url=suite + "/", headers=headers, verify=token is not None, trust_env=False)


if __name__ == "__main__":
    sys.exit(main())
