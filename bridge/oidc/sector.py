"""Do the clients of a sector belong together?  Its document says so — Core §8.1; Registration 1.0 §5."""

from typing import Final, Protocol

import msgspec

from bridge.clients.metadata import Document, InvalidMetadata, Metadata, read_metadata
from bridge.clients.redirects import only_https_problem
from bridge.fetch.answers import Fetched, NotFetched

_FIELD: Final = "sector_identifier_uri"
_listed = msgspec.json.Decoder(tuple[str, ...]).decode


class Fetches(Protocol):
    """The one way out (`bridge.fetch.fetch.Fetch`)."""

    async def get(self, url: str) -> Fetched | NotFetched: ...


async def check_sector(document: Document, fetch: Fetches) -> None:
    """Raise InvalidMetadata unless the document at the client's `sector_identifier_uri`, where it has one, is a list
    that holds each of its redirect URIs."""
    metadata = read_metadata(document)
    uri = metadata.sector_identifier_uri
    if uri is None or only_https_problem(uri):
        return  # what is no https address is refused with the rest of the document, and never called
    reply = await fetch.get(uri)
    if isinstance(reply, NotFetched) or reply.status != 200:
        raise InvalidMetadata(_FIELD, "its document could not be fetched")
    if not _holds(reply.body, metadata):
        raise InvalidMetadata(_FIELD, "its document is no list of addresses that holds each of redirect_uris")


def _holds(body: bytes, metadata: Metadata) -> bool:
    try:
        return set(metadata.redirect_uris) <= set(_listed(body))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
