"""Index the idempotency keys of a user by age, so that the sweep reads only the old ones."""

from alembic import op

revision = "20261122d"
down_revision = "20261122c"
branch_labels = None
depends_on = None

INDEX = "ix_idempotency_keys_user_id_created_at"


def upgrade() -> None:
    """Create the index."""
    with op.get_context().autocommit_block():
        # A failed CREATE INDEX CONCURRENTLY leaves an invalid index.
        op.drop_index(INDEX, "idempotency_keys", if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, "idempotency_keys", ["user_id", "created_at"], postgresql_concurrently=True)


def downgrade() -> None:
    """Drop the index."""
    op.drop_index(INDEX, "idempotency_keys")
