"""Create the table that counts how often each account has used its quotas."""

import sqlalchemy as sa
from alembic import op

revision = "20261126d"
down_revision = "20261126c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "quota_usage",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("resets_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "action", name="pk_quota_usage"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_quota_usage_user_id_users", ondelete="CASCADE"
        ),
        # Every use updates a row. With room in its page, the update adds no entry to the index.
        postgresql_with={"fillfactor": 70},
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("quota_usage")
