"""The tables — DESIGN §5, security §0.

What must compare byte by byte (keys of identity) is `_exact`: the default of MariaDB and MySQL would make "A" equal
"a" and "a " equal "a".  Times are Unix seconds.  Whoever changes a table writes a revision in `migrations/` too.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql, postgresql

metadata: MetaData = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows only by a plain INTEGER; the others take 64 bits.
_Id = BigInteger().with_variant(Integer, "sqlite")
_Long = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_Blob = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def _exact(length: int) -> String:
    """Text that compares byte by byte on every database, trailing blanks too (which `utf8mb4_bin` forgives)."""
    return String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_nopad_bin"), "mysql", "mariadb")


def _ordered(length: int) -> String:
    """Text that also sorts byte by byte, whatever PostgreSQL's locale: what is searched by how it begins."""
    return _exact(length).with_variant(postgresql.VARCHAR(length, collation="C"), "postgresql")


_Folded = _ordered(191)
"""By `bridge.database.text.fold`, of which that is the longest."""


users: Table = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("tag", _exact(11), nullable=False, unique=True),
    Column("sub", _exact(255), nullable=False, unique=True),
    Column("email", String(320), nullable=False),
    Column("email_key", _ordered(320), nullable=False, unique=True),
    Column("email_verified", Boolean(create_constraint=False), nullable=False, default=False),
    Column("first_name", String(100), nullable=False, default=""),
    Column("last_name", String(100), nullable=False, default=""),
    Column("first_name_key", _Folded, index=True),
    Column("last_name_key", _Folded, index=True),
    Column("full_name_key", _Folded, index=True),
    Column("language", String(35), nullable=False, default=""),
    Column("groups", Text, nullable=False, default="[]"),
    Column("password_hash", Text),
    Column("credential_version", Integer, nullable=False, default=0),
    Column("reset_gen", Integer, nullable=False, default=0),
    Column("stamp", _exact(40), nullable=False),
    Column("stamp_changed_at", BigInteger, nullable=False, index=True),
    Column("second_factor_state", String(16), nullable=False, default="none"),
    Column("disabled_at", BigInteger),
    Column("removed_at", BigInteger),
    Column("authority", String(64), nullable=False, default="bridge"),
    Column("source", _exact(64)),
    Column("external_id", _exact(191)),
    Column("last_login_at", BigInteger),
    Column("last_login_ip", String(45)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("source", "external_id"),
    sqlite_autoincrement=True,  # an id is never used again
)

