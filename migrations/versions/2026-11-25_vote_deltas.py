"""Create the table of votes that the counters of their posts do not include yet."""

import sqlalchemy as sa
from alembic import op

revision = "20261125"
down_revision = "20261125c"
branch_labels = None
depends_on = None

# Deltas have no foreign key, so a trigger removes those of a deleted post.
FORGET_DELTAS = """
CREATE FUNCTION forget_deltas() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM vote_deltas WHERE post_id = ANY (ARRAY(SELECT id FROM removed));
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Create the table. While it is empty, code that adds its rows to the counter is already exact."""
    op.create_table(
        "vote_deltas",
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("post_id", "id", name="pk_vote_deltas"),
        # No foreign key: its check would lock the post, and votes would wait for statements that lock it.
        # Rows are deleted as fast as they are added, so a share of the table is no useful threshold.
        postgresql_with={"autovacuum_vacuum_threshold": 1000, "autovacuum_vacuum_scale_factor": 0},
    )
    op.execute(FORGET_DELTAS)
    op.execute(
        "CREATE TRIGGER forget_deltas AFTER DELETE ON posts"
        " REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION forget_deltas()"
    )


def downgrade() -> None:
    """Drop what upgrade() created."""
    op.execute("DROP TRIGGER forget_deltas ON posts")
    op.execute("DROP FUNCTION forget_deltas")
    op.drop_table("vote_deltas")
