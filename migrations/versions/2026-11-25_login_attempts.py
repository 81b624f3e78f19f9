"""Create the table of login attempts, and the marks of deleted users and posts and of ended sessions."""

import sqlalchemy as sa
from alembic import op

revision = "20261125c"
down_revision = "20261122d"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True)
INDEXES = (
    ("ix_posts_deleted", "posts", ["id"], "deleted_at IS NOT NULL"),
    ("ix_sessions_active", "sessions", ["user_id", "renewed_at"], "ended_at IS NULL"),
)

# A statement calls this function when a simultaneous statement was faster. The error rolls the statement
# back, and the caller runs it again.
RAISE_SERIALIZATION_FAILURE = """
CREATE FUNCTION raise_serialization_failure() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'a simultaneous statement was faster';
END
$$
"""


def upgrade() -> None:
    """Create the tables, columns and indexes. `login_failures` stays until no deployed function uses it."""
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("failures", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("failed_at", MOMENT),
        sa.Column("forgotten_at", MOMENT),
        sa.Column("reservations", sa.ARRAY(MOMENT), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("succeeded_at", MOMENT),
        sa.Column("touched_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_touched_at", "login_attempts", ["touched_at"])
    op.add_column("users", sa.Column("deleted_at", MOMENT))
    op.add_column("posts", sa.Column("deleted_at", MOMENT))
    op.add_column("sessions", sa.Column("ended_at", MOMENT))
    op.create_table(
        "deleted_users",
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_deleted_users"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_deleted_users_user_id_users", ondelete="CASCADE"
        ),
    )
    op.execute(RAISE_SERIALIZATION_FAILURE)
    with op.get_context().autocommit_block():
        for name, table, columns, condition in INDEXES:
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
            op.create_index(
                name, table, columns, postgresql_concurrently=True, postgresql_where=sa.text(condition)
            )


def downgrade() -> None:
    """Drop what upgrade() created."""
    for name, table, *_ in INDEXES:
        op.drop_index(name, table)
    op.execute("DROP FUNCTION raise_serialization_failure")
    op.drop_table("deleted_users")
    for table, column in (("sessions", "ended_at"), ("posts", "deleted_at"), ("users", "deleted_at")):
        op.drop_column(table, column)
    op.drop_table("login_attempts")
