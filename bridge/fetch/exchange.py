"""One request and its reply on an open connection — RFC 9110, RFC 9112.

Imported by the first request only: h11 is for those who call others.
"""

import asyncio
from typing import Final

import h11

from bridge.fetch.answers import MOST, Fetched, NotFetched
from bridge.fetch.places import Target

LONGEST_HEAD: Final = 16_384
_CHUNK: Final = 16_384


async def exchange(
    target: Target,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    accept: str,
    form: bytes | None,
) -> Fetched | NotFetched:
    """GET, or with a form POST; nothing is followed, unpacked or kept open.  Raises OSError."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
    head = h11.Request(
        method="GET" if form is None else "POST", target=target.path, headers=_headers(target, accept, form)
    )
    writer.write(b"".join(connection.send(event) or b"" for event in (head, h11.Data(form or b""), h11.EndOfMessage())))
    try:
        return await _reply(connection, reader)
    except h11.RemoteProtocolError:
        return NotFetched("garbled")


def _headers(target: Target, accept: str, form: bytes | None) -> list[tuple[str, str]]:
    said = [
        ("Host", target.authority),
        ("User-Agent", "login-bridge"),
        ("Accept", accept),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
    ]
    if form is not None:
        said += [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(form)))]
    return said


async def _reply(connection: h11.Connection, reader: asyncio.StreamReader) -> Fetched | NotFetched:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        match connection.next_event():
            case h11.Response() as head:
                if 300 <= head.status_code < 400:
                    return NotFetched("redirected")
                if any(name == b"content-encoding" and value != b"identity" for name, value in head.headers):
                    return NotFetched("encoded")
            case h11.Data(data=data):
                body += data
                if len(body) > MOST:
                    return NotFetched("too-big")
            case h11.EndOfMessage() if head is not None:
                return Fetched(head.status_code, _said(head), bytes(body))
            case h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
            case _:
                if connection.their_state is h11.MUST_CLOSE or connection.their_state is h11.CLOSED:
                    return NotFetched("garbled")


def _said(head: h11.Response) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
