"""An API credential: who may call the legacy API and the session API, from where, and for what — whmcs-api §2."""

import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from bridge.types import IPAddress, IPNetwork

CredentialKind = Literal["identifier", "admin"]
"""identifier: a random identifier and secret; admin: a name and the md5 of a password (whmcs-api §2.2)."""

EVERY_ACTION: Final = "*"
"""All actions but the powerful ones, which are named one by one (security §30)."""


class SessionTerms(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a credential says of the sessions it makes; None: as `sessions.*` says.  Seconds."""

    lifetime: int | None = None
    """Absolute: a session ends this long after its birth."""
    idle: int | None = None
    """A session ends when it was not used for this long."""
    cap: int | None = None
    """The most sessions of one user by this credential; a further one ends the oldest."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One credential.  A disabled one is still found, so that the log can say why it was refused."""

    name: str
    kind: CredentialKind = "identifier"
    identifier: str
    allowed_ips: tuple[IPNetwork, ...] = ()
    """Where it may be used from; empty: wherever the door lets anybody in."""
    actions: frozenset[str] = frozenset()
    """Lower-case names of actions, or `*`: its own, beside those of its roles."""
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The name of each of its roles, and what that allows; any of them grants (whmcs-api §2.4)."""
    sessions: SessionTerms = field(default_factory=SessionTerms)
    error_on_2fa: bool | None = None
    """In place of `legacy.error_on_2fa`; None: as that says."""
    sso_without_2fa: bool = False
    """Its links sign people in without the code that they owe: it asks for that itself (security §8)."""
    disabled: bool = False
    created_at: int = 0
    updated_at: int = 0
    secret_hash: str = field(default="", repr=False)

    @property
    def grants(self) -> frozenset[str]:
        """Lower-case names of actions, or `*`: its own and those of its roles."""
        return self.actions.union(*self.roles.values())

    def may_call(self, action: str, *, powerful: bool = False) -> bool:
        """Whether this action (lower-case) is allowed to it."""
        sets = (self.actions, *self.roles.values())
        return any(action in allowed or (EVERY_ACTION in allowed and not powerful) for allowed in sets)

    def may_come_from(self, ip: IPAddress | None) -> bool:
        """Whether the address is on its own list, which no access key lifts (security §22)."""
        return not self.allowed_ips or (ip is not None and any(ip in network for network in self.allowed_ips))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What a new credential shall be allowed: from where, which actions by itself and by roles, which sessions."""

    allowed_ips: tuple[IPNetwork, ...] = ()
    actions: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()
    sessions: SessionTerms = field(default_factory=SessionTerms)
    error_on_2fa: bool | None = None
    sso_without_2fa: bool = False

    @classmethod
    def parse(
        cls,
        *,
        allowed_ips: Iterable[str] = (),
        actions: Iterable[str] = (),
        roles: Iterable[str] = (),
        sessions: SessionTerms | None = None,
        error_on_2fa: bool | None = None,
        sso_without_2fa: bool = False,
    ) -> "Rights":
        """From text, as an operator writes it.  Raises ValueError."""
        return cls(
            allowed_ips=parse_networks(allowed_ips),
            actions=parse_actions(actions),
            roles=tuple(roles),
            sessions=sessions or SessionTerms(),
            error_on_2fa=error_on_2fa,
            sso_without_2fa=sso_without_2fa,
        )


def parse_networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    """Addresses and CIDR as networks; an IPv4 in IPv6 clothes is an IPv4.  ValueError names what is neither."""
    return tuple(_network(text.strip()) for text in texts)


def parse_actions(names: Iterable[str]) -> frozenset[str]:
    """Names of actions in lower case.  ValueError for what is no name."""
    actions = frozenset(name.strip().lower() for name in names)
    for name in actions - {EVERY_ACTION}:
        if not (name.isascii() and name.isalnum() and len(name) <= 64):
            raise ValueError(f"{name!r} is no name of an action")
    return actions


def credential_of(row: Mapping[str, Any], roles: Mapping[str, frozenset[str]]) -> Credential:
    """The credential that the row describes, with those roles."""
    options: dict[str, Any] = json.loads(row["options"])
    return Credential(
        name=row["name"],
        kind=row["kind"],
        identifier=row["identifier"],
        allowed_ips=parse_networks(json.loads(row["allowed_ips"])),
        actions=frozenset(json.loads(row["actions"])),
        roles=roles,
        error_on_2fa=options.pop("error_on_2fa", None),
        sso_without_2fa=options.pop("sso_without_2fa", False),
        sessions=msgspec.convert(options, SessionTerms),
        disabled=row["disabled_at"] is not None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        secret_hash=row["secret_hash"],
    )


def row_of(credential: Credential) -> dict[str, Any]:
    """The row of a new credential, but for its roles."""
    options: dict[str, Any] = msgspec.to_builtins(credential.sessions)
    if credential.error_on_2fa is not None:
        options["error_on_2fa"] = credential.error_on_2fa
    if credential.sso_without_2fa:
        options["sso_without_2fa"] = True
    return {
        "name": credential.name,
        "kind": credential.kind,
        "identifier": credential.identifier,
        "secret_hash": credential.secret_hash,
        "allowed_ips": json.dumps([str(network) for network in credential.allowed_ips]),
        "actions": json.dumps(sorted(credential.actions)),
        "options": json.dumps(options),
        "disabled_at": None,
        "created_at": credential.created_at,
        "updated_at": credential.updated_at,
    }


def _network(text: str) -> IPNetwork:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor CIDR") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))