second_factors: Table = Table(
    "second_factors",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("label", String(100), nullable=False, default=""),
    Column("secret_enc", _Blob, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    sqlite_autoincrement=True,
)

email_changes: Table = Table(
    "email_changes",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("old_email", String(320), nullable=False),
    Column("new_email", String(320), nullable=False),
    Column("state", String(16), nullable=False),
    Column("token_hash", _exact(64), nullable=False, unique=True),
    Column("token_enc", _Blob),
    Column("requested_by", String(255), nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    sqlite_autoincrement=True,
)

sign_ups: Table = Table(
    "sign_ups",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("email", String(320), nullable=False),
    Column("email_key", _ordered(320), nullable=False, index=True),
    Column("token_hash", _exact(64), nullable=False, unique=True),
    Column("token_enc", _Blob),
    Column("browser", _exact(64), nullable=False),
    Column("interaction", _exact(64)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_autoincrement=True,
)

passkeys: Table = Table(
    "passkeys",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    # By its SHA-256 it is found: an authenticator's own name for it may have a thousand bytes.
    Column("credential_hash", _exact(64), nullable=False, unique=True),
    Column("credential_id", _Blob, nullable=False),
    Column("public_key", _Blob, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("transports", String(255), nullable=False, default=""),
    Column("label", String(100), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    sqlite_autoincrement=True,
)

recovery_codes: Table = Table(
    "recovery_codes",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("code_hash", _exact(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    sqlite_autoincrement=True,
)

oauth_clients: Table = Table(
    "oauth_clients",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("client_id", _exact(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False, default=""),
    Column("secret_hash", String(255)),
    Column("secret_enc", _Blob),
    Column("auth_method", String(32), nullable=False),
    Column("require_pkce", Boolean(create_constraint=False), nullable=False, default=True),
    Column("first_party", Boolean(create_constraint=False), nullable=False, default=False),
    Column("allow_query_token", Boolean(create_constraint=False), nullable=False, default=False),
    Column("source", String(16), nullable=False),
    Column("metadata", _Long, nullable=False),
    Column("registration_hash", String(255)),
    Column("disabled_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

initial_access_tokens: Table = Table(
    "initial_access_tokens",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", _exact(100), nullable=False, unique=True),
    Column("identifier", _exact(22), nullable=False, unique=True),
    Column("token_hash", String(255), nullable=False),
    Column("uses_left", Integer),
    Column("scopes", Text, nullable=False),
    Column("expires_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

api_credentials: Table = Table(
    "api_credentials",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", _exact(100), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("identifier", _exact(191), nullable=False, unique=True),
    Column("secret_hash", Text, nullable=False),
    Column("allowed_ips", Text, nullable=False, default="[]"),
    Column("actions", Text, nullable=False, default="[]"),
    Column("options", Text, nullable=False, default="{}"),
    Column("disabled_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

api_roles: Table = Table(
    "api_roles",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("name", _exact(100), nullable=False, unique=True),
    Column("actions", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

credential_roles: Table = Table(
    "credential_roles",
    metadata,
    Column(
        "credential_id",
        _Id,
        ForeignKey("api_credentials.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    # No cascade: a role that somebody has is not removed.
    Column("role_id", _Id, ForeignKey("api_roles.id"), primary_key=True, autoincrement=False, index=True),
)

signing_keys: Table = Table(
    "signing_keys",
    metadata,
    Column("kid", _exact(64), primary_key=True),
    Column("alg", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("public_jwk", Text, nullable=False),
    Column("private_enc", _Blob, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

accounts: Table = Table(
    "accounts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("uuid", _exact(36), nullable=False, unique=True),
    # The one owner is a column, so that there is always one, and never two.
    Column("owner_id", _Id, ForeignKey("users.id"), nullable=False, index=True),
    Column("email", String(320), nullable=False, default=""),
    Column("email_key", _ordered(320), unique=True),
    Column("email_verified", Boolean(create_constraint=False), nullable=False, default=False),
    Column("first_name", String(100), nullable=False, default=""),
    Column("last_name", String(100), nullable=False, default=""),
    Column("company_name", String(200), nullable=False, default=""),
    Column("first_name_key", _Folded, nullable=False, default="", index=True),
    Column("last_name_key", _Folded, nullable=False, default="", index=True),
    Column("full_name_key", _Folded, nullable=False, default="", index=True),
    Column("company_name_key", _Folded, nullable=False, default="", index=True),
    Column("address1", String(200), nullable=False, default=""),
    Column("address2", String(200), nullable=False, default=""),
    Column("city", String(100), nullable=False, default=""),
    Column("state", String(100), nullable=False, default=""),
    Column("postcode", String(32), nullable=False, default=""),
    Column("country", String(2), nullable=False, default=""),
    Column("phone_number", String(64), nullable=False, default=""),
    Column("tax_id", String(64), nullable=False, default=""),
    Column("status", String(16), nullable=False, index=True),
    Column("group_id", Integer, nullable=False, default=0, index=True),
    Column("currency", String(3), nullable=False),
    Column("credit", String(32), nullable=False),
    Column("language", String(35), nullable=False, default=""),
    Column("notes", _Long, nullable=False),
    Column("tax_exempt", Boolean(create_constraint=False), nullable=False, default=False),
    Column("marketing_opt_in", Boolean(create_constraint=False), nullable=False, default=False),
    Column("allow_single_sign_on", Boolean(create_constraint=False), nullable=False, default=True),
    Column("email_preferences", Text, nullable=False),
    Column("billing", Text, nullable=False),
    Column("custom_fields", _Long, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

memberships: Table = Table(
    "memberships",
    metadata,
    Column("account_id", _Id, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("user_id", _Id, ForeignKey("users.id"), primary_key=True, autoincrement=False, index=True),
    Column("permissions", String(255), nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
)

invites: Table = Table(
    "invites",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account_id", _Id, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("email", String(320), nullable=False),
    Column("email_key", _exact(320), nullable=False, index=True),
    Column("permissions", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("token_hash", _exact(64), nullable=False, unique=True),
    Column("token_enc", _Blob),
    Column("invited_by", String(255), nullable=False, default=""),
    Column("accepted_by", _Id, ForeignKey("users.id"), index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    sqlite_autoincrement=True,
)

contacts: Table = Table(
    "contacts",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("account_id", _Id, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("email", String(320), nullable=False, default=""),
    Column("email_key", _exact(320), index=True),
    # Compared as they stand by whoever looks for a contact.
    Column("first_name", _exact(100), nullable=False, default=""),
    Column("last_name", _exact(100), nullable=False, default=""),
    Column("company_name", _exact(200), nullable=False, default=""),
    Column("address1", _exact(200), nullable=False, default=""),
    Column("address2", _exact(200), nullable=False, default=""),
    Column("city", _exact(100), nullable=False, default=""),
    Column("state", _exact(100), nullable=False, default=""),
    Column("postcode", _exact(32), nullable=False, default=""),
    Column("country", _exact(2), nullable=False, default=""),
    Column("phone_number", _exact(64), nullable=False, default=""),
    Column("tax_id", String(64), nullable=False, default=""),
    Column("email_preferences", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

consents: Table = Table(
    "consents",
    metadata,
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("client_id", _exact(255), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("granted", Boolean(create_constraint=False), nullable=False),
    Column("scopes", Text, nullable=False, default=""),
    Column("claims", Text, nullable=False, default=""),
    Column("places", Text),
    Column("changed_at", BigInteger, nullable=False, index=True),
)

ended_sessions: Table = Table(
    "ended_sessions",
    metadata,
    Column("session_id", _exact(22), primary_key=True),
    Column("user_id", _Id, nullable=False),
    Column("tag", _exact(11), nullable=False),
    Column("reason", String(32), nullable=False),
    Column("ended_at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False, index=True),
)

ended_keys: Table = Table(
    "ended_keys",
    metadata,
    Column("key", _exact(120), primary_key=True),
    Column("session_id", _exact(22), nullable=False),
    Column("user_id", _Id, nullable=False),
    Column("tag", _exact(11), nullable=False),
    Column("ended_at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False, index=True),
)

ended_families: Table = Table(
    "ended_families",
    metadata,
    Column("tag", _exact(11), primary_key=True),
    Column("family", _exact(16), primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("ended_at", BigInteger, nullable=False, index=True),
    Column("until", BigInteger, nullable=False, index=True),
)

store_epoch: Table = Table(
    "store_epoch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    Column("identity", _exact(255), nullable=False, default=""),
)

versions: Table = Table(
    "versions",
    metadata,
    Column("name", _exact(32), primary_key=True),
    Column("version", BigInteger, nullable=False),
)

outbox: Table = Table(
    "outbox",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("purpose", String(32), nullable=False),
    Column("user_id", _Id),
    Column("payload", Text, nullable=False, default="{}"),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", BigInteger, nullable=False),
    Column("claim", _exact(22), nullable=False, default=""),
    Column("message_id", String(255), nullable=False, default=""),
    Column("last_error", Text, nullable=False, default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("once", _exact(64)),
    Index("ix_outbox_due", "state", "due_at"),
    Index("ix_outbox_once", "once", unique=True),
    sqlite_autoincrement=True,
)

audit: Table = Table(
    "audit",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    Column("at", Double(), nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("user_id", _Id, index=True),
    Column("actor", String(255), nullable=False, default=""),
    Column("client_id", String(255)),
    Column("door", String(16)),
    Column("ip", String(45)),
    Column("sid", String(8)),
    Column("session_id", String(22)),
    Column("amr", String(64), nullable=False, default=""),
    Column("reason", String(255), nullable=False, default=""),
    Column("details", Text, nullable=False, default="{}"),
    sqlite_autoincrement=True,
)
