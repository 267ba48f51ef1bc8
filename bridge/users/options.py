"""The settings of users and their passwords — sessions-and-accounts §7, §3.2 A1."""

from dataclasses import dataclass

from bridge.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOptions:
    """How users and their passwords are kept and which new ones are accepted.

    Raises ConfigError for parameters that argon2 does not take.
    """

    argon2_memory: int = 19_456
    """KiB of memory for one hash."""
    argon2_passes: int = 2
    """Passes over that memory."""
    argon2_lanes: int = 1
    """Parallel lanes of one hash."""
    threads: int | None = None
    """Hashes at one time; unset: as many as there are cores."""
    queue: int = 64
    """Hashes that may wait for their turn; one more is answered 503."""
    shortest: int = 15
    """Characters of a new password for somebody without a second factor; a login is never refused for it."""
    shortest_with_second_factor: int = 8
    """Characters of a new password for somebody with a second factor."""
    email_change_lifetime: int = 86_400
    """Seconds for which a new e-mail address waits for its confirmation."""
    email_changes_per_account: int = 5
    """Requests an hour for another address by one person at his account page."""
    email_changes_per_address: int = 5
    """The same for one new address, by whoever asks: so many letters come to somebody who wants none."""
    sign_up: bool = False
    """Anybody may make an account of his own: by a link at the sign-in page, and where an app asks for it
    (`prompt=create`).  He gets a letter first, whose link shows that the address is his."""
    sign_up_lifetime: int = 3_600
    """Seconds for which the link of that letter is good."""
    sign_ups_per_address: int = 3
    """Requests an hour for one e-mail address: so many letters come to somebody who wants none."""
    sign_ups_per_visitor: int = 20
    """Requests an hour from one IP address (in IPv6 from one /64)."""
    sign_ups_in_all: int = 1_000
    """Requests an hour for all addresses together: so many letters go to people who are not known here."""
    site_names: tuple[str, ...] = ()
    """Words that a new password may not consist of: the names of the company and its products."""

    def __post_init__(self) -> None:
        if self.argon2_lanes < 1 or self.argon2_passes < 1 or self.argon2_memory < 8 * self.argon2_lanes:
            raise ConfigError("users.argon2_*: at least one pass, one lane, and 8 KiB for each lane")
        if (self.threads is not None and self.threads < 1) or self.queue < 0:
            raise ConfigError("users.threads must be 1 or more, users.queue 0 or more")
        if not 300 <= self.email_change_lifetime <= 604_800:
            raise ConfigError("users.email_change_lifetime must be 300 to 604800")
        if self.email_changes_per_account < 1 or self.email_changes_per_address < 1:
            raise ConfigError("users.email_changes_per_account and users.email_changes_per_address must be 1 or more")
        if not 300 <= self.sign_up_lifetime <= 86_400:
            raise ConfigError("users.sign_up_lifetime must be 300 to 86400")
        if min(self.sign_ups_per_address, self.sign_ups_per_visitor, self.sign_ups_in_all) < 1:
            raise ConfigError("users.sign_ups_per_address, sign_ups_per_visitor and sign_ups_in_all must be 1 or more")
