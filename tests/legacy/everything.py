"""All 25 actions over one database, without a wire: what each answers to whom."""

from typing import Any, cast

from bridge.accounts.single_sign_on import SingleSignOnRules
from bridge.clients.clients import Clients
from bridge.clients.upkeep import ClientUpkeep
from bridge.clock import Chance
from bridge.legacy.actions import registry
from bridge.legacy.create_sso_token import CreateSsoToken, Destinations
from bridge.legacy.oauth_credentials import OAuthCredentials
from bridge.legacy.options import LegacyOptions
from bridge.legacy.probes import GetAdminDetails, GetConfigurationValue
from bridge.legacy.reset_password import ResetPassword
from bridge.legacy.validate_login import ValidateLogin
from bridge.legacy.whmcs_details import WhmcsDetails
from bridge.login.sso import SingleSignOn
from bridge.sessions.options import SessionOptions
from bridge.tokens import LoginToken
from bridge.types import SlotTag
from tests.accounts.world import RING, World
from tests.legacy.customers import Customers
from tests.legacy.desk import ISSUER, ScriptedLogin, ScriptedResets

OPTIONS = LegacyOptions(service_ids="clients")
TAG = SlotTag("0123456789a")


class Everything(Customers):
    """`draw`: instead of chance, which a golden file must not hold."""

    def __init__(self, world: World, draw: Chance) -> None:
        super().__init__(world)
        accounts = world.accounts
        clients = Clients(db=world.db, ring=RING, versions=cast(Any, world.told), clock=world.clock)
        upkeep = ClientUpkeep(db=world.db, clients=clients, clock=world.clock, draw=draw)
        self.actions = registry(
            *self.actions.values(),
            ValidateLogin(
                login=cast(Any, ScriptedLogin()),
                client_of=cast(Any, None),
                options=OPTIONS,
                sessions=SessionOptions(),
            ).action,
            ResetPassword(resets=cast(Any, ScriptedResets()), owner_of=cast(Any, None), options=OPTIONS).action,
            WhmcsDetails(options=OPTIONS).action,
            GetConfigurationValue(options=OPTIONS, base_url=ISSUER).action,
            GetAdminDetails(options=OPTIONS).action,
            CreateSsoToken(
                users=world.users,
                accounts=accounts,
                contacts=world.contacts,
                links=cast(SingleSignOn, Links(world)),
                ledger=world.ledger,
                destinations=Destinations((), ISSUER),
                base_url=ISSUER,
            ).action,
            *OAuthCredentials(
                upkeep=upkeep, accounts=accounts, ledger=world.ledger, options=OPTIONS, company="Acme Ltd."
            ).actions,
        )


class Links:
    """Links, with the rules of the accounts and without a store."""

    def __init__(self, world: World) -> None:
        rules = SingleSignOnRules(accounts=world.accounts, members=world.members)
        self._rules = SingleSignOn(**{name: cast(Any, rules if name == "rules" else None) for name in _ROOMS})
        self.is_member, self.objection = self._rules.is_member, self._rules.objection

    async def issue(self, *_: object) -> LoginToken:
        return LoginToken.draw(TAG, bytes)


_ROOMS = (
    "store names seal users rules clients entry second_factor epoch clock chance options events".split()  # noqa: SIM905
)
