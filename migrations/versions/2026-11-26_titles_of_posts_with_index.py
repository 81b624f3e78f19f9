"""Copy the titles of older posts, and create the index that finds titles by their trigrams."""

import sqlalchemy as sa
from alembic import op

revision = "20261126b"
down_revision = "20261126"
branch_labels = None
depends_on = None

INDEX = "ix_post_titles_keys"

# The lock keeps a post from being marked as deleted, because a deleted post must have no copy. Locked posts
# are skipped, so that a batch does not wait. Batches are small, so that requests wait for them only briefly.
COPY_BATCH = """
WITH batch AS (
    SELECT id, owner_id, published, created_at, left(title, 1000) AS title FROM posts
    WHERE id > :last AND deleted_at IS NULL ORDER BY id LIMIT 2000 FOR SHARE SKIP LOCKED
),
copied AS (
    INSERT INTO post_titles (post_id, owner_id, published, created_at, title)
    SELECT id, owner_id, published, created_at, title FROM batch ON CONFLICT DO NOTHING
)
SELECT max(id) FROM batch
"""

# Copies the posts that the batches skipped.
COPY_REST = """
INSERT INTO post_titles (post_id, owner_id, published, created_at, title)
SELECT id, owner_id, published, created_at, left(title, 1000) FROM posts
WHERE deleted_at IS NULL AND NOT EXISTS (SELECT FROM post_titles WHERE post_id = posts.id) FOR SHARE
ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Copy the titles, in batches, and create the index. A failed attempt keeps what it has copied."""
    with op.get_context().autocommit_block():
        if not op.get_context().as_sql:
            last = -(2**31)
            while last is not None:
                last = op.get_bind().scalar(sa.text(COPY_BATCH), {"last": last})
        op.execute(COPY_REST)
        # A failed CREATE INDEX CONCURRENTLY leaves an invalid index.
        op.drop_index(INDEX, "post_titles", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            INDEX,
            "post_titles",
            [sa.text("title_keys(post_id >> 16, title)")],
            postgresql_using="gin",
            # With fastupdate, every search reads a list of pending entries, which some writes have to clear.
            postgresql_with={"fastupdate": "off"},
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(INDEX, "post_titles")
