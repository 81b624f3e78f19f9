"""Limits that are part of statements.

Those of lists tell how much they read: together they keep a list below 50 ms at a million posts.
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer, literal_column

from posts.schemas import MAX_CONTENT_LENGTH, MAX_TITLE_LENGTH, OLD_MAX_TITLE_LENGTH

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
# The length of a new title.
NEW_TITLE_LENGTH: ColumnElement[int] = literal_column(str(MAX_TITLE_LENGTH), Integer())
# The lengths of the parts of a title and of a content that are read. `post_titles` has no more of a title.
TITLE_LENGTH: ColumnElement[int] = literal_column(str(OLD_MAX_TITLE_LENGTH), Integer())
CONTENT_LENGTH: ColumnElement[int] = literal_column(str(MAX_CONTENT_LENGTH), Integer())
CONTENT_BYTES: ColumnElement[int] = literal_column(str(4 * MAX_CONTENT_LENGTH), Integer())
# The size of a page. Lambda's limit for a response is 6 MB.
PAGE_BYTES: ColumnElement[int] = literal_column("4000000", Integer())
# What a post takes on a page beyond its title and content, with an address of 254 characters.
OTHER_BYTES: ColumnElement[int] = literal_column("1500", Integer())
