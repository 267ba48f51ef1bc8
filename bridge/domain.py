"""The one notion of a domain's name in ASCII: as DNS is asked for it — security §10, UTS #46, RFC 5891.

Whoever is looked up, who is written to and which host a page names must be spelled by one rule.  By two (Python's own
codec still has that of 2003) a letter goes to another domain than the one that an account is known by.
"""

import idna


def ascii_domain(name: str) -> str | None:
    """The name in lower case, what is not ASCII as `xn--…`; None: no name (an empty label, a letter that has no place).

    `ascii_domain(ascii_domain(x)) == ascii_domain(x)`.  A name in ASCII is not judged further: somebody may be known by
    an address that never was one.
    """
    try:
        plain = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None
    return plain if all(plain.split(".")) else None
