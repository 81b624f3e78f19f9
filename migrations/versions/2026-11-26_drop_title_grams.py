"""Drop the search index on posts, which every change of a title had to write.

Release 1.0 searches with this index. While release 1.0 still runs on this schema, its searches read all
titles, which takes 0.2 s at a million posts.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261126c"
down_revision = "20261126b"
branch_labels = None
depends_on = None

INDEX = "ix_posts_title_grams"


def upgrade() -> None:
    """Drop the index. Its function stays, because statements of release 1.0 call it."""
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "posts", if_exists=True, postgresql_concurrently=True)


def downgrade() -> None:
    """Create the index."""
    op.create_index(
        INDEX,
        "posts",
        [sa.text("grams(title, 1, 3)")],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
