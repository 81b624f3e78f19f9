"""The cost of the principal row: reads in the server, with it and with a constant in its place."""

import re
from contextlib import closing
from statistics import median
from typing import Final, NamedTuple

from tqdm import tqdm

from bench.lists import LIMIT, REPEATS, VIEWER, milliseconds, prepared
from posts import lists, queries
from posts.paging import FIRST_PAGE
from tests.support.database import connect

CONSTANT: Final = f"SELECT {VIEWER.user_id} AS id, ''::varchar AS email, now() AS created_at"
POST: Final = 5


class Cost(NamedTuple):
    """The median milliseconds of a read in the server."""

    with_principal: float
    without: float

    @property
    def share(self) -> float:
        """The share of the principal row."""
        return 1 - self.without / self.with_principal


def measure(url: str) -> dict[str, Cost]:
    """Return the cost in some reads of a filled database; the two kinds take turns."""
    position = FIRST_PAGE["new"]
    values = {**VIEWER._asdict(), "skip": 0, "after": position[0], "after_id": position[1], "post_id": POST}
    reads = {
        "a post": (queries.read, values),
        f"a page of {LIMIT}": (lists.feed_new, values | {"limit": LIMIT}),
        "a page of 100": (lists.feed_new, values | {"limit": 100}),
    }
    with closing(connect(url)) as connection:
        costs = {}
        for name, (read, all_values) in tqdm(reads.items(), "principal"):
            arguments = [all_values[parameter] for parameter in read.parameters]
            statements = [
                prepared(connection, sql, arguments) for sql in (read.sql, _without_principal(read.sql))
            ]
            pairs = [[milliseconds(connection, each) for each in statements] for _ in range(REPEATS)]
            costs[name] = Cost(*map(median, zip(*pairs, strict=True)))
        return costs


def _without_principal(sql: str) -> str:
    """Return a statement with a constant in place of the principal row."""
    match = re.search(r"\bprincipal AS \(", sql)
    if match is None:
        raise ValueError(f"no principal row in {sql}")
    depth, end = 1, match.end()
    while depth:
        depth += {"(": 1, ")": -1}.get(sql[end], 0)
        end += 1
    # PostgreSQL cannot prepare a statement that does not use each of its parameters.
    [session_id] = re.findall(r"\$\d+::VARCHAR", sql[match.end() : end])
    return f"{sql[: match.end()]}{CONSTANT}, {session_id} AS session_id{sql[end - 1 :]}"
