# ruff: noqa: ANN401  # pg8000 has no types, and the attributes of a Statement are read here
"""Lists and searches as tables grow: the statements of the project, timed by the server."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from hashlib import sha256
from statistics import median
from typing import Any, Final

from pg8000.native import literal
from tqdm import tqdm

from bench.databases import Size, fill
from bench.packages import SESSION
from common.connection import PLANNER_SETTINGS
from common.principal import Principal
from local.postgres import Cluster
from posts import lists
from posts.paging import FIRST_PAGE
from tests.support.database import connect

SMALL: Final = {"1k": Size(500, 1_000, 10_000), "100k": Size(50_000, 100_000, 1_000_000)}
LARGE: Final = {"1M": Size(500_000, 1_000_000, 10_000_000)}
VIEWER: Final = Principal(1, SESSION)
LIMIT: Final = 10
REPEATS: Final = 101
# The reference takes seconds, and the project less than a thousandth of one.
REFERENCE_REPEATS: Final = 3

NO_MATCH: Final = ("q", "qq", "qqq", "qqqqq", "q" * 20, "%", "()", "日本語")
# Counts the titles of a sample that contain each word.
WORDS: Final = """
    SELECT word, count(*) FROM (SELECT unnest(string_to_array(title, ' ')) AS word
        FROM (SELECT title FROM posts WHERE id % 10 = 1 ORDER BY id LIMIT 10000) AS sample) AS words
    GROUP BY word ORDER BY 2 DESC
"""
UNCOMMON_SHARE: Final = 0.003

# The list of the reference application: it counts every vote of every post that matches.
REFERENCE: Final = """
    SELECT posts.*, users.email, count(votes.post_id) FROM posts
    JOIN users ON users.id = posts.owner_id LEFT JOIN votes ON votes.post_id = posts.id
    WHERE posts.title LIKE {pattern} AND (posts.published OR posts.owner_id = 1)
    GROUP BY posts.id, users.id ORDER BY posts.created_at DESC, posts.id DESC LIMIT 10 OFFSET {skip}
"""


def measure(cluster: Cluster, sizes: dict[str, Size]) -> dict[str, dict[str, float]]:
    """Return the milliseconds in the server by case and size; a case of the reference ends in "reference"."""
    for name, size in tqdm(sizes.items(), "filling tables"):
        cluster.create_database(name)
        fill(cluster.url(name), size)
    with ExitStack() as stack:
        # The reference has connections of its own, because it is planned with the defaults of PostgreSQL.
        ours, its = (
            {name: stack.enter_context(closing(connect(cluster.url(name)))) for name in sizes}
            for _ in range(2)
        )
        cases = {name: dict(_cases(ours[name], size)) for name, size in sizes.items()}
        times = {}
        for case in tqdm(next(iter(cases.values())), "lists and searches"):
            connections = its if case.endswith("reference") else ours
            times[case] = _in_turns(case, {name: (connections[name], cases[name][case]) for name in sizes})
        return times


def _in_turns(case: str, statements: dict[str, tuple[Any, str]]) -> dict[str, float]:
    """Return the median time of a case by size. The sizes take turns, because other load comes and goes."""
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(REFERENCE_REPEATS if case.endswith("reference") else REPEATS):
        for name, (connection, statement) in statements.items():
            times[name].append(milliseconds(connection, statement))
    return {name: median(each) for name, each in times.items()}


def _cases(connection: Any, size: Size) -> Iterator[tuple[str, str]]:

    def after(post: int, key: str) -> tuple[str, int]:
        joined = "posts JOIN post_ranks ON post_id = id WHERE id = :post"
        ((value,),) = connection.run(f"SELECT {key}::text FROM {joined}", post=post)  # noqa: S608  # constants
        return value, post

    def page(query: Any, position: tuple[str, int], **values: object) -> str:
        values = {**VIEWER._asdict(), "limit": LIMIT, "skip": 0} | values
        values |= {"after": position[0], "after_id": position[1]}
        return prepared(connection, query.sql, [values[name] for name in query.parameters])

    deep = size.posts // 10
    words = connection.run(WORDS)
    sample = min(size.posts // 10, 10_000)
    common = words[0][0]
    uncommon = min(words, key=lambda word: abs(word[1] - UNCOMMON_SHARE * sample))[0]
    ((title,),) = connection.run("SELECT title FROM posts WHERE id = :post", post=size.posts // 2 + 1)
    newest = FIRST_PAGE["new"]
    yield "first page", page(lists.feed_new, newest)
    yield "first page of 100", page(lists.feed_new, newest, limit=100)
    yield "deep page", page(lists.feed_new, after(deep, "created_at"))
    yield "page with the hot post", page(lists.feed_new, after(size.posts - 9, "created_at"))
    yield "first page, oldest first", page(lists.feed_old, FIRST_PAGE["old"])
    yield "first page, most votes first", page(lists.feed_top, FIRST_PAGE["top"])
    yield (
        "deep page, most votes first",
        page(lists.feed_top, after(size.posts // 2 + 1, "post_ranks.vote_count")),
    )
    yield "first page of an author", page(lists.author_new, newest, author=2, term="")
    for term in NO_MATCH:
        yield f"search, no match: {term}", page(lists.search_new, newest, term=term)
    yield "search, no match, most votes first", page(lists.search_top, FIRST_PAGE["top"], term="qqqqq")
    yield "search, one match", page(lists.search_new, newest, term=title)
    yield "search, in 0.3% of the titles", page(lists.search_new, newest, term=uncommon)
    yield "search, in many titles", page(lists.search_new, newest, term=common)
    yield "search, in many titles, most votes first", page(lists.search_top, FIRST_PAGE["top"], term=common)
    yield "search, one letter, in most titles", page(lists.search_new, newest, term="a")
    everything = literal("%")
    yield "first page, reference", REFERENCE.format(pattern=everything, skip=0)
    yield "deep page, reference", REFERENCE.format(pattern=everything, skip=size.posts * 8 // 10)
    yield "search, no match, reference", REFERENCE.format(pattern=literal("%qqqqq%"), skip=0)
    yield "search, in many titles, reference", REFERENCE.format(pattern=literal(f"%{common}%"), skip=0)


def prepared(connection: Any, sql: str, values: Iterable[object]) -> str:
    """Prepare a statement as the functions do, and return the SQL that runs it with these values."""
    name = f"p{sha256(sql.encode()).hexdigest()[:32]}"
    if not connection.run("SELECT FROM pg_prepared_statements WHERE name = :name", name=name):
        for setting, value in PLANNER_SETTINGS.items():
            connection.run(f"SET {setting} = {value}")
        connection.run(f"PREPARE {name} AS {sql}")
    return f"EXECUTE {name} ({', '.join(map(literal, values))})"


def milliseconds(connection: Any, statement: str) -> float:
    """Return the time for planning and execution; timing each plan node would add to it."""
    ((report,),) = connection.run(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}")
    plan = (json.loads(report) if isinstance(report, str) else report)[0]
    return float(plan["Planning Time"] + plan["Execution Time"])
