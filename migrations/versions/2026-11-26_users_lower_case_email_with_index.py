"""Set the lower case of older addresses, and create the index that makes it unique."""

import sqlalchemy as sa
from alembic import op

from migrations.runner import MigrationError

revision = "20261126f"
down_revision = "20261126e"
branch_labels = None
depends_on = None

SQUAWK = ["ban-drop-constraint"]  # the constraint exists only to speed up SET NOT NULL
INDEX = "uq_users_lower_case_email"
CHECK = "ck_users_lower_case_email"
# How many groups of users the error message lists.
MAX_GROUPS = 20

# Includes non-ASCII addresses whose lower case the trigger computed with the database's locale.
NEXT_ADDRESSES = """
SELECT id, email FROM users
WHERE id > :last AND (lower_case_email IS NULL OR email ~ '[^[:ascii:]]') ORDER BY id LIMIT 2000
"""

# Skips an address that has changed in the meantime: that change has set its lower case.
SET_LOWER_CASE = """
UPDATE users SET lower_case_email = made.lower_case_email
FROM unnest(CAST(:ids AS integer[]), CAST(:emails AS text[]), CAST(:lower_case AS text[]))
    AS made (id, email, lower_case_email)
WHERE users.id = made.id AND users.email = made.email
"""

CONFLICTS = """
SELECT string_agg(CAST(id AS text), ' and ' ORDER BY id) FROM users
GROUP BY lower_case_email HAVING count(*) > 1 ORDER BY min(id)
"""


def upgrade() -> None:
    """Set the lower case of each address, in batches, and require that no two are equal."""
    with op.get_context().autocommit_block():
        if not op.get_context().as_sql:
            _set_lower_case()
            _check_conflicts()
        # A failed CREATE INDEX CONCURRENTLY leaves an invalid index.
        op.drop_index(INDEX, "users", if_exists=True, postgresql_concurrently=True)
        op.create_index(INDEX, "users", ["lower_case_email"], unique=True, postgresql_concurrently=True)
        # With a validated constraint, SET NOT NULL does not scan the table under its exclusive lock.
        op.execute(f"ALTER TABLE users DROP CONSTRAINT IF EXISTS {CHECK}")
        op.execute(f"ALTER TABLE users ADD CONSTRAINT {CHECK} CHECK (lower_case_email IS NOT NULL) NOT VALID")
        op.execute(f"ALTER TABLE users VALIDATE CONSTRAINT {CHECK}")
        op.alter_column("users", "lower_case_email", nullable=False)
        op.execute(f"ALTER TABLE users DROP CONSTRAINT {CHECK}")


def _set_lower_case() -> None:
    connection = op.get_bind()
    last = -(2**31)
    while rows := connection.execute(sa.text(NEXT_ADDRESSES), {"last": last}).all():
        emails = [email for _, email in rows]
        values = {
            "ids": [user_id for user_id, _ in rows],
            "emails": emails,
            "lower_case": [email.lower() for email in emails],
        }
        connection.execute(sa.text(SET_LOWER_CASE), values)
        last = rows[-1].id


def _check_conflicts() -> None:
    groups = op.get_bind().scalars(sa.text(CONFLICTS)).all()
    if groups:
        more = f" (the first {MAX_GROUPS} of {len(groups)} groups)" if len(groups) > MAX_GROUPS else ""
        raise MigrationError(
            "the addresses of these users differ only in letter case: "
            f"{'; '.join(groups[:MAX_GROUPS])}{more}. Change or delete all but one of each, and migrate again"
        )


def downgrade() -> None:
    """Drop the index and the constraint."""
    op.drop_index(INDEX, "users")
    op.alter_column("users", "lower_case_email", nullable=True)
