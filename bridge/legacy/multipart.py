"""The fields of a multipart/form-data body, as a PHP caller sends an array — RFC 7578, whmcs-api §0."""

from typing import TYPE_CHECKING

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from bridge.asgi import BadRequest
from bridge.legacy.params import check_count, check_length, text_of
from bridge.legacy.php import Pair

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


def read_multipart(raw: bytes, content_type: str) -> list[Pair]:
    """The fields in their order, files left out.  Raises BadRequest, also beyond the limits of DESIGN §11."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise BadRequest("The multipart body has no boundary.")
    fields = _Fields()
    try:
        parser = MultipartParser(boundary, fields.callbacks())
        parser.write(raw)
        parser.finalize()
    except (MultipartParseError, ValueError):
        raise BadRequest("The multipart body cannot be read.") from None
    if not fields.complete:
        raise BadRequest("The multipart body cannot be read.")
    return fields.pairs


class _Fields:
    """Hears the parser, and keeps the fields."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self.complete = False
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = self._data = b""
        self._parts = 0

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._field,
            "on_header_value": self._header,
            "on_header_end": self._keep_header,
            "on_part_data": self._part,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        self._parts += 1
        check_count(self._parts)
        self._headers, self._data, self._name, self._value = {}, b"", b"", b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _keep_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _part(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        check_length(len(self._data))

    def _end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"filename" in options or b"name" not in options:
            return
        name = options[b"name"]
        check_length(len(name) + len(self._data))
        self.pairs.append((text_of(name), text_of(self._data)))

    def _complete(self) -> None:
        self.complete = True
