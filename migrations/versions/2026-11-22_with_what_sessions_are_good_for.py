"""Sessions know the password that they are good for."""

import sqlalchemy as sa
from alembic import op

revision = "20261122c"
down_revision = "20261122b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; sessions that are open stay without."""
    op.add_column("sessions", sa.Column("password_digest", sa.LargeBinary))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("sessions", "password_digest")
