"""Add to each session when it was opened, and by which user agent, so that its user can recognize it."""

import sqlalchemy as sa
from alembic import op

revision = "20261126h"
down_revision = "20261126g"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns. They are NULL in sessions that exist, because nobody knows when they were opened."""
    op.add_column("sessions", sa.Column("created_at", sa.TIMESTAMP(timezone=True)))
    # Set afterwards, because a new column with a default would give existing sessions the present time.
    op.alter_column("sessions", "created_at", server_default=sa.text("now()"))
    op.add_column("sessions", sa.Column("user_agent", sa.String))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("sessions", "user_agent")
    op.drop_column("sessions", "created_at")
