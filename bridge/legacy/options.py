"""What an installation may decide about the legacy API, with safe values — whmcs-api §10."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Literal

from bridge.errors import ConfigError
from bridge.legacy.relative import relative_path
from bridge.secret import Secret
from bridge.types import IPNetwork

AutoAuth = Literal["off", "hmac", "sha1"]

_LOOPBACK: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_ACCESS_KEY: Final = re.compile(r"[A-Za-z0-9!@#$%.()*\[\]_-]{8,255}")
_SCOPE: Final = re.compile(r"(?!sso:custom_redirect)[a-z]{1,32}:[a-z_]{1,64}", re.ASCII)
_VERSION: Final = re.compile(r"\d{1,3}(?:\.\d{1,3}){1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyOptions:
    """The settings `legacy.*`.  Raises ConfigError for what cannot be used."""

    enabled: bool = False
    """Whether there is a legacy API at all.  The preset whmcs turns it on."""

    actions: tuple[str, ...] = ()
    """Which of its own actions the bridge answers, such as `ValidateLogin`; empty: all that it has.  Any other is
    unknown to callers.  What an operator adds in code is always answered."""

    allowed_ips: tuple[IPNetwork, ...] = _LOOPBACK
    """From which addresses the API may be called at all: addresses and CIDR."""

    access_key: Secret | None = None
    """`accesskey=` lifts the rule above, never a credential's own list, never credentials.  8 to 255 characters
    [A-Za-z0-9 ! @ # $ % . ( ) * [ ] - _]."""

    allow_get: bool = True
    """Whether GET is taken, with credentials and passwords in the query.  Turn it off once no caller needs it."""

    admin_md5_login: bool = False
    """Whether an admin's name and the md5 of his password are taken as credentials.  Unsafe: that md5 is a password."""

    admin_failures: int = 3
    """So many wrong admin logins from one address close admin login to it …"""

    admin_ban: int = 900
    """… for about so many seconds."""

    look_ups_per_minute: int = 600
    """So many times a minute one credential may call what tells of people (GetUsers, GetClientsDetails and their like,
    ResetPassword); beyond that it is answered 429 and told when to come again."""

    auth_failed_text: str = "Authentication Failed"
    """What a caller with wrong credentials is told; older versions said `Invalid or missing credentials`."""

    unknown_action_status: Literal[200, 400, 403] = 400
    """The HTTP status of `The requested API Action could not be found`."""

    nvp_refusals: bool = False
    """Answer 403 as name-value pairs also to callers that asked for JSON or XML, as versions up to 7 did."""

    nvp_content_type: Literal["text/plain; charset=utf-8", "text/html; charset=utf-8", "text/html"] = (
        "text/plain; charset=utf-8"
    )
    """The media type of name-value pairs."""

    nvp_lists: Literal["flatten", "refuse"] = "flatten"
    """Lists as name-value pairs: `users[0][id]=1`, or refused as old versions did."""

    xml_lists: Literal["named", "repeat"] = "named"
    """Lists in XML: `<users><user>` and `<clients><client>` where the documentation names the items, or every list as
    its key repeated."""

    string_scalars: bool = False
    """JSON numbers and booleans as text, as the documentation's examples print them.  `"false"` is true to PHP."""

    advertised_version: str = "8.13.1"
    """The version that XML answers and WhmcsDetails show."""

    token_format: Literal["plain", "json"] = "plain"  # noqa: S105  # a form
    """`passwordhash`: the 40 characters, or `{"id":…,"tk":"…"}` for PHP apps that decode `login_auth_tk`."""

    error_on_2fa: bool = False
    """Answer `Email or Password Invalid` for accounts with a second factor, for callers that take any `success` as
    signed in."""

    hash_under_2fa: Literal["absent", "empty"] = "absent"
    """`passwordhash` of an account with a second factor: not there, or empty.  Never a token."""

    userid_mode: Literal["user", "client"] = "user"
    """What `userid` of ValidateLogin and `id` of ResetPassword number: users, as since version 8, or clients, for
    integrations from before it that look the number up as a client's.  A user's client is the first account that he
    owns; who owns none is answered as a wrong login.  While there is no account at all, everybody is a client of his
    own number."""

    add_clientid: bool = False
    """Add `clientid` to ValidateLogin's answer, for integrations that can be taught to read it: the number of the
    user's own client, as `userid_mode` has it.  Not there for who owns none."""

    bind_ip: Literal["clientip", "never", "caller"] = "clientip"
    """To which address a session from ValidateLogin is bound: the parameter `clientip` where it is sent, none, or the
    caller's own, as WHMCS does with its session IP check."""

    hide_unknown_users: bool = False
    """ResetPassword says `success` also for a user that is not there."""

    html_escaped_fallback: bool = False
    """Try a wrong password with `& < > " '` once more as HTML writes them (`&amp;`): some hashes that were brought
    along are of that text.  The right one is then hashed as it was typed."""

    sub_source: Literal["map", "user_id"] = "map"
    """The OpenID `sub` of a new user who brings none along: a uuid, or the number of the user, for applications that
    know people by WHMCS's user id.  Who is there keeps the one he has."""

    sso_destinations: tuple[str, ...] = ()
    """Where links of CreateSsoToken may lead: `clientarea:invoices=/billing/invoices`, each a name of the documentation
    and a path on the host of `server.base_url`, in which `{service_id}` and `{domain_id}` stand for what the caller
    names.  `clientarea:sso` is where they lead without a destination: else `/`."""

    service_ids: Literal["unknown", "clients"] = "unknown"
    """What `serviceId` of an OAuth credential means.  unknown: the bridge knows no services, so there can be none for
    single sign-on; clients: every client has one service, which has the client's own number."""

    credentials_require_pkce: bool = True
    """Whether an application made by CreateOAuthCredential must use PKCE; `login-bridge check` lists who need not."""

    autoauth: AutoAuth = "off"
    """Whether `/dologin.php` signs people in by links that whoever has `autoauth_key` makes himself, as WHMCS did until
    8.0.  hmac: the hash is HMAC-SHA256, in hex, of e-mail address, timestamp and goto, a line feed between them; sha1:
    of address, timestamp and key, for links that are made already.  Each link is good once, for 15 minutes."""

    autoauth_key: Secret | None = None
    """The key of those links: at least 16 characters.  Whoever knows it can be anybody who owes no second factor."""

    oauth_aliases: bool = True
    """Whether the OpenID Provider, where it is enabled, also answers at WHMCS's addresses: /oauth/authorize.php and its
    like."""

    def __post_init__(self) -> None:
        for line in self.sso_destinations:
            name, _, path = line.partition("=")
            if not _SCOPE.fullmatch(name) or relative_path(_without_places(path)) != _without_places(path):
                raise ConfigError(f"legacy.sso_destinations must be like clientarea:invoices=/billing, not {line!r}")
        wrong = [
            f"legacy.{name} must be {what}"
            for name, what, right in (
                ("access_key", "8 to 255 of the characters A-Za-z0-9!@#$%.()*[]-_", _is_key(self.access_key)),
                ("advertised_version", "a version such as 8.13.1", _VERSION.fullmatch(self.advertised_version)),
                ("autoauth_key", "at least 16 characters", _long_enough(self.autoauth, self.autoauth_key)),
                ("admin_failures", "at least 1", self.admin_failures >= 1),
                ("admin_ban", "at least 60 s", self.admin_ban >= 60),
                ("look_ups_per_minute", "at least 1", self.look_ups_per_minute >= 1),
                ("auth_failed_text", "one line", self.auth_failed_text.isprintable() and self.auth_failed_text),
            )
            if not right
        ]
        if wrong:
            raise ConfigError("; ".join(wrong))


def _long_enough(autoauth: AutoAuth, key: Secret | None) -> bool:
    return autoauth == "off" if key is None else len(key.reveal()) >= 16


def _without_places(path: str) -> str:
    return path.replace("{service_id}", "1").replace("{domain_id}", "1")


def _is_key(key: Secret | None) -> bool:
    return key is None or _ACCESS_KEY.fullmatch(key.reveal()) is not None
