"""Count votes without waiting for other votes on the post, only in post_ranks and vote_deltas.

The number of votes on a post is `post_ranks.vote_count` plus the sum of its `vote_deltas`, in every snapshot.
`posts.vote_count` keeps the value that it has now.
"""

from alembic import op

revision = "20261125b"
down_revision = "20261125"
branch_labels = None
depends_on = None

SQUAWK = ["ban-drop-function"]  # only its triggers call rank_votes

# A statement that gets the lock of a counter adds its own votes and those of the deltas; one that does not
# adds a delta. This is exact because one transaction, under the lock, deletes deltas and adds what DELETE
# returned. The loop handles one post at a time, because sessions keep the plans of a function and a plan for
# many posts is slow for one post.
COUNT_VOTES = """
CREATE OR REPLACE FUNCTION count_votes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    direction CONSTANT integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
    post integer;
    change integer;
    folded integer;
BEGIN
    FOR post, change IN SELECT post_id, direction * count(*) FROM changed GROUP BY post_id LOOP
        PERFORM FROM post_ranks WHERE post_id = post FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            WITH late AS (
                DELETE FROM vote_deltas
                WHERE ctid = ANY (ARRAY(SELECT ctid FROM vote_deltas WHERE post_id = post LIMIT 1000))
                RETURNING step
            )
            SELECT coalesce(sum(step), 0) INTO folded FROM late;
            IF change + folded <> 0 THEN
                UPDATE post_ranks SET vote_count = vote_count + change + folded WHERE post_id = post;
            END IF;
        ELSE
            -- Another transaction has the counter, or it was deleted with its post.
            INSERT INTO vote_deltas (post_id, step)
            SELECT post_id, change FROM post_ranks WHERE post_id = post;
        END IF;
    END LOOP;
    RETURN NULL;
END
$$
"""

# Only an operator updates rows of votes.
COUNT_MOVED_VOTES = """
CREATE FUNCTION count_moved_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vote_deltas (post_id, step)
    SELECT post_id, sum(step)
    FROM (SELECT post_id, 1 AS step FROM added UNION ALL SELECT post_id, -1 FROM removed) AS moved
    GROUP BY post_id HAVING sum(step) <> 0;
    RETURN NULL;
END
$$
"""

COUNT_NO_VOTES = """
CREATE FUNCTION count_no_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
        RAISE feature_not_supported USING
            MESSAGE = 'TRUNCATE of votes needs an isolation level of READ COMMITTED',
            DETAIL = 'The counters of posts that are newer than the snapshot would not be reset.';
    END IF;
    -- Waits for statements that fold, so that the next statement sees what they added.
    DELETE FROM vote_deltas;
    UPDATE post_ranks SET vote_count = 0 WHERE vote_count <> 0;
    RETURN NULL;
END
$$
"""

RANK_NEW_POSTS = """
CREATE OR REPLACE FUNCTION rank_new_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO post_ranks (post_id, vote_count) SELECT id, {count} FROM created;
    RETURN NULL;
END
$$
"""

# The functions of the previous revision, for downgrade().
OLD_COUNT_VOTES = """
CREATE OR REPLACE FUNCTION count_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM posts WHERE id IN (SELECT post_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE posts SET vote_count = vote_count + step * number
    FROM (SELECT post_id, count(*) AS number FROM changed GROUP BY post_id) AS tally,
         (SELECT CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END AS step) AS direction
    WHERE posts.id = tally.post_id;
    RETURN NULL;
END
$$
"""
RANK_VOTES = """
CREATE FUNCTION rank_votes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE post_ranks SET vote_count = posts.vote_count
    FROM posts WHERE posts.id = post_ranks.post_id AND posts.id IN (SELECT post_id FROM changed);
    RETURN NULL;
END
$$
"""
COUNT_EXACTLY = """
UPDATE posts SET vote_count = number
FROM (
    SELECT id AS post_id, (SELECT count(*) FROM votes WHERE post_id = posts.id) AS number FROM posts
) AS tally
WHERE posts.id = tally.post_id AND vote_count <> number
"""


def upgrade() -> None:
    """Replace the triggers. The first statement waits for transactions whose votes the old triggers count."""
    for event in ("insert", "delete"):
        op.execute(f"DROP TRIGGER rank_votes_{event} ON votes")
    op.execute("DROP FUNCTION rank_votes")
    op.execute(COUNT_VOTES)
    op.execute(COUNT_MOVED_VOTES)
    op.execute(
        "CREATE TRIGGER count_votes_update AFTER UPDATE ON votes"
        " REFERENCING OLD TABLE AS removed NEW TABLE AS added"
        " FOR EACH STATEMENT EXECUTE FUNCTION count_moved_votes()"
    )
    op.execute(COUNT_NO_VOTES)
    op.execute(
        "CREATE TRIGGER count_votes_truncate AFTER TRUNCATE ON votes"
        " FOR EACH STATEMENT EXECUTE FUNCTION count_no_votes()"
    )
    op.execute(RANK_NEW_POSTS.format(count=0))


def downgrade() -> None:
    """Restore the old triggers and count all votes again."""
    op.execute("LOCK TABLE votes IN ACCESS EXCLUSIVE MODE")
    op.execute(RANK_NEW_POSTS.format(count="vote_count"))
    for event, function in (("truncate", "count_no_votes"), ("update", "count_moved_votes")):
        op.execute(f"DROP TRIGGER count_votes_{event} ON votes")
        op.execute(f"DROP FUNCTION {function}")
    op.execute(OLD_COUNT_VOTES)
    op.execute(RANK_VOTES)
    for event, table in (("INSERT", "NEW"), ("DELETE", "OLD")):
        op.execute(
            f"CREATE TRIGGER rank_votes_{event.lower()} AFTER {event} ON votes"
            f" REFERENCING {table} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION rank_votes()"
        )
    op.execute("DELETE FROM vote_deltas")
    op.execute(COUNT_EXACTLY)
    op.execute("UPDATE post_ranks SET vote_count = posts.vote_count FROM posts WHERE posts.id = post_id")
