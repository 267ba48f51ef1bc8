"""One notion of an e-mail address — security §10.

The key is computed here, not by a database, so that SQLite, PostgreSQL and MariaDB cannot disagree about who
somebody is.  Mail never goes to a key: it goes to the address that is stored beside it.
"""

import unicodedata

from bridge.database.text import one_line
from bridge.domain import ascii_domain

LONGEST = 320
"""Characters of an address and of its key: what the column takes."""

# Controls, invisible format characters, lone surrogates, unassigned code points and spaces of every kind: an address
# that holds one looks like another address, or changes with the next edition of Unicode.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"})


def email_key(text: str) -> str | None:
    """The one look-up key of an address: trimmed, before the `@` NFKC and casefolded, after it IDNA (RFC 5891).

    None: no address (no local part or domain, a control character, white space inside, over 320 characters).
    `email_key(email_key(x)) == email_key(x)`.
    """
    if len(text) > LONGEST:
        return None
    whole = text.strip()
    local, at, name = (whole if "@" in whole else _folded(whole)).rpartition("@")  # a keyboard's `＠` is one too
    domain = ascii_domain(name) if at else None
    key = f"{_folded(local)}@{domain}"
    return key if local and domain and len(key) <= LONGEST and _visible(key) else None


def key_beginnings(text: str) -> frozenset[str]:
    """How the keys of addresses begin that begin like this text."""
    whole = email_key(text)  # its domain in IDNA, which the beginning of a domain cannot be brought to
    return frozenset(key for key in (_folded(one_line(text)), whole) if key)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # Casefolding may undo the normal form, hence once more (Unicode 3.13, NFKC_Casefold).
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def _visible(key: str) -> bool:
    if key.isascii():
        return key.isprintable() and " " not in key
    return all(unicodedata.category(character) not in _REFUSED for character in key)
