"""Votes that the counter of their post does not include yet."""

import sqlalchemy as sa
from alembic import op

revision = "20261125"
down_revision = "20261125c"
branch_labels = None
depends_on = None

# Deltas of a post remain after its last vote until the next vote on it.
FORGET_DELTAS = """
CREATE FUNCTION forget_deltas() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM vote_deltas WHERE post_id = ANY (ARRAY(SELECT id FROM removed));
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Create the table: code that adds its rows to the counter is exact while it is empty, too."""
    op.create_table(
        "vote_deltas",
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("post_id", "id", name="pk_vote_deltas"),
        # No foreign key: it would lock a row of the post, and make votes wait for statements that hold it.
        # Rows are deleted as fast as they come: the usual share of the table says nothing.
        postgresql_with={"autovacuum_vacuum_threshold": 1000, "autovacuum_vacuum_scale_factor": 0},
    )
    op.execute(FORGET_DELTAS)
    op.execute(
        "CREATE TRIGGER forget_deltas AFTER DELETE ON posts"
        " REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION forget_deltas()"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TRIGGER forget_deltas ON posts")
    op.execute("DROP FUNCTION forget_deltas")
    op.drop_table("vote_deltas")
