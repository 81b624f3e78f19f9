"""Create sessions, the limit on failed logins, idempotency keys, and the order of posts by votes."""

import sqlalchemy as sa
from alembic import op

revision = "20261122b"
down_revision = "20261122"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
TIMESTAMPTZ = sa.TIMESTAMP(timezone=True)

CREATE_RANK_NEW_POSTS = """
CREATE FUNCTION rank_new_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO post_ranks (post_id, vote_count) SELECT id, vote_count FROM created;
    RETURN NULL;
END
$$
"""

CREATE_RANK_VOTES = """
CREATE FUNCTION rank_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE post_ranks SET vote_count = posts.vote_count
    FROM posts WHERE posts.id = post_ranks.post_id AND posts.id IN (SELECT post_id FROM changed);
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Create the tables, their indexes and their triggers."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("renewed_at", TIMESTAMPTZ, server_default=NOW, nullable=False),
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
        sa.Column("created_at", TIMESTAMPTZ, server_default=NOW, nullable=False),
        sa.Column("used_at", TIMESTAMPTZ),
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
        sa.Column("last_at", TIMESTAMPTZ, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])

    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False),
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("created_at", TIMESTAMPTZ, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_idempotency_keys_user_id_users", ondelete="CASCADE"
        ),
    )

    op.create_table(
        "post_ranks",
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("vote_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("post_id", name="pk_post_ranks"),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name="fk_post_ranks_post_id_posts", ondelete="CASCADE"
        ),
    )
    top = [sa.text("vote_count DESC"), sa.text("post_id DESC")]
    op.create_index("ix_post_ranks_top", "post_ranks", top)
    op.execute(CREATE_RANK_NEW_POSTS)
    op.execute(
        "CREATE TRIGGER rank_new_posts AFTER INSERT ON posts"
        " REFERENCING NEW TABLE AS created FOR EACH STATEMENT EXECUTE FUNCTION rank_new_posts()"
    )
    op.execute(CREATE_RANK_VOTES)
    for event, table in (("INSERT", "NEW"), ("DELETE", "OLD")):
        # PostgreSQL runs triggers in the order of their names: count_votes first, which locks the posts.
        op.execute(
            f"CREATE TRIGGER rank_votes_{event.lower()} AFTER {event} ON votes"
            f" REFERENCING {table} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION rank_votes()"
        )
    op.execute("INSERT INTO post_ranks (post_id, vote_count) SELECT id, vote_count FROM posts")


def downgrade() -> None:
    """Drop what upgrade() created."""
    for event in ("insert", "delete"):
        op.execute(f"DROP TRIGGER rank_votes_{event} ON votes")
    op.execute("DROP TRIGGER rank_new_posts ON posts")
    for function in ("rank_votes", "rank_new_posts"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("post_ranks", "idempotency_keys", "login_failures", "refresh_tokens", "sessions"):
        op.drop_table(table)
