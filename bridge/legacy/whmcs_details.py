"""WhmcsDetails: which version is this?  Used as a health check — whmcs-api §3.7."""

from bridge.legacy.actions import Action, Answer, Caller, success
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params


class WhmcsDetails:
    """Tells the advertised version."""

    def __init__(self, *, options: LegacyOptions) -> None:
        self._versions = versions(options)

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="WhmcsDetails", run=self, parameters=frozenset())

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        return success(whmcs=self._versions)


def versions(options: LegacyOptions) -> dict[str, str]:
    """The advertised version, short and in full."""
    version = options.advertised_version
    return {"version": version, "canonicalversion": f"{version}-release.1"}
