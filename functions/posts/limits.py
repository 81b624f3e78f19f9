"""Limits that are part of statements.

The limits of lists bound how many posts a statement reads, which keeps a list below 50 ms at a million posts.
"""

from typing import Any

from sqlalchemy import ColumnElement, Integer, literal_column

from posts.schemas import MAX_CONTENT_LENGTH, MAX_TITLE_LENGTH, OLD_MAX_TITLE_LENGTH

# The number of posts that a list reads in its order, in addition to those on the page: 1 ms.
FIRST_SCAN: ColumnElement[int] = literal_column("2000", Integer())
# The number of posts that a list reads in its order if there is no faster way: 5 to 20 ms.
LONG_SCAN: ColumnElement[int] = literal_column("10000", Integer())
SCAN_BY_VOTES: ColumnElement[int] = literal_column("3000", Integer())
# The number of posts of one author that a list reads: 10 to 40 ms, because each is on another page.
AUTHOR_SCAN: ColumnElement[int] = literal_column("1500", Integer())
# The number of posts that a list sorts if an index finds them in another order: 5 to 20 ms.
CANDIDATES: ColumnElement[int] = literal_column("8192", Integer())
# A segment of 65,536 posts has more candidates than that if one post in so many matches.
DENSE_ONE_IN: ColumnElement[int] = literal_column("8", Integer())
# The time after which a search begins no further segment, and the number of segments that it always searches:
# with few posts, a slow database does not make a page short.
SEARCH_TIME: ColumnElement[Any] = literal_column("interval '20 milliseconds'")
MIN_SEGMENTS: ColumnElement[int] = literal_column("2", Integer())
# The length of a new title.
NEW_TITLE_LENGTH: ColumnElement[int] = literal_column(str(MAX_TITLE_LENGTH), Integer())
# How many characters of a title and of a content a list reads. `post_titles` has no more of a title.
TITLE_LENGTH: ColumnElement[int] = literal_column(str(OLD_MAX_TITLE_LENGTH), Integer())
CONTENT_LENGTH: ColumnElement[int] = literal_column(str(MAX_CONTENT_LENGTH), Integer())
# A character in UTF-8 has at most four bytes.
TITLE_BYTES: ColumnElement[int] = literal_column(str(4 * OLD_MAX_TITLE_LENGTH), Integer())
CONTENT_BYTES: ColumnElement[int] = literal_column(str(4 * MAX_CONTENT_LENGTH), Integer())
# The size of a page. Lambda's limit for a response is 6 MB.
PAGE_BYTES: ColumnElement[int] = literal_column("4000000", Integer())
# JSON inside JSON writes a control character with seven bytes, and every other byte with fewer.
MAX_BYTES_OF_BYTE: ColumnElement[int] = literal_column("7", Integer())
# The bytes of a post on a page without its title and content, with an e-mail address of 254 characters.
OTHER_BYTES: ColumnElement[int] = literal_column("1500", Integer())
