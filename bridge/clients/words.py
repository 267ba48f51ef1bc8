"""Lists of words in one parameter: scopes, prompts, response types — RFC 6749 §3.3."""


def words(value: str | None) -> tuple[str, ...]:
    """What the list names, in its order: spaces alone divide it."""
    return tuple(filter(None, (value or "").split(" ")))


def named(response_type: str) -> str:
    """Its name: the order of its words means nothing."""
    return " ".join(sorted(words(response_type)))


def is_word(scope: str) -> bool:
    """Whether it may be the name of a scope."""
    return scope.isascii() and scope.isprintable() and '"' not in scope and "\\" not in scope
