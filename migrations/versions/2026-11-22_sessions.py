"""Sessions, throttled logins, idempotent posts, and lists by votes."""

import sqlalchemy as sa
from alembic import op

revision = "20261122b"
down_revision = "20261122"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
MOMENT = sa.TIMESTAMP(timezone=True)


def upgrade() -> None:
    """Create the tables and the index."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("renewed_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_sessions_user_id_users", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])

    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.PrimaryKeyConstraint("hash", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id_sessions", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])

    op.create_table(
        "login_failures",
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])

    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_idempotency_keys_user_id_users", ondelete="CASCADE"
        ),
    )

    top = [sa.text("vote_count DESC"), sa.text("id DESC")]
    op.create_index("ix_posts_published_top", "posts", top, postgresql_where=sa.text("published"))


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_posts_published_top", "posts")
    for table in ("idempotency_keys", "login_failures", "refresh_tokens", "sessions"):
        op.drop_table(table)
