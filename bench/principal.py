"""The cost of the principal row: reads in the server, with it and with a constant in its place."""

import re
from contextlib import closing
from statistics import median
from typing import Final, NamedTuple

from tqdm import tqdm

from bench.lists import LIMIT, REPEATS, VIEWER, milliseconds, with_values
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
        "a post": with_values(queries.read, values),
        f"a page of {LIMIT}": with_values(lists.feed_new, values | {"limit": LIMIT}),
        "a page of 100": with_values(lists.feed_new, values | {"limit": 100}),
    }
    with closing(connect(url)) as connection:
        costs = {}
        for name, read in tqdm(reads.items(), "principal"):
            pairs = [
                (milliseconds(connection, read), milliseconds(connection, _without_principal(read)))
                for _ in range(REPEATS)
            ]
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
    return sql[: match.end()] + CONSTANT + sql[end - 1 :]
