"""Passwords: argon2id for ours, verify-only schemes for what was brought along — engine §9, sessions-and-accounts §7.

libpass is imported as `passlib`, here and nowhere else.

Every check is one argon2 run, whatever the account is like.  A right password under an older scheme gets its new hash
from that run; every other account spends it on a dummy, so that unknown, wrong, disabled, empty and broken all look
alike to a stopwatch.  An older scheme's own run comes on top: `login.floor_ms` hides it.  With `html_escaped` a
password that HTML writes otherwise is checked twice unless it is right, and that too for everybody alike.
"""

import hashlib
import hmac
import importlib.metadata
import os
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final, TypeVar

import passlib
from msgspec import Struct
from passlib.registry import get_crypt_handler

from bridge.errors import Busy, ConfigError
from bridge.secret import Secret
from bridge.users.options import UserOptions
from bridge.users.threads import Threads

LONGEST: Final = 1024
"""Bytes of a password; a longer one is wrong, and costs no more than another."""

Count = Callable[[str], None]
"""Hears the name of the scheme at each run of one."""

Result = TypeVar("Result")


class Verdict(Struct, frozen=True):
    """Whether the password is right, and the hash that should replace the stored one (None: nothing should)."""

    ok: bool
    upgrade: str | None = None


class Passwords:
    """Checks and makes hashes in threads of its own number, with a bounded queue before them."""

    def __init__(self, options: UserOptions, *, html_escaped: bool = False, count: Count | None = None) -> None:
        """Hashes nothing yet.  Raises ConfigError when what is imported as passlib is not libpass.

        `html_escaped`: a password that is wrong may be right as HTML writes it (whmcs-api §7).
        """
        check_library(passlib.__version__)
        threads = options.threads or os.cpu_count() or 1
        self._html_escaped = html_escaped
        self._places = threads + options.queue
        self._taken = 0
        self._threads = Threads(threads, name="password")
        self._count: Count = count or (lambda _scheme: None)
        argon2: Any = get_crypt_handler("argon2")
        self._argon2 = argon2.using(
            type="ID",
            memory_cost=options.argon2_memory,
            time_cost=options.argon2_passes,
            parallelism=options.argon2_lanes,
        )
        self._dummy = _dummy_of(self._argon2)
        self._newest = _form_of(self._dummy)

    async def verify(self, stored: str | None, password: Secret, *, upgrade: bool = True) -> Verdict:
        """Is it the password behind `stored`?  Never raises for what either of them holds; Busy when the queue is full.

        `upgrade=False` for a hash that is not ours to replace.
        """
        return await self._in_thread(lambda: self._either(stored or "", password.reveal_bytes(), upgrade=upgrade))

    async def hash(self, password: Secret) -> str:
        """A new argon2id hash.  ValueError over 1,024 bytes or with a NUL; Busy when the queue is full."""
        raw = password.reveal_bytes()
        if not _fit(raw):
            raise ValueError("a password has at most 1,024 bytes and no NUL")
        return await self._in_thread(lambda: self._hash(raw))

    async def wrap_md5(self, digest: Secret) -> str:
        """What to keep of an administrator's md5 (32 hex digits): never itself — security §22.

        ValueError for anything else; check with `verify(kept, digest)`, the digest in lower case.
        """
        text = digest.reveal().lower()
        if not _MD5.fullmatch(text):
            raise ValueError("not 32 hex digits")
        return await self.hash(Secret(text))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._taken >= self._places:
            raise Busy("too many passwords are being checked")
        self._taken += 1
        try:
            return await self._threads.run(work)
        finally:
            self._taken -= 1

    def _either(self, stored: str, raw: bytes, *, upgrade: bool) -> Verdict:
        """As it was typed, or else as HTML writes it; the new hash is of what was typed."""
        verdict = self._verify(stored, raw, upgrade=upgrade)
        escaped = _in_html(raw) if self._html_escaped else raw
        if verdict.ok or escaped == raw:
            return verdict
        ok = self._verify(stored, escaped, upgrade=False).ok
        return Verdict(ok, self._hash(raw) if ok and upgrade else None)

    def _verify(self, stored: str, raw: bytes, *, upgrade: bool) -> Verdict:
        if not _fit(raw):
            return self._refuse(raw[:LONGEST])
        if self._newest.fullmatch(stored):
            return Verdict(self._matches(raw, stored))
        if self._is_ours(stored):
            ok = self._matches(raw, stored)
            return Verdict(ok, self._hash(raw) if ok and upgrade and self._argon2.needs_update(stored) else None)
        if self._brought_along(stored, raw):
            return Verdict(ok=True, upgrade=self._hash(raw)) if upgrade else self._refuse(raw, ok=True)
        return self._refuse(raw)

    def _matches(self, raw: bytes, stored: str) -> bool:
        self._count("argon2")
        try:
            return bool(self._argon2.verify(raw, stored))
        except Exception:  # noqa: BLE001  a hash that cannot be read: nothing was run, and that would show
            self._argon2.verify(raw, self._dummy)
            return False

    def _is_ours(self, stored: str) -> bool:
        return stored.startswith("$argon2") and _bearable(self._argon2, stored)

    def _brought_along(self, stored: str, raw: bytes) -> bool:
        """Whether one of the older schemes knows the hash, and says yes."""
        if _PHP_BCRYPT.fullmatch(stored):
            return self._older(_BCRYPT, raw[:72], stored)  # PHP cuts there, silently; bcrypt 5 raises
        if (match := _SALTED_MD5.fullmatch(stored)) is not None:
            self._count("salted-md5")
            digest = hashlib.md5(match[2].encode("utf-8", "surrogatepass") + raw, usedforsecurity=False)
            return hmac.compare_digest(digest.hexdigest(), match[1].lower())
        found = next((scheme for scheme in _OTHERS if scheme.identify(stored)), None)
        return found is not None and self._older(found, raw, stored)

    def _older(self, scheme: Any, raw: bytes, stored: str) -> bool:
        if not _bearable(scheme, stored):
            return False
        self._count(scheme.name)
        return _quietly(scheme.verify, raw, stored)

    def _refuse(self, raw: bytes, *, ok: bool = False) -> Verdict:
        """The one argon2 run of somebody who has no use for it."""
        self._count("argon2")
        self._argon2.verify(raw, self._dummy)
        return Verdict(ok)

    def _hash(self, raw: bytes) -> str:
        self._count("argon2")
        made: str = self._argon2.hash(raw)
        return made


