"""The databases of a run: one is filled, and each target gets a copy, so that none sees another's writes."""

from typing import Final

from bench import data
from bench.targets import FLOOR, PEER, PROJECT, UVICORN
from bench.workload import OWN_POSTS
from local.postgres import Cluster

SIZE: Final = data.Size(users=1_000, posts=10_000, votes=30_000)
# What a tutorial's tables do not have; its list counts votes, its search reads every title.
AS_TUTORIAL: Final = (
    "DROP FUNCTION count_votes, rank_votes, rank_new_posts CASCADE",
    "DROP TABLE post_ranks",
    "DROP INDEX ix_posts_published_newest, ix_posts_owner_newest, ix_posts_title_grams, ix_votes_post_id",
    "ALTER TABLE posts DROP vote_count",
)


def prepare(cluster: Cluster) -> dict[str, str]:
    """Make the databases; return their URLs by FLOOR, PEER, PROJECT and UVICORN."""
    cluster.create_database("seed")
    data.fill(cluster.url("seed"), SIZE)
    first, last = OWN_POSTS[0], OWN_POSTS[-1]
    own = f"UPDATE posts SET owner_id = 1 WHERE id BETWEEN {first} AND {last}"  # noqa: S608  # two numbers of ours
    cluster.execute(own, "seed")
    cluster.execute("VACUUM ANALYZE", "seed")
    names = (FLOOR, PEER, PROJECT, UVICORN)
    for name in names:
        cluster.execute(f'CREATE DATABASE "{name}" TEMPLATE seed')
    for name in (PEER, UVICORN):
        for statement in AS_TUTORIAL:
            cluster.execute(statement, name)
    return {name: cluster.url(name) for name in names}
