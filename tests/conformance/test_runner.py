"""`python -m tests.conformance` against a suite whose modules go as each test says, over real HTTP."""

import contextlib
import fnmatch
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette

from tests.conformance.__main__ import EXPECTED, main
from tests.conformance.fake import FakeSuite, Script
from tests.conformance.plans import PLANS
from tests.conformance.run import allowances
from tests.running import serving
from tests.servers import LOOPBACK, free_port


@contextlib.contextmanager
def at(suite: FakeSuite) -> Iterator[str]:
    """It is there, at that address."""

    @contextlib.asynccontextmanager
    async def built(port: int) -> AsyncIterator[Starlette]:
        yield suite.app()

    with serving(built) as port:
        yield f"http://{LOOPBACK}:{port}"


def run(suite: FakeSuite, *more: str) -> int:
    """The exit status of a run of one plan there."""
    with at(suite) as url:
        return main(["--plan", "basic", "--suite", url, *more])


def listed(folder: Path, **entry: str) -> str:
    """A file of one allowance."""
    file = folder / "expected.json"
    whole = {"plan": "basic", "module": "oidcc-server", "outcome": "WARNING", "reason": "as it should be", **entry}
    file.write_text(json.dumps([whole]), "utf-8")
    return str(file)


def test_all_that_passes_is_good(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    suite = FakeSuite([Script(), Script(name="oidcc-prompt-login", result="REVIEW")])
    assert run(suite, "--json", str(tmp_path / "found.json")) == 0
    printed = capsys.readouterr().out
    assert "conformance suite 0.0.0" in printed and "basic: 1 PASSED, 1 REVIEW" in printed
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert [(each["module"], each["outcome"]) for each in found] == [
        ("oidcc-server", "PASSED"),
        ("oidcc-prompt-login", "REVIEW"),
    ]


@pytest.mark.parametrize("result", ["FAILED", "WARNING", "SKIPPED", "UNKNOWN"])
def test_what_nobody_expected_fails_the_run_with_the_suites_words(
    capsys: pytest.CaptureFixture[str], result: str
) -> None:
    log = [
        {"result": "SUCCESS", "src": "Fine", "msg": "fine"},
        {"result": "FAILURE", "src": "CheckState", "msg": "State is missing"},
    ]
    assert run(FakeSuite([Script(result=result, log=log), Script()])) == 1
    printed = capsys.readouterr().out
    assert "FAILURE CheckState: State is missing" in printed and "Fine" not in printed
    assert f"unexpected: basic oidcc-server[response_type=code] {result}" in printed and "1 PASSED" in printed


def test_a_module_that_was_broken_off_is_never_good(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(FakeSuite([Script(states=["INTERRUPTED"], result="PASSED")])) == 1
    assert "1 INTERRUPTED" in capsys.readouterr().out
    assert run(FakeSuite([Script(states=["WAITING", "INTERRUPTED"], result="PASSED")])) == 1
    for outcome in ("INTERRUPTED", "TIMEOUT", "PASSED"):
        with pytest.raises(ValueError, match="nothing to expect"):
            allowances(Path(listed(tmp_path, outcome=outcome)))


def test_a_module_that_stays_is_cancelled_and_the_next_is_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = FakeSuite([Script(states=["WAITING"]), Script()])
    begun = suite.clock.now()
    monkeypatch.setattr("tests.conformance.suite.time", SimpleNamespace(monotonic=suite.clock.now))
    assert run(suite, "--timeout", "90") == 1
    assert suite.clock.now() - begun == pytest.approx(90)
    assert "basic: 1 PASSED, 1 TIMEOUT" in capsys.readouterr().out
    assert [each for each in suite.asked if each.startswith("DELETE")] == ["DELETE /api/runner/0"]


def test_an_outcome_that_was_expected_is_good_and_its_reason_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(FakeSuite([Script(result="WARNING")]), "--expected", listed(tmp_path)) == 0
    assert "as it should be" in capsys.readouterr().out


@pytest.mark.parametrize("result", ["FAILED", "SKIPPED", "PASSED"])
def test_another_outcome_than_the_expected_one_is_not_even_when_it_passed(tmp_path: Path, result: str) -> None:
    assert run(FakeSuite([Script(result=result)]), "--expected", listed(tmp_path)) == 1


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"plan": "hybrid"}, 1),
        ({"plan": "b*"}, 0),
        ({"plan": "formpost-*"}, 1),
        ({"module": "oidcc-other"}, 1),
        ({"module": "oidcc-server[response_type=code]"}, 0),
        ({"module": "oidcc-server[response_type=id_token]"}, 1),
    ],
)
def test_what_is_expected_of_one_module_of_one_plan_is_of_no_other(
    tmp_path: Path, entry: dict[str, str], status: int
) -> None:
    assert run(FakeSuite([Script(result="WARNING")]), "--expected", listed(tmp_path, **entry)) == status


