"""The tables of the first release — DESIGN §5, security §0."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

# SQLite numbers rows only by a plain INTEGER; the others take 64 bits.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
_BLOB = sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


def upgrade() -> None:
    """Make the tables, and the one row that must be there."""
    _people()
    _clients()
    _endings()
    _deliveries()
    _first_epoch()


def _people() -> None:
    _table(
        "users",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("tag", _exact(11), nullable=False),
        sa.Column("sub", _exact(255), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", _exact(320), nullable=False),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("first_name", sa.String(100), nullable=False),
        sa.Column("last_name", sa.String(100), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("reset_gen", sa.Integer(), nullable=False),
        sa.Column("stamp", _exact(40), nullable=False),
        sa.Column("stamp_changed_at", sa.BigInteger(), nullable=False),
        sa.Column("second_factor_state", sa.String(16), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("source", _exact(64)),
        sa.Column("external_id", _exact(191)),
        sa.Column("last_login_at", sa.BigInteger()),
        sa.Column("last_login_ip", sa.String(45)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("tag", name="uq_users_tag"),
        sa.UniqueConstraint("sub", name="uq_users_sub"),
        sa.UniqueConstraint("email_key", name="uq_users_email_key"),
        sa.UniqueConstraint("source", "external_id", name="uq_users_source_external_id"),
        sqlite_autoincrement=True,
    )
    _index("ix_users_stamp_changed_at", "users", "stamp_changed_at")
    _table(
        "second_factors",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("secret_enc", _BLOB, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_second_factors"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_second_factors_user_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    _index("ix_second_factors_user_id", "second_factors", "user_id")


def _clients() -> None:
    _table(
        "oauth_clients",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("client_id", _exact(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("secret_hash", sa.String(255)),
        sa.Column("secret_enc", _BLOB),
        sa.Column("auth_method", sa.String(32), nullable=False),
        sa.Column("require_pkce", sa.Boolean(), nullable=False),
        sa.Column("first_party", sa.Boolean(), nullable=False),
        sa.Column("allow_query_token", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("metadata", _LONG, nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_clients"),
        sa.UniqueConstraint("client_id", name="uq_oauth_clients_client_id"),
        sqlite_autoincrement=True,
    )
    _table(
        "api_credentials",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("name", _exact(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("identifier", _exact(191), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("allowed_ips", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_credentials"),
        sa.UniqueConstraint("name", name="uq_api_credentials_name"),
        sa.UniqueConstraint("identifier", name="uq_api_credentials_identifier"),
        sqlite_autoincrement=True,
    )
    _table(
        "signing_keys",
        sa.Column("kid", _exact(64), nullable=False),
        sa.Column("alg", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("private_enc", _BLOB, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    _table(
        "consents",
        sa.Column("user_id", _ID, autoincrement=False, nullable=False),
        sa.Column("client_id", _exact(255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "client_id", name="pk_consents"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_consents_user_id", ondelete="CASCADE"),
    )
    _index("ix_consents_changed_at", "consents", "changed_at")


def _endings() -> None:
    _table(
        "ended_sessions",
        sa.Column("session_id", _exact(22), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("tag", _exact(11), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_ended_sessions"),
    )
    _index("ix_ended_sessions_ended_at", "ended_sessions", "ended_at")
    _index("ix_ended_sessions_until", "ended_sessions", "until")
    _table(
        "ended_keys",
        sa.Column("key", _exact(120), nullable=False),
        sa.Column("session_id", _exact(22), nullable=False),
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("tag", _exact(11), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_ended_keys"),
    )
    _index("ix_ended_keys_ended_at", "ended_keys", "ended_at")
    _index("ix_ended_keys_until", "ended_keys", "until")
    _table(
        "ended_families",
        sa.Column("tag", _exact(11), nullable=False),
        sa.Column("family", _exact(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "family", name="pk_ended_families"),
    )
    _index("ix_ended_families_ended_at", "ended_families", "ended_at")
    _index("ix_ended_families_until", "ended_families", "until")
    _table(
        "store_epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("identity", _exact(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store_epoch"),
    )
    _table(
        "versions",
        sa.Column("name", _exact(32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_versions"),
    )


def _deliveries() -> None:
    _table(
        "outbox",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("user_id", _ID),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claim", _exact(22), nullable=False),
        sa.Column("message_id", sa.String(255), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    _index("ix_outbox_due", "outbox", "state", "due_at")
    _table(
        "audit",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("user_id", _ID),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("client_id", sa.String(255)),
        sa.Column("door", sa.String(16)),
        sa.Column("ip", sa.String(45)),
        sa.Column("sid", sa.String(8)),
        sa.Column("session_id", sa.String(22)),
        sa.Column("amr", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    _index("ix_audit_at", "audit", "at")
    _index("ix_audit_user_id", "audit", "user_id")


def _first_epoch() -> None:
    epochs = sa.table("store_epoch", sa.column("id"), sa.column("epoch"), sa.column("identity"))
    if op.get_bind().execute(sa.select(epochs.c.id)).first() is None:
        op.get_bind().execute(epochs.insert().values(id=1, epoch=1, identity=""))


def _exact(length: int) -> sa.String:
    """Text that compares byte by byte: on MariaDB and MySQL by a collation which they call by different names."""
    dialect = op.get_bind().dialect
    if dialect.name != "mysql":
        return sa.String(length)
    is_mariadb: bool = getattr(dialect, "is_mariadb", False)
    return mysql.VARCHAR(length, collation="utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin")


# MariaDB and MySQL keep what stood before an interruption, so a second run must step over it.
def _table(name: str, *parts: sa.schema.SchemaItem, sqlite_autoincrement: bool = False) -> None:
    op.create_table(
        name,
        *parts,
        if_not_exists=True,
        sqlite_autoincrement=sqlite_autoincrement,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def _index(name: str, table: str, *columns: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)
