"""An e-mail address of which its owner recognizes enough, and nobody else learns much — security §24."""


def masked(email: str) -> str:
    """`jo.smith@example.co.uk` → `j•••h@e•••e.co.uk`; the number of dots tells no length."""
    local, _, domain = email.rpartition("@")
    first, dot, rest = domain.partition(".")
    return f"{_ends(local)}@{_ends(first)}{dot}{rest}"


def _ends(word: str) -> str:
    """First and last letter; of a short word the first alone."""
    return f"{word[:1]}•••{word[-1] if len(word) > 4 else ''}"
