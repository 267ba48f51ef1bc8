"""The wheel, installed elsewhere: complete, small for a satellite, and it serves the demo — DESIGN §2, §3."""

import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.project import PACKAGE, ROOT, files
from tests.servers import LOOPBACK, a_folder, free_port, missing, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty() -> Iterator[Path]:
    """A folder with nothing in it."""
    with a_folder() as folder:
        yield folder


def test_it_carries_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = PACKAGE.relative_to(ROOT)
    assert names == {path.as_posix() for path in files() if path.is_relative_to(package)}


def test_a_satellite_installs_fewer_than_ten_packages(wheel: Path, empty: Path) -> None:
    python = _environment(empty / "satellite", str(wheel))
    listed = _run(python, "-m", "pip", "list", "--format=freeze").splitlines()
    others = [line for line in listed if line.partition("==")[0] not in {"login-bridge", "pip", "setuptools"}]
    assert 0 < len(others) < 10, others
    assert "site-packages" in _run(python, "-c", "import bridge; print(bridge.__file__)", cwd=empty)
    if (PACKAGE / "middleware.py").exists():
        _run(python, "-W", "error", "-c", "import bridge.middleware, bridge.stores.redis", cwd=empty)


def test_it_serves_the_demo_from_an_empty_folder(wheel: Path, empty: Path) -> None:
    if not (PACKAGE / "__main__.py").exists():
        missing("the command line", "it is not written yet")
    python = _environment(empty / "server", f"{wheel}[server]")
    place, port = empty / "place", free_port()
    place.mkdir()
    command = [str(Path(python).with_name("login-bridge")), "serve", "--demo", "--port", str(port)]
    issuer = f"http://{LOOPBACK}:{port}/.well-known/openid-configuration"
    with running(command, folder=place, ready=lambda: _answers(issuer)):
        assert _answers(f"http://{LOOPBACK}:{port}/healthz")
        assert _answers(f"http://{LOOPBACK}:{port}/login")
    assert not (place / "bridge").exists()


def _environment(folder: Path, requirement: str) -> str:
    """A new virtual environment with this in it; returns its interpreter."""
    _run(sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin/python")
    _run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", requirement)
    return python


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
