"""Languages by the names that callers use, `english`, and by the tags that records keep, `en` — whmcs-api §3.5."""

from collections.abc import Mapping
from typing import Final

_TAGS: Final[Mapping[str, str]] = {
    "arabic": "ar",
    "azerbaijani": "az",
    "catalan": "ca",
    "chinese": "zh-CN",
    "croatian": "hr",
    "czech": "cs",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "estonian": "et",
    "farsi": "fa",
    "french": "fr",
    "german": "de",
    "hebrew": "he",
    "hungarian": "hu",
    "italian": "it",
    "macedonian": "mk",
    "norwegian": "nb",
    "portuguese-br": "pt-BR",
    "portuguese-pt": "pt-PT",
    "romanian": "ro",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "turkish": "tr",
    "ukranian": "uk",  # so spelled there
    "ukrainian": "uk",
}


def language_tag(name: str) -> str:
    """The tag of that name; what is not among the names is a tag already, or the operator's own word."""
    return _TAGS.get(name.strip().lower(), name)
