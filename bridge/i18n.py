"""Languages: which one a person reads, and its catalog — spec/sessions-and-accounts.md §6.4."""

import re
from collections.abc import Sequence
from functools import lru_cache
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.core import get_global, parse_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

FALLBACK = "en"
"""The language of the message ids: what is not translated is read in it."""

_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)", re.IGNORECASE)
_LONGEST_HEADER = 1_024
_LONGEST_TAG = 100
_MOST_TAGS = 10
"""To look for a language takes time; nobody reads more of them."""


class Languages:
    """The catalogs found in some directories; of two for one language the earlier directory speaks first.

    A directory holds `<language>/LC_MESSAGES/messages.mo`, or `messages.po` alone.  Raises ValueError for one that
    cannot be read.
    """

    def __init__(self, *directories: Path) -> None:
        self._catalogs = {name: _catalog(name, directories) for name in _found(directories)}
        self._serving = lru_cache(maxsize=256)(self._search)  # browsers ask for the same few

    @property
    def names(self) -> tuple[str, ...]:
        """The languages as Babel spells them (`en`, `zh_Hans`), the fallback first."""
        return tuple(self._catalogs)

    def catalog(self, name: str) -> GNUTranslations:
        """The catalog of one of `names`."""
        return self._catalogs[name]

    def match(self, tag: str) -> str | None:
        """The language that serves a tag such as `zh-CN`, `zh_Hans` or `en-GB`; None if there is none."""
        return self._serving(tag[:_LONGEST_TAG])

    def choose(self, *, user: str = "", ui_locales: str = "", accept_language: str = "") -> str:
        """The language for one page or letter, where none was chosen: the first that we speak of these.

        The user's record, `ui_locales` (space separated, Core §3.1.2.1), the header Accept-Language, the fallback.
        Nothing that anybody sends here is an error.
        """
        tags = (
            user,
            *ui_locales[:_LONGEST_HEADER].split()[:_MOST_TAGS],
            *_accepted(accept_language[:_LONGEST_HEADER]),
        )
        return next((name for name in map(self.match, tags) if name), FALLBACK)

    def _search(self, tag: str) -> str | None:
        wanted = _maximal(tag)
        return next((name for name in self._catalogs if wanted and _maximal(name) == wanted), None)


def html_lang(name: str) -> str:
    """`zh_Hans` as HTML and HTTP spell it: `zh-Hans` (BCP 47)."""
    return name.replace("_", "-")


@lru_cache(maxsize=256)
def _accepted(header: str) -> tuple[str, ...]:
    """The first tags of an Accept-Language header, the most wanted first (RFC 9110 §12.5.4)."""
    weighed: list[tuple[float, str]] = []
    for item in header.split(",", _MOST_TAGS)[:_MOST_TAGS]:
        tag, _, rest = item.partition(";")
        quality = _QUALITY.fullmatch(rest.strip()) if rest.strip() else None
        weighed.append((float(quality[1]) if quality else 1.0, tag.strip()))
    weighed.sort(key=lambda pair: -pair[0])
    return tuple(tag for weight, tag in weighed if weight > 0)


def _maximal(tag: str) -> tuple[str, str | None] | None:
    """Language and script, the likely script filled in: `zh`, `zh-CN` and `zh-Hans` are one, `zh-TW` another."""
    try:
        language, territory, script, *_ = parse_locale(tag.replace("-", "_"))
    except ValueError:
        return None
    likely = get_global("likely_subtags")
    full = likely.get(f"{language}_{territory}") or likely.get(language) or language
    return language, script or parse_locale(full)[2]


def _found(directories: Sequence[Path]) -> list[str]:
    names = {
        file.parent.parent.name for directory in directories for file in directory.glob("*/LC_MESSAGES/messages.[mp]o")
    }
    unknown = [name for name in names if not _known(name)]
    if unknown:
        raise ValueError(f"not a language that Babel knows: {', '.join(sorted(unknown))}")
    return sorted(names, key=lambda name: (name != FALLBACK, name))


def _known(name: str) -> bool:
    try:
        return str(Locale.parse(name)) == name
    except (ValueError, LookupError):
        return False


def _catalog(name: str, directories: Sequence[Path]) -> GNUTranslations:
    first, *others = [
        _read(folder) for directory in directories if (folder := directory / name / "LC_MESSAGES").is_dir()
    ]
    for other in others:
        first.add_fallback(other)
    return first


def _read(folder: Path) -> GNUTranslations:
    """The compiled catalog, or else the source compiled here: an operator need not own a compiler."""
    compiled, source = folder / "messages.mo", folder / "messages.po"
    try:
        if compiled.exists():
            return GNUTranslations(BytesIO(compiled.read_bytes()))
        target = BytesIO()
        write_mo(target, read_po(BytesIO(source.read_bytes()), abort_invalid=True))
        return GNUTranslations(BytesIO(target.getvalue()))
    except Exception as error:
        raise ValueError(f"cannot read the translations in {folder}: {error}") from error