def test_nothing_is_expected_without_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reason"):
        allowances(Path(listed(tmp_path, reason=" ")))


def test_our_own_list_is_of_plans_that_there_are() -> None:
    assert all(fnmatch.filter(PLANS, each.plan) for each in allowances(EXPECTED))


def test_to_run_nothing_is_not_good() -> None:
    suite = FakeSuite([Script()])
    assert run(suite, "--module", "oidcc-prompt-*") == 1
    assert "POST /api/runner" not in suite.asked


def test_keys_are_rotated_before_the_module_that_waits_for_that_is_started(tmp_path: Path) -> None:
    suite = FakeSuite([Script(name="oidcc-server-rotate-keys", states=["CONFIGURED", "FINISHED"])])
    rotated = tmp_path / "rotated"
    command = f"{sys.executable} -c 'import pathlib; pathlib.Path(\"{rotated}\").touch()'"
    assert run(suite, "--rotate", command) == 0
    assert rotated.exists() and suite.asked.count("POST /api/runner/0") == 1


def test_a_rotation_that_fails_ends_the_run() -> None:
    suite = FakeSuite([Script(name="oidcc-server-rotate-keys", states=["CONFIGURED", "FINISHED"])])
    assert run(suite, "--rotate", "false") == 2
    assert "POST /api/runner/0" not in suite.asked


def test_other_modules_that_wait_to_be_started_are_just_started(tmp_path: Path) -> None:
    rotated = tmp_path / "rotated"
    suite = FakeSuite([Script(states=["CONFIGURED", "WAITING", "FINISHED"])])
    assert run(suite, "--rotate", f"touch {rotated}") == 0
    assert not rotated.exists()


def test_a_suite_that_stumbles_over_the_start_of_a_module_that_began_by_itself_is_not_broken() -> None:
    suite = FakeSuite([Script(states=["CONFIGURED", "FINISHED"]), Script()], broken="/api/runner/0")
    assert run(suite) == 0
    assert "POST /api/runner/0" in suite.asked


@pytest.mark.parametrize("path", ["/api/server", "/api/plan", "/api/runner", "/api/runner/0/wait-state", "/api/info/0"])
@pytest.mark.parametrize("kind", ["", "text "])
def test_a_suite_that_is_broken_is_told_from_a_provider_that_fails(
    capsys: pytest.CaptureFixture[str], path: str, kind: str
) -> None:
    assert run(FakeSuite([Script()], broken=kind + path)) == 2
    assert path.removeprefix("/") in capsys.readouterr().err


def test_what_was_found_before_the_suite_broke_is_not_lost(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    assert run(FakeSuite([Script(), Script()], broken="/api/info/1"), "--json", str(file)) == 2
    assert "basic: 1 PASSED" in capsys.readouterr().out
    assert [each["outcome"] for each in json.loads(file.read_text("utf-8"))] == ["PASSED"]


def test_a_suite_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--suite", f"http://{LOOPBACK}:{free_port()}", "--plan", "config"]) == 2
    assert "api/server" in capsys.readouterr().err


def test_a_token_is_sent_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = FakeSuite([Script()])
    run(suite)
    assert suite.tokens == {None}
    monkeypatch.setenv("CONFORMANCE_TOKEN", "of-the-suite")
    suite = FakeSuite([Script()])
    run(suite)
    assert suite.tokens == {"Bearer of-the-suite"}


@pytest.mark.parametrize(("option", "registration"), [([], "static_client"), (["--dynamic"], "dynamic_client")])
def test_clients_are_imported_or_register_themselves(option: list[str], registration: str) -> None:
    suite = FakeSuite([Script()])
    assert run(suite, *option) == 0
    assert json.loads(suite.variants[0])["client_registration"] == registration
    told = suite.bodies[0]
    # An alias makes the suite run one module at a time: only clients with fixed addresses need it.
    assert ("alias" in told) == ("client_secret" in told["client"]) == (registration == "static_client")
