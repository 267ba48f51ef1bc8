"""What a row of the table `users` says, in the words of this room — DESIGN §5."""

import json
from collections.abc import Sequence
from typing import Any, Final, get_args

from bridge.database.text import check_length, fold, one_line
from bridge.users.user import SecondFactorState, User

LONGEST_NAME: Final = 100
LONGEST_LANGUAGE: Final = 35
_STATES: Final[frozenset[str]] = frozenset(get_args(SecondFactorState))


def user_of(row: Any) -> User:
    """The user of a row of `users`."""
    state = row.second_factor_state
    return User(
        id=row.id,
        sub=row.sub,
        tag=row.tag,
        email=row.email,
        email_key=row.email_key,
        email_verified=bool(row.email_verified),
        first_name=row.first_name,
        last_name=row.last_name,
        language=row.language,
        groups=() if row.groups == "[]" else tuple(json.loads(row.groups)),
        disabled=row.disabled_at is not None,
        stamp=row.stamp,
        credential_version=row.credential_version,
        reset_gen=row.reset_gen,
        # A state that we do not know must not open the door.
        second_factor=state if state in _STATES else "re-enrol",
        authority=row.authority,
        last_login_at=row.last_login_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def name_values(first_name: str, last_name: str) -> dict[str, Any]:
    """Both names as a row keeps them, and as a search compares them.  Raises InvalidField."""
    first, last = one_line(first_name), one_line(last_name)
    check_length("first_name", first, LONGEST_NAME)
    check_length("last_name", last, LONGEST_NAME)
    return {
        "first_name": first,
        "last_name": last,
        "first_name_key": fold(first),
        "last_name_key": fold(last),
        "full_name_key": fold(f"{first} {last}"),
    }


def language_value(language: str) -> str:
    """A language as a row keeps it.  Raises InvalidField."""
    line = one_line(language)
    check_length("language", line, LONGEST_LANGUAGE)
    return line


def groups_value(groups: Sequence[str]) -> str:
    """Groups as a row keeps them."""
    return json.dumps(list(groups))


def why_refused(row: Any, *, ok: bool, authority: str) -> str:
    """For the log, and for nobody else."""
    if row.authority != authority:
        return "elsewhere"
    if row.password_hash is None:
        return "no-password"
    return "disabled" if ok else "wrong"
