"""Builds the doors over the rooms, and says which path leads to which — DESIGN §7."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from bridge.api import endpoints as api_endpoints
from bridge.api.redeem import Redeem
from bridge.api.touch import Touch
from bridge.app.leaving import LateSignOuts
from bridge.app.rooms import Rooms
from bridge.asgi import ASGIApp, Endpoints, Proxies, Receive, Scope, Send, see_other
from bridge.fetch.fetch import Fetch
from bridge.grants.unclaimed import Unclaimed
from bridge.grants.wrap import Wrap
from bridge.i18n import html_lang
from bridge.interactions.arrivals import HOUR, Arrivals
from bridge.legacy.actions import Action, Registry, owned, registry
from bridge.legacy.bans import Bans
from bridge.legacy.change_clients import AddClient, CloseClient, DeleteClient, UpdateClient
from bridge.legacy.client_users import (
    CreateClientInvite,
    DeleteUserClient,
    GetPermissionsList,
    GetUserPermissions,
    UpdateUserPermissions,
)
from bridge.legacy.clients import GetClients, GetClientsDetails, GetContacts
from bridge.legacy.create_sso_token import CreateSsoToken, Destinations
from bridge.legacy.credentials import Callers
from bridge.legacy.dologin import DoLogin
from bridge.legacy.endpoint import LegacyApi
from bridge.legacy.look_ups import LookUps
from bridge.legacy.oauth_credentials import OAuthCredentials
from bridge.legacy.probes import GetAdminDetails, GetConfigurationValue
from bridge.legacy.reset_password import ResetPassword
from bridge.legacy.users import AddUser, GetUsers, UpdateUser
from bridge.legacy.validate_login import ValidateLogin
from bridge.legacy.whmcs_details import WhmcsDetails
from bridge.oidc.client_keys import ClientKeys
from bridge.oidc.frontchannel_logout import FrontChannelLogout
from bridge.oidc.grants.single_sign_on import SingleSignOnGrant
from bridge.oidc.issue import Issuing
from bridge.oidc.provider import Provider
from bridge.oidc.registration import RegistrationEndpoint
from bridge.oidc.sector import check_sector
from bridge.outbox.notices import PASSWORD_CHANGED, payload
from bridge.pages.accounting import Accounting
from bridge.pages.addressing import Addressing
from bridge.pages.arriving import Arriving
from bridge.pages.browser import Desk
from bridge.pages.consenting import Consenting
from bridge.pages.door import PagesDoor
from bridge.pages.inviting import Inviting
from bridge.pages.leaving import FramesOf, Leaving, Tell, no_frames, nobody
from bridge.pages.readdressing import Readdressing
from bridge.pages.render import Pages
from bridge.pages.resetting import Resetting
from bridge.pages.securing import Securing
from bridge.pages.signin import SignIn
from bridge.pages.signing_up import SignUpPages
from bridge.pages.ticketing import Ticketing
from bridge.pages.trouble import Troubles
from bridge.resets.change import PasswordChange
from bridge.resets.complete import ResetCompletion
from bridge.resets.judge import NewPasswords
from bridge.resets.new_address import NewAddresses
from bridge.resets.readdress import Readdress
from bridge.types import Visit
from bridge.users.user import User

HOME: Final = "/account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """All doors of one bridge."""

    endpoints: Endpoints
    prefixes: Mapping[str, ASGIApp]
    actions: Registry
    troubles: Troubles


def make_doors(rooms: Rooms, *, proxies: Proxies, actions: Sequence[Action], tell: Tell = nobody) -> Doors:
    """The doors that the configuration opens.  `actions`: the operator's own, before ours of the same name; `tell`:
    tells apps of a sign-out."""
    config = rooms.config
    pages = Pages(config.pages)
    troubles = Troubles(
        pages=pages, cookies=rooms.cookies, clock=rooms.clock, https=config.base_url.startswith("https:")
    )
    offered = _actions(rooms, actions)
    page_door = _pages(rooms, pages, troubles, proxies, tell)
    endpoints: dict[str, ASGIApp] = {**page_door.endpoints(), **_api(rooms, proxies)}
    if config.oidc.enabled:
        provider = _provider(rooms, pages, troubles, proxies)
        endpoints |= provider.endpoints()
        if config.legacy.enabled and config.legacy.oauth_aliases:
            endpoints |= provider.aliases()
    if config.legacy.enabled:
        endpoints |= _legacy(rooms, offered, proxies).endpoints()
        if config.legacy.autoauth != "off":
            endpoints |= _dologin(rooms, troubles, proxies).endpoints()
    return Doors(endpoints=endpoints, prefixes=page_door.prefixes(), actions=offered, troubles=troubles)


async def home(scope: Scope, receive: Receive, send: Send) -> None:
    """Where the bridge stands alone, its root leads to the account page."""
    await see_other(f"{scope.get('root_path', '')}{HOME}")(scope, receive, send)


def _pages(rooms: Rooms, pages: Pages, troubles: Troubles, proxies: Proxies, tell: Tell) -> PagesDoor:
    config = rooms.config
    desk = Desk(
        pages=pages,
        sessions=rooms.sessions,
        users=rooms.users,
        interactions=rooms.interactions,
        cookies=rooms.cookies,
        proxies=proxies,
        clock=rooms.clock,
        base_url=config.base_url,
        dev=config.dev,
        watched=config.oidc.enabled and config.oidc.session_management,
    )
    passwords = NewPasswords(policy=rooms.policy, users=rooms.users, about=(config.pages.brand_name,))
    completion = ResetCompletion(
        links=rooms.links,
        users=rooms.users,
        sessions=rooms.sessions,
        passwords=passwords,
        notify=partial(_password_changed, rooms),
        events=rooms.events,
    )
    change = PasswordChange(
        users=rooms.users, sessions=rooms.sessions, notify=partial(_password_changed, rooms), events=rooms.events
    )
    addresses = NewAddresses(
        changes=rooms.email_changes,
        authority=rooms.users,
        outbox=rooms.outbox,
        ledger=rooms.ledger,
        guard=rooms.guard,
        names=rooms.names,
        ring=rooms.ring,
        events=rooms.events,
        options=config.users,
    )
    accounting = Accounting(
        desk=desk,
        login=rooms.login,
        change=change,
        passwords=passwords,
        enrolment=rooms.enrolment,
        enrolled=rooms.factors.enrolled,
        addresses=addresses,
        consents=rooms.consents,
        clients=rooms.clients.get,
        events=rooms.events,
        fresh=config.pages.fresh,
    )
    sign_in = SignIn(
        desk=desk,
        login=rooms.login,
        devices=rooms.devices,
        pending_seconds=config.login.pending_seconds,
        sign_up=config.users.sign_up,
        links=rooms.links_in if config.legacy.enabled else None,
    )
    return PagesDoor(
        sign_in=sign_in,
        consenting=Consenting(desk=desk, consents=rooms.consents, events=rooms.events),
        ticketing=Ticketing(desk=desk, tickets=rooms.tickets, arrivals=rooms.arrivals, events=rooms.events),
        leaving=Leaving(
            desk=desk,
            later=LateSignOuts(outbox=rooms.outbox, sessions=rooms.sessions).later,
            tell=tell,
            frames_of=_frames(rooms),
            remembering=rooms.login.remembering,
        ),
        resetting=Resetting(
            desk=desk,
            requests=rooms.resets,
            completion=completion,
            passwords=passwords,
            minutes=config.resets.lifetime // 60,
        ),
        inviting=Inviting(desk=desk, joining=rooms.joining, passwords=passwords),
        readdressing=Readdressing(
            desk=desk,
            readdress=Readdress(
                changes=rooms.email_changes, outbox=rooms.outbox, sessions=rooms.sessions, ledger=rooms.ledger
            ),
        ),
        accounting=accounting,
        securing=Securing(desk=desk, accounting=accounting, enrolment=rooms.enrolment),
        addressing=Addressing(desk=desk, accounting=accounting, addresses=addresses),
        signing_up=SignUpPages(
            desk=desk,
            signing_up=rooms.signing_up,
            sign_in=sign_in,
            passwords=passwords,
            minutes=config.users.sign_up_lifetime // 60,
        )
        if rooms.signing_up
        else None,
        stylesheet=pages.stylesheet,
        script=pages.script,
        troubles=troubles,
        arriving=Arriving(desk=desk, links=rooms.links_in, pending_seconds=config.login.pending_seconds)
        if config.legacy.enabled
        else None,
    )


async def _password_changed(rooms: Rooms, user: User, visit: Visit) -> None:
    """Its owner is to know, whoever it was (A9).  Raises `Unavailable`."""
    await rooms.outbox.put(None, PASSWORD_CHANGED, user.id, payload(visit, rooms.clock.now()))


def _actions(rooms: Rooms, own: Sequence[Action]) -> Registry:
    options = rooms.config.legacy
    ours = (
        ValidateLogin(
            login=rooms.login,
            client_of=rooms.client_numbers.of_user,
            options=options,
            sessions=rooms.config.sessions,
        ).action,
        ResetPassword(resets=rooms.resets, owner_of=rooms.client_numbers.owner_of, options=options).action,
        WhmcsDetails(options=options).action,
        GetConfigurationValue(options=options, base_url=rooms.config.base_url).action,
        GetAdminDetails(options=options).action,
        *_users(rooms),
        *_clients(rooms),
        CreateSsoToken(
            users=rooms.users,
            accounts=rooms.accounts,
            contacts=rooms.contacts,
            links=rooms.links_in,
            ledger=rooms.ledger,
            destinations=Destinations(options.sso_destinations, rooms.config.base_url),
            base_url=rooms.config.base_url,
        ).action,
        *OAuthCredentials(
            upkeep=rooms.client_upkeep,
            accounts=rooms.accounts,
            ledger=rooms.ledger,
            options=options,
            company=rooms.config.pages.brand_name,
        ).actions,
    )
    return registry(*owned(registry(*ours), options.actions).values(), *own)


def _users(rooms: Rooms) -> Sequence[Action]:
    users, upkeep, members, ledger = rooms.users, rooms.user_upkeep, rooms.members, rooms.ledger
    return (
        AddUser(users=users, upkeep=upkeep, ledger=ledger).action,
        GetUsers(users=users, directory=rooms.user_directory, members=members).action,
        UpdateUser(users=users, upkeep=upkeep, changes=rooms.email_changes, outbox=rooms.outbox, ledger=ledger).action,
        GetPermissionsList().action,
        GetUserPermissions(members=members).action,
        UpdateUserPermissions(members=members, ledger=ledger).action,
        CreateClientInvite(invites=rooms.invites, ledger=ledger).action,
        DeleteUserClient(members=members, ledger=ledger).action,
    )


def _clients(rooms: Rooms) -> Sequence[Action]:
    accounts, ledger = rooms.accounts, rooms.ledger
    return (
        GetClientsDetails(accounts=accounts, members=rooms.members).action,
        GetClients(accounts=accounts).action,
        GetContacts(contacts=rooms.contacts).action,
        AddClient(users=rooms.users, accounts=accounts, ledger=ledger).action,
        UpdateClient(accounts=accounts, ledger=ledger).action,
        CloseClient(accounts=accounts, ledger=ledger).action,
        DeleteClient(accounts=accounts, ledger=ledger, publish_stamp=rooms.sessions.publish_stamp).action,
    )


def _legacy(rooms: Rooms, actions: Registry, proxies: Proxies) -> LegacyApi:
    options = rooms.config.legacy
    bans = Bans(guard=rooms.guard, names=rooms.names, ring=rooms.ring, options=options)
    return LegacyApi(
        callers=Callers(credentials=rooms.credentials, options=options, bans=bans),
        look_ups=LookUps(guard=rooms.guard, names=rooms.names, ring=rooms.ring, options=options),
        actions=actions,
        options=options,
        proxies=proxies,
        events=rooms.events,
    )


def _dologin(rooms: Rooms, troubles: Troubles, proxies: Proxies) -> DoLogin:
    config = rooms.config
    return DoLogin(
        mode=config.legacy.autoauth,
        key=config.legacy.autoauth_key,
        users=rooms.users,
        links=rooms.links_in,
        names=rooms.names,
        ledger=rooms.ledger,
        events=rooms.events,
        destinations=Destinations(config.legacy.sso_destinations, config.base_url),
        errors=troubles,
        proxies=proxies,
        clock=rooms.clock,
        base=urlsplit(config.base_url).path,
    )


def _api(rooms: Rooms, proxies: Proxies) -> Endpoints:
    touch = Touch(
        sessions=rooms.sessions,
        people=rooms.cached_users.by_id,
        credentials=rooms.credentials,
        proxies=proxies,
        events=rooms.events,
    )
    redeem = Redeem(tickets=rooms.tickets, credentials=rooms.credentials, proxies=proxies, events=rooms.events)
    return api_endpoints(touch=touch, redeem=redeem)


def _provider(rooms: Rooms, pages: Pages, troubles: Troubles, proxies: Proxies) -> Provider:
    config = rooms.config
    issuing = Issuing(
        store=rooms.store,
        names=rooms.names,
        slots=rooms.slots,
        mint=rooms.mint,
        wrap=Wrap(rooms.ring),
        clock=rooms.clock,
        chance=rooms.chance,
        options=config.grants,
        epoch=lambda: rooms.endings.epoch,
        families=rooms.families,
        publish_stamp=rooms.sessions.publish_stamp,
        events=rooms.events,
        unclaimed=Unclaimed(config.grants),
    )
    fetch = Fetch(config.fetch)
    return Provider(
        issuer=config.base_url,
        options=config.oidc,
        issuing=issuing,
        clients=rooms.clients,
        client_keys=ClientKeys(fetch=fetch, clock=rooms.clock, symmetric_secret=rooms.clients.symmetric_secret),
        fetch=fetch,
        users=rooms.cached_users,
        accounts=rooms.cached_accounts,
        keys=rooms.keyring,
        sessions=rooms.sessions,
        consents=rooms.consents,
        interactions=rooms.interactions,
        arrivals=rooms.arrivals,
        cookies=rooms.cookies,
        pages=troubles,
        proxies=proxies,
        languages=[html_lang(name) for name in pages.languages.names],
        single_sign_on=_single_sign_on(rooms) if config.legacy.enabled else None,
        registration=_registration(rooms, proxies),
        sign_up=config.users.sign_up,
    )


def _registration(rooms: Rooms, proxies: Proxies) -> RegistrationEndpoint | None:
    options = rooms.config.oidc
    if options.registration == "off":
        return None
    return RegistrationEndpoint(
        issuer=rooms.config.base_url,
        who=options.registration,
        registrations=rooms.registrations,
        ledger=rooms.ledger,
        arrivals=Arrivals(
            guard=rooms.guard,
            names=rooms.names,
            ring=rooms.ring,
            limit=options.registrations_per_hour,
            seconds=HOUR,
            what="registration-address",
            in_all=options.registrations_in_all if options.registration == "open" else None,
        ),
        sector_of=partial(check_sector, fetch=rooms.fetch),
        proxies=proxies,
    )


def _frames(rooms: Rooms) -> FramesOf:
    config = rooms.config
    if not (config.oidc.enabled and config.oidc.frontchannel_logout):
        return no_frames
    return FrontChannelLogout(issuer=config.base_url, clients=rooms.clients)


def _single_sign_on(rooms: Rooms) -> SingleSignOnGrant:
    config = rooms.config
    destinations = Destinations(config.legacy.sso_destinations, config.base_url)
    return SingleSignOnGrant(
        links=rooms.links_in,
        users=rooms.users,
        accounts=rooms.accounts,
        ledger=rooms.ledger,
        path_of=lambda name, service: destinations.named(name, {"service_id": service}),
        seconds=config.login.sso_seconds,
        services_are_clients=config.legacy.service_ids == "clients",
    )
