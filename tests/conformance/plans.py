"""The suite's certification plans of an OpenID Provider, and our choice of variants where a plan leaves one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STATIC, DYNAMIC = "static_client", "dynamic_client"


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan of the suite."""

    name: str
    """As the suite calls it."""
    variant: Mapping[str, str]
    registers: bool | None = None
    """Whether its clients register themselves; None: it runs either way."""
    channel: str = ""
    """The one way by which its client wants to be told of a sign-out."""

    def chosen(self, *, dynamic: bool) -> dict[str, str]:
        """What the suite is told beside the plan's name."""
        open_ = {"client_registration": DYNAMIC if dynamic else STATIC} if self.registers is None else {}
        return {**self.variant, **open_}

    def is_dynamic(self, *, dynamic: bool) -> bool:
        """Whether its clients register themselves in this run."""
        return dynamic if self.registers is None else self.registers


def _plan(name: str, registers: bool | None = None, channel: str = "", **variant: str) -> Plan:
    return Plan(f"oidcc-{name}-certification-test-plan", variant, registers, channel)


PLANS: Final[Mapping[str, Plan]] = {
    "config": _plan("config", registers=False),
    "basic": _plan("basic", server_metadata="discovery"),
    "implicit": _plan("implicit", server_metadata="discovery"),
    "hybrid": _plan("hybrid", server_metadata="discovery"),
    "formpost-basic": _plan("formpost-basic", server_metadata="discovery"),
    "formpost-implicit": _plan("formpost-implicit", server_metadata="discovery"),
    "formpost-hybrid": _plan("formpost-hybrid", server_metadata="discovery"),
    "dynamic": _plan("dynamic", registers=True, response_type="code"),
    "3rdparty-init-login": _plan("3rdparty-init-login", registers=True, response_type="code"),
    "rp-initiated-logout": _plan("rp-initiated-logout", response_type="code"),
    "backchannel-logout": _plan("backchannel-rp-initiated-logout", channel="backchannel", response_type="code"),
    "frontchannel-logout": _plan("frontchannel-rp-initiated-logout", channel="frontchannel", response_type="code"),
    "session-management": _plan("session-management", response_type="code"),
}
"""By the name that the command line knows."""
