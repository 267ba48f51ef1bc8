"""What `import bridge` gives, and what it costs: names are resolved when they are asked for — PEP 562, DESIGN §2."""

import importlib.metadata
import importlib.util
import json
import subprocess
import sys

import pytest

import bridge
import bridge.errors
from tests.servers import missing

NOT_FOR_A_SATELLITE = {
    "sqlalchemy",
    "jinja2",
    "joserfc",
    "alembic",
    "typer",
    "rich",
    "cryptography",
    "passlib",
    "authlib",
}


def test_importing_the_package_loads_neither_pages_nor_provider_nor_sql() -> None:
    loaded = _loaded_by("import bridge")
    assert not loaded & (NOT_FOR_A_SATELLITE | {"starlette", "redis", "babel", "pydantic"})


def test_a_satellite_does_without_pages_provider_and_sql() -> None:
    """Whatever asks for one of them there finds it absent, as in the base installation."""
    if importlib.util.find_spec("bridge.middleware") is None:
        missing("bridge.middleware", "it is not written yet")
    absent = f"import sys; sys.modules.update(dict.fromkeys({sorted(NOT_FOR_A_SATELLITE)}))"
    assert {"starlette", "redis"} <= _loaded_by(f"{absent}; import bridge.middleware, bridge.stores.redis")


PASSKEYS = """
from bridge.app import Bridge
from bridge.login.relying_party import RelyingParty
asked = RelyingParty.at("https://login.example.com", "Login").request(b"challenge", (), verified=True)
assert '"rpId":"login.example.com"' in asked.replace(" ", "")
"""


def test_a_worker_that_has_seen_no_passkey_does_without_what_checks_them() -> None:
    """Its sign-in page offers them all the same."""
    assert "webauthn" not in _loaded_by(PASSKEYS)
    assert "webauthn" in _loaded_by(f"{PASSKEYS}\nRelyingParty(id='', origin='', name='').registered('{{}}', b'')")


def test_the_package_gives_the_bridge_the_middleware_the_configuration_and_the_errors() -> None:
    names: list[str] = getattr(bridge, "__all__", []) or missing("bridge.__all__", "its names are not written yet")
    errors = {name for name in names if name in vars(bridge.errors)}
    assert set(names) - errors == {"Bridge", "BridgeMiddleware", "Config", "__version__"}
    assert all(issubclass(getattr(bridge, name), bridge.errors.BridgeError) for name in errors)
    assert set(names) <= set(dir(bridge))
    assert all(getattr(bridge, name) is not None for name in names)


def test_the_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("login-bridge") == bridge.__version__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bridge.no_such_name


def _loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after this statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))
