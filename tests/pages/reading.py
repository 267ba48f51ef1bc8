"""Reads a page as a browser's parser would: its elements, its forms, its words."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

_EMPTY: Final = {"meta", "link", "input", "img", "br", "circle", "path", "rect"}


class Element:
    """One element, its attributes and what is in it."""

    def __init__(self, name: str, attributes: dict[str, str | None]) -> None:
        self.name = name
        self.attributes = attributes
        self.children: list[Element | str] = []

    def __getitem__(self, attribute: str) -> str:
        return self.attributes[attribute] or ""

    def get(self, attribute: str) -> str | None:
        return self.attributes.get(attribute)

    def all(self, *names: str) -> "list[Element]":
        """Every element of those names in here, in order; without names every element."""
        return [each for each in self._walk() if not names or each.name in names]

    def one(self, element: str, /, **attributes: str) -> "Element":
        """The only such element."""
        (found,) = (e for e in self.all(element) if all(e.get(key) == value for key, value in attributes.items()))
        return found

    def ids(self) -> list[str]:
        return [each["id"] for each in self.all() if each.get("id")]

    @property
    def text(self) -> str:
        """What is read, white space made plain."""
        return " ".join("".join(self._texts()).split())

    def _walk(self) -> "Iterator[Element]":
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child._walk()

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.name not in ("script", "style"):
                yield from child._texts()


class _Parser(HTMLParser):
    """Strict: an element that is not closed in its place is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in <{tag}>"
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in _EMPTY:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _EMPTY:
            assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(html: bytes) -> Element:
    """The document.  Fails for markup that is not well formed."""
    parser = _Parser()
    parser.feed(html.decode("utf-8"))
    parser.close()
    assert len(parser.open) == 1, f"<{parser.open[-1].name}> is not closed"
    return parser.open[0]
