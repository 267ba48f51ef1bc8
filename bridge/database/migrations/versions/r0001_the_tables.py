"""The tables of the first release — DESIGN §5, security §0."""

import sqlalchemy as sa
from alembic import op

from bridge.database.migrations.steps import BLOB, ID, LONG, exact, index, table

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, and the one row that must be there."""
    _people()
    _clients()
    _endings()
    _deliveries()
    _first_epoch()


def _people() -> None:
    table(
        "users",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("tag", exact(11), nullable=False),
        sa.Column("sub", exact(255), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("email_key", exact(320), nullable=False),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("first_name", sa.String(100), nullable=False),
        sa.Column("last_name", sa.String(100), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("credential_version", sa.Integer(), nullable=False),
        sa.Column("reset_gen", sa.Integer(), nullable=False),
        sa.Column("stamp", exact(40), nullable=False),
        sa.Column("stamp_changed_at", sa.BigInteger(), nullable=False),
        sa.Column("second_factor_state", sa.String(16), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("authority", sa.String(64), nullable=False),
        sa.Column("source", exact(64)),
        sa.Column("external_id", exact(191)),
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
    index("ix_users_stamp_changed_at", "users", "stamp_changed_at")
    table(
        "second_factors",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("secret_enc", BLOB, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_second_factors"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_second_factors_user_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    index("ix_second_factors_user_id", "second_factors", "user_id")


def _clients() -> None:
    table(
        "oauth_clients",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("client_id", exact(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("secret_hash", sa.String(255)),
        sa.Column("secret_enc", BLOB),
        sa.Column("auth_method", sa.String(32), nullable=False),
        sa.Column("require_pkce", sa.Boolean(), nullable=False),
        sa.Column("first_party", sa.Boolean(), nullable=False),
        sa.Column("allow_query_token", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("metadata", LONG, nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_clients"),
        sa.UniqueConstraint("client_id", name="uq_oauth_clients_client_id"),
        sqlite_autoincrement=True,
    )
    table(
        "api_credentials",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", exact(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("identifier", exact(191), nullable=False),
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
    table(
        "signing_keys",
        sa.Column("kid", exact(64), nullable=False),
        sa.Column("alg", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("public_jwk", sa.Text(), nullable=False),
        sa.Column("private_enc", BLOB, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    table(
        "consents",
        sa.Column("user_id", ID, autoincrement=False, nullable=False),
        sa.Column("client_id", exact(255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "client_id", name="pk_consents"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_consents_user_id", ondelete="CASCADE"),
    )
    index("ix_consents_changed_at", "consents", "changed_at")


def _endings() -> None:
    table(
        "ended_sessions",
        sa.Column("session_id", exact(22), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("tag", exact(11), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_ended_sessions"),
    )
    index("ix_ended_sessions_ended_at", "ended_sessions", "ended_at")
    index("ix_ended_sessions_until", "ended_sessions", "until")
    table(
        "ended_keys",
        sa.Column("key", exact(120), nullable=False),
        sa.Column("session_id", exact(22), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("tag", exact(11), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_ended_keys"),
    )
    index("ix_ended_keys_ended_at", "ended_keys", "ended_at")
    index("ix_ended_keys_until", "ended_keys", "until")
    table(
        "ended_families",
        sa.Column("tag", exact(11), nullable=False),
        sa.Column("family", exact(16), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "family", name="pk_ended_families"),
    )
    index("ix_ended_families_ended_at", "ended_families", "ended_at")
    index("ix_ended_families_until", "ended_families", "until")
    table(
        "store_epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("identity", exact(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store_epoch"),
    )
    table(
        "versions",
        sa.Column("name", exact(32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_versions"),
    )


def _deliveries() -> None:
    table(
        "outbox",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claim", exact(22), nullable=False),
        sa.Column("message_id", sa.String(255), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    index("ix_outbox_due", "outbox", "state", "due_at")
    table(
        "audit",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("user_id", ID),
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
    index("ix_audit_at", "audit", "at")
    index("ix_audit_user_id", "audit", "user_id")


def _first_epoch() -> None:
    epochs = sa.table("store_epoch", sa.column("id"), sa.column("epoch"), sa.column("identity"))
    if op.get_bind().execute(sa.select(epochs.c.id)).first() is None:
        op.get_bind().execute(epochs.insert().values(id=1, epoch=1, identity=""))
