"""Limits that are part of statements.

Those of lists tell how much they read: together they keep a list below 50 ms at a million posts.
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer, literal_column

from posts.schemas import MAX_TITLE_LENGTH

# The number of posts that a list reads in its order beyond those that it needs: 1 ms.
FIRST_SCAN: ColumnElement[int] = literal_column("2000", Integer())
# The number of posts that it reads if there is no faster way: 5 to 20 ms.
LONG_SCAN: ColumnElement[int] = literal_column("10000", Integer())
SCAN_BY_VOTES: ColumnElement[int] = literal_column("5000", Integer())
# The number of posts that it sorts if an index finds them in another order: 5 to 20 ms.
CANDIDATES: ColumnElement[int] = literal_column("8192", Integer())
# The time after which a search begins no further segment, and the number of segments that it searches anyway:
# a database with few posts needs no second page, however busy it is.
SEARCH_TIME: ColumnElement[Any] = literal_column("interval '20 milliseconds'")
MIN_SEGMENTS: ColumnElement[int] = literal_column("2", Integer())
# The length of the part of a title that is searched: the maximum of release 1.0. `post_titles` has no more.
SEARCHED_LENGTH: ColumnElement[int] = literal_column("1000", Integer())
# The length of a new title.
TITLE_LENGTH: ColumnElement[int] = literal_column(str(MAX_TITLE_LENGTH), Integer())
