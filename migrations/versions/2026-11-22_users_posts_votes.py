"""Create users, posts and votes as in the reference, a counter of votes, and the indexes of lists."""

import sqlalchemy as sa
from alembic import op

revision = "20261122"
down_revision = None
branch_labels = None
depends_on = None

NOW = sa.text("now()")
TIMESTAMPTZ = sa.TIMESTAMP(timezone=True)

# All substrings of a text with `shortest` to `longest` characters. Duplicates may stay, because the index
# drops them. PARALLEL RESTRICTED, because a search ends before parallel workers would have started.
CREATE_GRAMS = """
CREATE FUNCTION grams(value text, shortest integer, longest integer) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL RESTRICTED COST 1000
RETURN ARRAY(
    SELECT substr(value, start, size)
    FROM generate_series(shortest, longest) AS size, generate_series(1, length(value) - size + 1) AS start
)
"""

# A statement-level trigger sees every change of votes: by the API, by a cascade and by an operator. It locks
# the posts in the order of their ids, so that two cascades over the same posts wait instead of deadlocking.
CREATE_COUNT_VOTES = """
CREATE FUNCTION count_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM posts WHERE id IN (SELECT post_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE posts SET vote_count = vote_count + step * number
    FROM (SELECT post_id, count(*) AS number FROM changed GROUP BY post_id) AS tally,
         (SELECT CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END AS step) AS direction
    WHERE posts.id = tally.post_id;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Create the tables, their indexes and their triggers."""
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("email", sa.String, nullable=False),
        sa.Column("password", sa.String, nullable=False),
        sa.Column("created_at", TIMESTAMPTZ, server_default=NOW, nullable=False),
        sa.Column("phone_number", sa.String),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_index("uq_users_lower_email", "users", [sa.text("lower(email)")], unique=True)

    op.create_table(
        "posts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("content", sa.String, nullable=False),
        sa.Column("published", sa.Boolean, server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", TIMESTAMPTZ, server_default=NOW, nullable=False),
        sa.Column("owner_id", sa.Integer, nullable=False),
        sa.Column("vote_count", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_posts"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name="fk_posts_owner_id_users", ondelete="CASCADE"
        ),
        # Free space in each page for the next vote_count: a row that moves to another page is indexed again.
        postgresql_with={"fillfactor": 90},
    )
    newest = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index("ix_posts_published_newest", "posts", newest, postgresql_where=sa.text("published"))
    op.create_index("ix_posts_owner_newest", "posts", ["owner_id", "published", *newest])
    op.execute(CREATE_GRAMS)
    op.create_index(
        "ix_posts_title_grams",
        "posts",
        [sa.text("grams(title, 1, 3)")],
        postgresql_using="gin",
        # With fastupdate, every search reads a list of pending entries, and now and then an insert clears it.
        postgresql_with={"fastupdate": "off"},
    )

    op.create_table(
        "votes",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "post_id", name="pk_votes"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_votes_user_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="fk_votes_post_id_posts", ondelete="CASCADE"),
    )
    op.create_index("ix_votes_post_id", "votes", ["post_id"])
    op.execute(CREATE_COUNT_VOTES)
    for event, table in (("INSERT", "NEW"), ("DELETE", "OLD")):
        op.execute(
            f"CREATE TRIGGER count_votes_{event.lower()} AFTER {event} ON votes"
            f" REFERENCING {table} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_votes()"
        )


def downgrade() -> None:
    """Drop what upgrade() created."""
    op.drop_table("votes")
    op.execute("DROP FUNCTION count_votes")
    op.drop_table("posts")
    op.execute("DROP FUNCTION grams")
    op.drop_table("users")
