"""Add the address that a user has verified, and the table of the tokens in links of mails."""

import sqlalchemy as sa
from alembic import op

revision = "20261126g"
down_revision = "20261126f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, which is NULL for users that exist, and create the table."""
    op.add_column("users", sa.Column("verified_email", sa.String))
    op.create_table(
        "mail_tokens",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.Column("email", sa.String, nullable=False),
        sa.Column("lower_case_email", sa.String, nullable=False),
        sa.Column("account_digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "purpose", "slot", name="pk_mail_tokens"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_mail_tokens_user_id_users", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("hash", name="uq_mail_tokens_hash"),
    )
    op.create_index("ix_mail_tokens_expires_at", "mail_tokens", ["expires_at"])
    op.create_index(
        "ix_mail_tokens_reserved",
        "mail_tokens",
        ["lower_case_email"],
        postgresql_where=sa.text("purpose = 'revert'"),
    )


def downgrade() -> None:
    """Drop what upgrade() created."""
    op.drop_table("mail_tokens")
    op.drop_column("users", "verified_email")
