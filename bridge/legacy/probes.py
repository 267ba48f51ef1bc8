"""GetConfigurationValue and GetAdminDetails, with which callers ask whether anybody is there — whmcs-api §3.7."""

from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.options import LegacyOptions
from bridge.legacy.params import Params
from bridge.legacy.whmcs_details import versions


class GetConfigurationValue:
    """Tells `Version` and `SystemURL`; no other setting is anybody's business."""

    def __init__(self, *, options: LegacyOptions, base_url: str) -> None:
        settings = {"Version": versions(options)["canonicalversion"], "SystemURL": f"{base_url}/"}
        self._settings = {name.lower(): (name, value) for name, value in settings.items()}

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="GetConfigurationValue", run=self, parameters=frozenset({"setting"}))

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        asked = params.text("setting").strip()
        if not asked:
            return failure("Parameter setting is required")
        found = self._settings.get(asked.lower())
        return (
            failure("Invalid name for parameter setting")
            if found is None
            else success(setting=found[0], value=found[1])
        )


class GetAdminDetails:
    """Tells a caller who he is here: an API credential, and no administrator."""

    def __init__(self, *, options: LegacyOptions) -> None:
        self._whmcs = versions(options)

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="GetAdminDetails", run=self, parameters=frozenset())

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """`adminid` is 1 for everybody: callers take 0 for nobody."""
        return success(
            adminid=1,
            name=caller.name,
            notes="",
            signature="",
            allowedpermissions=",".join(sorted(caller.credential.grants if caller.credential else ())),
            departments=",",
            whmcs=self._whmcs,
        )
