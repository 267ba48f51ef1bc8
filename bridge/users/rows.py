"""What a row of the table `users` says, in the words of this room — DESIGN §5."""

import json
from typing import Any, Final, get_args

from bridge.users.user import SecondFactorState, User

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


def profile_values(**profile: Any) -> dict[str, Any]:
    """Members of a user as his row keeps them."""
    return {name: json.dumps(list(value)) if name == "groups" else value for name, value in profile.items()}


def why_refused(row: Any, *, ok: bool, authority: str) -> str:
    """For the log, and for nobody else."""
    if row.authority != authority:
        return "elsewhere"
    if row.password_hash is None:
        return "no-password"
    return "disabled" if ok else "wrong"
