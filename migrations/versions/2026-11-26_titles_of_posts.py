"""Copy each title into a table of its own, so that no other change of a post touches the search index."""

import sqlalchemy as sa
from alembic import op

revision = "20261126"
down_revision = "20261125b"
branch_labels = None
depends_on = None

TIME = sa.TIMESTAMP(timezone=True)

# Characters are mapped to a few numbers, so that the index of a segment has at most about a million different
# keys, whatever users write: VACUUM never removes a key. The first character of a trigram keeps most of its
# information, because a search for one or two characters uses the beginning of trigrams.
# An array in PL/pgSQL takes half the time of a window function.
TITLE_TRIGRAMS = """
CREATE FUNCTION title_trigrams(title text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 100 AS $$
DECLARE
    code CONSTANT integer[] := ARRAY(SELECT ascii(character) FROM string_to_table(title, NULL) AS character);
BEGIN
    RETURN ARRAY(
        SELECT concat(chr(256 + code[i] % 1024), chr(256 + code[i + 1] % 32), chr(256 + code[i + 2] % 16))
        FROM generate_subscripts(code, 1) AS i
    );
END
$$
"""

# The keys of a title in the index. Each key costs a hundred bytes of WAL. A title of more than 128 characters
# (a long title) therefore has only every third trigram, marked with +, and the key + alone, by which all long
# titles of a segment are found.
TITLE_KEYS = """
CREATE FUNCTION title_keys(segment integer, title text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 100
RETURN (
    SELECT array_to_tsvector(
        CASE WHEN size <= 128
        THEN ARRAY(SELECT concat(segment, ' ', trigram) FROM unnest(trigrams) AS trigram)
        ELSE concat(segment, '+')
            || ARRAY(SELECT concat(segment, '+', trigrams[i]) FROM generate_series(1, size, 3) AS i)
        END
    )
    FROM title_trigrams(title) AS trigrams, cardinality(trigrams) AS size
)
"""

# The tsquery for titles that contain a term, with # instead of the number of the segment. It is an
# alternative of four queries: one for short titles, and three for long titles, whose trigrams can begin at
# the first, second or third character of the term. For the term 'abcdefgh', a long title has the trigrams abc
# and def, or bcd and efg, or cde and fgh. A term that has no whole trigram from there on is found by the
# beginning of one. For a term of one or two characters, all long titles are candidates. A query has at most
# 16 trigrams (5 for long titles), evenly spaced: all trigrams would find hardly fewer other titles.
TERM_KEYS = """
CREATE FUNCTION term_keys(term text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 100
RETURN (
    SELECT string_agg(
        DISTINCT CASE
            WHEN whole > 0 THEN (
                SELECT string_agg(DISTINCT concat('''#', mark, trigrams[first + step * nth], ''''), ' & ')
                FROM (
                    SELECT i * (whole - 1) / greatest(used - 1, 1) AS nth
                    FROM generate_series(0, used - 1) AS i
                ) AS evenly_spaced
            )
            WHEN mark = ' ' OR length(term) > 2 THEN concat('''#', mark, trigrams[first], ''':*')
            ELSE concat('''#', mark, '''')
        END,
        ' | '
    )
    FROM title_trigrams(term) AS trigrams,
        (VALUES (' ', 1, 1, 16), ('+', 1, 3, 5), ('+', 2, 3, 5), ('+', 3, 3, 5))
            AS kind (mark, first, step, most),
        LATERAL (SELECT (length(term) - 2 - first + step) / step AS whole) AS available,
        LATERAL (SELECT least(whole, most) AS used) AS chosen
)
"""

COPY_NEW_TITLES = """
CREATE FUNCTION copy_new_titles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO post_titles (post_id, owner_id, published, created_at, title)
    SELECT id, owner_id, published, created_at, left(title, 1000) FROM created WHERE deleted_at IS NULL;
    RETURN NULL;
END
$$
"""

# A deleted post has no copy; a post from before this table may have none yet. CASE keeps the stored value of
# a title that stays the same. If it were assigned again, PostgreSQL would compare the compressed title with
# the plain one byte by byte, see a difference, and write all entries of the index.
COPY_CHANGED_TITLE = """
CREATE FUNCTION copy_changed_title() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.deleted_at IS NOT NULL THEN
        DELETE FROM post_titles WHERE post_id = NEW.id;
        RETURN NULL;
    END IF;
    INSERT INTO post_titles (post_id, owner_id, published, created_at, title)
    VALUES (NEW.id, NEW.owner_id, NEW.published, NEW.created_at, left(NEW.title, 1000))
    ON CONFLICT (post_id) DO UPDATE SET
        owner_id = excluded.owner_id,
        published = excluded.published,
        created_at = excluded.created_at,
        title = CASE WHEN post_titles.title = excluded.title THEN post_titles.title ELSE excluded.title END;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Create the table and the triggers, which copy the titles of posts that are written from now on."""
    op.create_table(
        "post_titles",
        sa.Column("post_id", sa.Integer, nullable=False),
        sa.Column("owner_id", sa.Integer, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("post_id", name="pk_post_titles"),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name="fk_post_titles_post_id_posts", ondelete="CASCADE"
        ),
        # Room in each page for the next version of a row: a row that moves to another page is indexed again.
        postgresql_with={"fillfactor": 90},
    )
    # Ascending, because pages of an index that grows at its lower end stay half empty.
    op.create_index("ix_post_titles_created_at_post_id", "post_titles", ["created_at", "post_id"])
    op.create_index(
        "ix_post_titles_segment", "post_titles", [sa.text("(post_id >> 16)"), "created_at", "post_id"]
    )
    for function in (TITLE_TRIGRAMS, TITLE_KEYS, TERM_KEYS, COPY_NEW_TITLES, COPY_CHANGED_TITLE):
        op.execute(function)
    op.execute(
        "CREATE TRIGGER copy_new_titles AFTER INSERT ON posts"
        " REFERENCING NEW TABLE AS created FOR EACH STATEMENT EXECUTE FUNCTION copy_new_titles()"
    )
    op.execute(
        "CREATE TRIGGER copy_changed_title AFTER UPDATE OF title, owner_id, published, created_at, deleted_at"
        " ON posts FOR EACH ROW WHEN ("
        "(OLD.title, OLD.owner_id, OLD.published, OLD.created_at, OLD.deleted_at) IS DISTINCT FROM"
        " (NEW.title, NEW.owner_id, NEW.published, NEW.created_at, NEW.deleted_at)"
        ") EXECUTE FUNCTION copy_changed_title()"
    )


def downgrade() -> None:
    """Drop what upgrade() created."""
    for trigger in ("copy_changed_title", "copy_new_titles"):
        op.execute(f"DROP TRIGGER {trigger} ON posts")
        op.execute(f"DROP FUNCTION {trigger}")
    op.drop_table("post_titles")
    for function in ("term_keys", "title_keys", "title_trigrams"):
        op.execute(f"DROP FUNCTION {function}")
