"""Add the e-mail addresses of users in lower case, as Python computes it."""

import sqlalchemy as sa
from alembic import op

revision = "20261126e"
down_revision = "20261126d"
branch_labels = None
depends_on = None

# Release 1.0 and operators write an address without its lower case. Then this trigger computes the lower case
# with the database's locale, as release 1.0 does. In an UPDATE, a value that the statement sets begins with a
# blank here, because the trigger mark_lower_case_email runs first.
SET_LOWER_CASE_EMAIL = """
CREATE FUNCTION set_lower_case_email() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.lower_case_email := coalesce(NEW.lower_case_email, lower(NEW.email));
    ELSIF starts_with(NEW.lower_case_email, ' ') THEN
        NEW.lower_case_email := substr(NEW.lower_case_email, 2);
    ELSIF NEW.email <> OLD.email THEN
        NEW.lower_case_email := lower(NEW.email);
    END IF;
    RETURN NEW;
END
$$
"""

# Only a trigger on UPDATE OF the column knows whether a statement sets the column: its value may stay the
# same.
MARK_LOWER_CASE_EMAIL = """
CREATE FUNCTION mark_lower_case_email() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lower_case_email := ' ' || NEW.lower_case_email;
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    """Add the column and the triggers, which set it for addresses that are written from now on."""
    op.add_column("users", sa.Column("lower_case_email", sa.String))
    op.execute(SET_LOWER_CASE_EMAIL)
    op.execute(MARK_LOWER_CASE_EMAIL)
    # PostgreSQL runs triggers of the same event in the order of their names.
    op.execute(
        "CREATE TRIGGER mark_lower_case_email BEFORE UPDATE OF lower_case_email ON users"
        " FOR EACH ROW EXECUTE FUNCTION mark_lower_case_email()"
    )
    op.execute(
        "CREATE TRIGGER set_lower_case_email BEFORE INSERT OR UPDATE OF email, lower_case_email ON users"
        " FOR EACH ROW EXECUTE FUNCTION set_lower_case_email()"
    )


def downgrade() -> None:
    """Drop what upgrade() created."""
    for trigger in ("set_lower_case_email", "mark_lower_case_email"):
        op.execute(f"DROP TRIGGER {trigger} ON users")
        op.execute(f"DROP FUNCTION {trigger}")
    op.drop_column("users", "lower_case_email")
