"""GetClientsDetails, GetClients, GetContacts: what is known of customers — whmcs-api §3.6.

None of them proves who somebody is: they tell a caller of a client, whoever asks.  ValidateLogin does that.
"""

from types import MappingProxyType
from typing import Final, cast, get_args

from bridge.accounts.account import Account, Status
from bridge.accounts.accounts import Accounts, Order
from bridge.accounts.contacts import Contact, ContactField, Contacts
from bridge.accounts.members import Members
from bridge.legacy.actions import Action, Answer, Caller, failure, success
from bridge.legacy.client_profile import TEXTS, client_number, details, preferences
from bridge.legacy.lists import SPAN, counters, day, moment, span_of
from bridge.legacy.params import Params
from bridge.legacy.wire import Value

_ORDERS: Final = frozenset(get_args(Order))
_STATUSES: Final = frozenset(get_args(Status))
_FILTERS: Final[tuple[ContactField, ...]] = get_args(ContactField)
_STATISTICS: Final = (
    *("numdueinvoices", "dueinvoicesbalance", "incredit", "creditbalance", "grossRevenue", "expenses", "income"),
    *("numoverdueinvoices", "overdueinvoicesbalance", "numDraftInvoices", "draftInvoicesBalance"),
    *("numunpaidinvoices", "unpaidinvoicesamount", "numpaidinvoices", "paidinvoicesamount"),
    *("numcancelledinvoices", "cancelledinvoicesamount", "numrefundedinvoices", "refundedinvoicesamount"),
    *("numcollectionsinvoices", "collectionsinvoicesamount"),
    *("numpaymentpendinginvoices", "paymentpendinginvoicesamount"),
    *("productsnumactivehosting", "productsnumhosting", "productsnumactivereseller", "productsnumreseller"),
    *("productsnumactiveservers", "productsnumservers", "productsnumactiveother", "productsnumother"),
    *("productsnumactive", "productsnumtotal", "numactivedomains", "numdomains", "numacceptedquotes", "numquotes"),
    *("numtickets", "numactivetickets", "numaffiliatesignups", "isAffiliate"),
)


class GetClientsDetails:
    """One client, nested under `client` and flat beside it, as callers of every age look for it."""

    def __init__(self, *, accounts: Accounts, members: Members) -> None:
        self._accounts = accounts
        self._members = members

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="GetClientsDetails", run=self, parameters=frozenset({"clientid", "email", "stats"}))

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """By number, or else by exactly that address.  Raises Unavailable."""
        number, email = params.optional("clientid"), params.optional("email")
        if not number and not email:
            return failure("Either clientid Or email Is Required")
        found = await (self._accounts.by_id(client_number(params)) if number else self._accounts.by_email(email))
        if found is None:
            return failure("Client Not Found")
        shown = details(found, await self._members.of_account(found.id))
        more = {"stats": _statistics(found)} if params.flag("stats") else {}
        return Answer({"result": "success", "client": shown, **shown, **more})


class GetClients:
    """A page of the clients."""

    def __init__(self, *, accounts: Accounts) -> None:
        self._accounts = accounts

    @property
    def action(self) -> Action:
        """For the registry."""
        return Action(name="GetClients", run=self, parameters=SPAN | {"status", "search", "orderby"})

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """No error is documented, and there is none: nobody has a status that there is not.  Raises Unavailable."""
        order, status = params.optional("orderby").strip().lower(), params.optional("status").strip().capitalize()
        span = span_of(params)
        if status and status not in _STATUSES:
            return success(totalresults=0, startnumber=span.start, numreturned=0, clients={"client": []})
        page = await self._accounts.page(
            span,
            search=params.optional("search"),
            status=cast("Status", status) if status else None,
            order_by=cast("Order", order) if order in _ORDERS else "id",
        )
        return success(**counters(page), clients={"client": [_row(each) for each in page.items]})


class GetContacts:
    """A page of the other addresses of clients."""

    def __init__(self, *, contacts: Contacts) -> None:
        self._contacts = contacts

    @property
    def action(self) -> Action:
        """For the registry."""
        names = {TEXTS[field] for field in _FILTERS}
        return Action(name="GetContacts", run=self, parameters=SPAN | names | {"userid", "email"})

    async def __call__(self, params: Params, caller: Caller) -> Answer:  # noqa: ARG002  # every action's shape
        """No error is documented, and there is none.  Raises Unavailable."""
        wanted: dict[ContactField, str] = {field: text for field in _FILTERS if (text := params.optional(TEXTS[field]))}
        page = await self._contacts.page(
            span_of(params),
            account=client_number(params, "userid") if params.optional("userid") else None,
            email=params.optional("email"),
            fields=MappingProxyType(wanted),
        )
        return success(**counters(page), contacts={"contact": [_contact(each) for each in page.items]})


def _row(account: Account) -> dict[str, Value]:
    profile = account.profile
    return {
        "id": account.id,
        "firstname": profile.first_name,
        "lastname": profile.last_name,
        "companyname": profile.company_name,
        "email": profile.email,
        "datecreated": day(account.created_at),
        "groupid": profile.group_id,
        "status": profile.status,
    }


def _contact(contact: Contact) -> dict[str, Value]:
    chosen = preferences(contact.email_preferences)
    kinds = ("domain", "general", "invoice", "product", "support", "affiliate")
    return {
        "id": contact.id,
        "userid": contact.account,
        "firstname": contact.first_name,
        "lastname": contact.last_name,
        "companyname": contact.company_name,
        "email": contact.email,
        **{name: getattr(contact, name) for name in ("address1", "address2", "city", "state", "postcode", "country")},
        "phonenumber": contact.phone_number,
        "tax_id": contact.tax_id,
        **{f"{kind}emails": chosen[kind] for kind in kinds},
        "created_at": moment(contact.created_at),
        "updated_at": moment(contact.updated_at),
    }


def _statistics(account: Account) -> dict[str, Value]:
    """Nought of everything that is billed: the bridge keeps no invoices, products, domains or tickets."""
    money = f"0.00 {account.profile.currency}"
    return {name: _nought(name, money) for name in _STATISTICS}


def _nought(name: str, money: str) -> Value:
    if name in ("incredit", "isAffiliate"):
        return False
    return 0 if "num" in name else money
