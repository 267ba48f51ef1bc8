"""A client as the row that holds it, and back — RFC 7591 §2."""

import json
from collections.abc import Mapping
from typing import Any, Final

from bridge.clients.client import Client, Encryption, Source
from bridge.clients.metadata import (
    DEFAULT_ENC,
    InvalidMetadata,
    Offered,
    check_identifier,
    check_localized,
    check_metadata,
    read_metadata,
)
from bridge.types import ClientId

EXTENSIONS: Final = ("require_pkce", "first_party", "allow_query_token")
"""Members of ours that an import may set."""

_BY_OPERATOR: Final = ("command", "import")

Row = Mapping[str, Any]


def draft(
    client_id: str, document: Mapping[str, Any], *, source: Source, offered: Offered, **extensions: bool
) -> dict[str, Any]:
    """The row of a new client, but for its secret and its times.  Raises InvalidMetadata."""
    check_identifier(client_id)
    metadata = read_metadata(document)
    check_metadata(metadata, offered=offered, imported=source == "import")
    check_localized(document)
    hidden = ("client_secret", *EXTENSIONS)
    kept = {name: value for name, value in document.items() if name not in hidden and value is not None}
    return {
        "client_id": client_id,
        "name": metadata.client_name,
        "secret_hash": None,
        "secret_enc": None,
        "auth_method": metadata.token_endpoint_auth_method,
        "source": source,
        "metadata": json.dumps(kept, ensure_ascii=False),
        "disabled_at": None,
        **extensions,
    }


def imported_flags(document: Mapping[str, Any]) -> dict[str, bool]:
    """Our members of an imported document: PKCE is verified if sent, not required (security §21)."""
    flags = {"require_pkce": False, "first_party": False, "allow_query_token": True}
    for name in EXTENSIONS:
        given = document.get(name, flags[name])
        if not isinstance(given, bool):
            raise InvalidMetadata(name, "must be true or false")
        flags[name] = given
    return flags


def needs_recoverable_secret(row: Row) -> bool:
    """Whether its secret is itself a key (security §22)."""
    return read_metadata(json.loads(row["metadata"])).symmetric


def has_secret(row: Row) -> bool:
    """Whether it has one at all."""
    return read_metadata(json.loads(row["metadata"])).secret


def client_of(row: Row) -> Client:
    """The client that the row describes."""
    document = json.loads(row["metadata"])
    metadata = read_metadata(document)
    return Client(
        client_id=ClientId(row["client_id"]),
        name=row["name"],
        auth_method=row["auth_method"],
        auth_alg=metadata.token_endpoint_auth_signing_alg,
        jwks=None if metadata.jwks is None else json.dumps(metadata.jwks),
        jwks_uri=metadata.jwks_uri,
        redirect_uris=metadata.redirect_uris,
        post_logout_redirect_uris=metadata.post_logout_redirect_uris,
        grant_types=metadata.grant_types,
        response_types=metadata.responses,
        scopes=metadata.scopes,
        application_type=metadata.application_type,
        require_pkce=row["require_pkce"],
        first_party=row["first_party"],
        allow_query_token=row["allow_query_token"],
        request_alg=metadata.request_object_signing_alg,
        request_uris=metadata.request_uris,
        require_signed_request=metadata.require_signed_request_object,
        resource_server=metadata.resource_server and row["source"] in _BY_OPERATOR,
        id_token_alg=metadata.id_token_signed_response_alg,
        id_token_encryption=_encryption(
            metadata.id_token_encrypted_response_alg, metadata.id_token_encrypted_response_enc
        ),
        userinfo_alg=metadata.userinfo_signed_response_alg,
        userinfo_encryption=_encryption(
            metadata.userinfo_encrypted_response_alg, metadata.userinfo_encrypted_response_enc
        ),
        logo_uri=metadata.logo_uri,
        policy_uri=metadata.policy_uri,
        tos_uri=metadata.tos_uri,
        backchannel_logout_uri=metadata.backchannel_logout_uri,
        frontchannel_logout_uri=metadata.frontchannel_logout_uri,
        sector=metadata.sector,
        default_max_age=metadata.default_max_age,
        default_acr_values=metadata.default_acr_values,
        require_auth_time=metadata.require_auth_time,
        source=row["source"],
        disabled=row["disabled_at"] is not None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        secret_hash=row["secret_hash"],
        secret_enc=row["secret_enc"],
        metadata=document,
    )


def _encryption(alg: str | None, enc: str | None) -> Encryption | None:
    return None if alg is None else Encryption(alg, enc or DEFAULT_ENC)
