"""The `claims` parameter: what a client asks for by name — Core §5.5, §5.5.1.

A claim that we do not know, or that the client may not have by any scope either, is as good as not asked for.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bridge.oidc.acr import ACRS
from bridge.oidc.claims import SCOPE_OF
from bridge.oidc.errors import OAuthError
from bridge.types import Subject


class Wanted(Struct, frozen=True, kw_only=True):
    """What was asked for; each name once."""

    userinfo: tuple[str, ...] = ()
    id_token: tuple[str, ...] = ()
    sub: Subject | None = None
    """The one person who may come back."""
    acr: tuple[str, ...] = ()
    """Which of these the sign-in shall be, the best first."""
    acr_essential: bool = False
    """It must be one of them."""


NOTHING: Final = Wanted()


class _Wish(Struct, frozen=True):
    """§5.5.1.  Members that we do not know are ignored."""

    essential: bool = False
    value: Any = UNSET
    values: list[Any] | UnsetType = UNSET

    @property
    def accepted(self) -> list[Any]:
        """In the order of preference; empty: whatever it is."""
        alone = [] if self.value is UNSET else [self.value]
        return alone + ([] if self.values is UNSET else self.values)


_Wishes = Mapping[str, _Wish | None]


class _Claims(Struct, frozen=True):
    userinfo: dict[str, _Wish | None] | None = None
    id_token: dict[str, _Wish | None] | None = None


_decode: Final = msgspec.json.Decoder(_Claims).decode


def read_claims(text: str, scopes: Collection[str]) -> Wanted:
    """`scopes`: what the client may ask for at all.  Raises OAuthError."""
    try:
        asked = _decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise OAuthError("invalid_request", "claims is not a JSON object as Core 5.5 wants it") from None
    userinfo, id_token = asked.userinfo or {}, asked.id_token or {}
    acr = id_token.get("acr")
    any_acr = ACRS[::-1] if "acr" in id_token else ()
    return Wanted(
        userinfo=_known(userinfo, scopes),
        id_token=_known(id_token, scopes),
        sub=_sub(userinfo, id_token),
        acr=tuple(_texts(acr, "acr")) or any_acr,
        acr_essential=acr is not None and acr.essential,
    )


def _known(wishes: _Wishes, scopes: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in SCOPE_OF if name in wishes and SCOPE_OF[name] in scopes)


def _sub(*members: _Wishes) -> Subject | None:
    """§5.5.1: a person is named by his `sub`, and by one only."""
    named = {text for member in members for text in _texts(member.get("sub"), "sub")}
    if len(named) > 1:
        raise OAuthError("invalid_request", "claims names more than one sub")
    return Subject(named.pop()) if named else None


def _texts(wish: _Wish | None, name: str) -> list[str]:
    accepted = wish.accepted if wish is not None else []
    if not all(isinstance(each, str) for each in accepted):
        raise OAuthError("invalid_request", f"claims asks for a value of {name} that is no text")
    return accepted
