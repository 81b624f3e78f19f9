"""The rows that the statements return, and the parameters that the lists share."""

from datetime import datetime
from typing import NamedTuple


class ListParameters(NamedTuple):
    """Which posts of a list a page holds.

    Attributes:
        author: The id of the user whose posts are listed; only used by a list of an author.
        term: The text that each title contains; only in a search it must not be empty.
        limit: The number of posts on the page. A statement returns one more row if the list continues.
        skip: The number of posts to leave out before the page.
        after: The sort value of the position (`posts.paging.Cursor`) after which the page begins.
        after_id: The id of that position.

    """

    author: int
    term: str
    limit: int
    skip: int
    after: str
    after_id: int


class PostRow(NamedTuple):
    """A post and its owner."""

    id: int
    title: str
    content: str
    published: bool
    created_at: datetime
    owner_id: int
    owner_email: str
    owner_created_at: datetime


class PostLookupRow(NamedTuple):
    """A post for a viewer. If there is none that they may see, `post_exists` is false and the rest None."""

    post_exists: bool
    id: int | None
    title: str | None
    content: str | None
    published: bool | None
    created_at: datetime | None
    owner_id: int | None
    owner_email: str | None
    owner_created_at: datetime | None

    def post(self) -> PostRow | None:
        """Return the post, or None if there is none."""
        return PostRow._make(self[1:]) if self.post_exists else None


class ListedPost(NamedTuple):
    """A post of a list.

    Attributes:
        post: The post and its owner.
        rank: The number of votes that the list is sorted by. It may lag behind `votes`.
        votes: The number of votes on the post.

    """

    post: PostRow
    rank: int
    votes: int


class ListRow(NamedTuple):
    """A PostLookupRow of a list, and its votes: those that the counter includes, and the late ones.

    `author_exists` is false in the list of an author who does not exist.
    """

    post_exists: bool
    id: int | None
    title: str | None
    content: str | None
    published: bool | None
    created_at: datetime | None
    owner_id: int | None
    owner_email: str | None
    owner_created_at: datetime | None
    author_exists: bool
    rank: int
    late_votes: int

    def listed(self) -> ListedPost | None:
        """Return the post with its votes, or None if the page has none."""
        if not self.post_exists:
            return None
        return ListedPost(PostRow._make(self[1:-3]), self.rank, self.rank + self.late_votes)


class IdempotentPostRow(NamedTuple):
    """The post that an idempotency key created; `same_request` says whether it came with the same body."""

    id: int
    created_at: datetime
    same_request: bool
    owner_email: str
    owner_created_at: datetime