def check_library(version: str) -> None:
    """Stop if passlib itself was imported instead of libpass, its maintained fork; warn if both are installed."""
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < (1, 9):
        raise ConfigError(
            f"passlib {version} was imported; the bridge needs libpass 1.9 or newer, which has the same import name: "
            "pip uninstall passlib, then pip install --force-reinstall libpass"
        )
    if len(installed := sorted(_distributions())) > 1:
        warnings.warn(f"{' and '.join(installed)} share one import name; keep libpass alone", stacklevel=2)


_MD5: Final = re.compile(r"[0-9a-f]{32}")
_PHP_BCRYPT: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_SALTED_MD5: Final = re.compile(r"([0-9a-fA-F]{32}):(.*)", re.DOTALL)
_BCRYPT: Final[Any] = get_crypt_handler("bcrypt")
_OTHERS: Final[tuple[Any, ...]] = tuple(
    get_crypt_handler(name)
    for name in (
        "pbkdf2_sha256",
        "pbkdf2_sha512",
        "django_pbkdf2_sha256",
        "sha256_crypt",
        "sha512_crypt",
        "phpass",
        "ldap_salted_sha1",
    )
)
# One stored hash must not hold a thread for minutes: these are far above what anybody uses.
_MOST_ROUNDS: Final = {"bcrypt": 15, "argon2": 20, "phpass": 22}
_MOST_OTHER_ROUNDS: Final = 5_000_000
_MOST_MEMORY: Final = 1_048_576


def _dummy_of(argon2: Any) -> str:
    """A hash that is none of any password, and takes as long to check as one of these parameters."""
    dummy = argon2(use_defaults=True)
    dummy.checksum = os.urandom(argon2.checksum_size)
    made: str = dummy.to_string()
    return made


def _form_of(made: str) -> re.Pattern[str]:
    """What a hash of these very parameters looks like: nothing else need be read of one before it is checked."""
    *head, salt, digest = made.split("$")
    of = "[A-Za-z0-9+/]"
    return re.compile(rf"{re.escape('$'.join(head))}\${of}{{{len(salt)}}}\${of}{{{len(digest)}}}")


def _in_html(raw: bytes) -> bytes:
    """As PHP's htmlspecialchars writes it, both quotes too."""
    for plain, written in ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b'"', b"&quot;"), (b"'", b"&#039;")):
        raw = raw.replace(plain, written)
    return raw


def _fit(raw: bytes) -> bool:
    # PHP's bcrypt ends at a NUL and refuses it by now; a password with one is no password, under any scheme.
    return len(raw) <= LONGEST and b"\x00" not in raw


def _bearable(scheme: Any, stored: str) -> bool:
    """Whether the hash is well-formed, and its own parameters keep within reason."""

    def cost() -> bool:
        read = scheme.from_string(stored)
        most = _MOST_ROUNDS.get(scheme.name, _MOST_OTHER_ROUNDS)
        return getattr(read, "rounds", 0) <= most and getattr(read, "memory_cost", 0) <= _MOST_MEMORY

    return _quietly(cost)


def _quietly(check: Callable[..., bool], *arguments: object) -> bool:
    """False for whatever is wrong with a hash that somebody else wrote."""
    try:
        return bool(check(*arguments))
    except Exception:  # noqa: BLE001  # libpass and its back ends raise a dozen kinds, IndexError among them
        return False


@cache
def _distributions() -> Sequence[str]:
    """The names of those that are installed: looked for once, which takes longer than all else of a start here."""
    found: list[str] = []
    for name in ("libpass", "passlib"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(importlib.metadata.distribution(name).metadata["Name"])
    return found
