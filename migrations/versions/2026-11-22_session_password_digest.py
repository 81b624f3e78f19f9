"""Add to each session the digest of the password hash with which it was opened."""

import sqlalchemy as sa
from alembic import op

revision = "20261122c"
down_revision = "20261122b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. It is NULL in sessions that exist."""
    op.add_column("sessions", sa.Column("password_digest", sa.LargeBinary))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("sessions", "password_digest")
