"""The rows that the statements return, and the parameters that the lists share."""

from datetime import datetime
from typing import NamedTuple


class ListParameters(NamedTuple):
    """Which posts of a list a page holds.

    Attributes:
        author: The id of the user whose posts are listed; only used by a list of an author.
        term: The text that each title contains. It must not be empty in a search.
        limit: The number of posts on the page.
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


class RequestKey(NamedTuple):
    """The idempotency key of a request, and the SHA-256 hash of its body in hexadecimal."""

    key: str
    fingerprint: str


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


class PostWriteRow(NamedTuple):
    """A PostLookupRow of a request that writes a post.

    `retry_after_seconds` is the time until the quota is renewed; None if it does not refuse the request.
    `may_write` is False if the user has to verify their address first.
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
    retry_after_seconds: int | None
    may_write: bool

    def post(self) -> PostRow | None:
        """Return the post, or None if there is none."""
        return PostRow._make(self[1:-2]) if self.post_exists else None


class ListedPost(NamedTuple):
    """A post of a list.

    Attributes:
        post: The post and its owner.
        votes: The number of votes on the post.

    """

    post: PostRow
    votes: int


class ListRow(NamedTuple):
    """A PostLookupRow of a page with the number of votes, or the only row of a page without posts.

    The fields from `author_exists` on are the same in each row of a page.

    Attributes:
        rank: The sort value in a list by votes; None in a list by age.
        author_exists: False in the list of an author who does not exist.
        number_found: The number of posts that were found, up to the first one after the page.
        number_shown: The number of posts on the page, if all fit into a response.
        stop_created_at: The position after which no post was read; None if all were read and by votes.
        stop_rank: The same in a list by votes.
        stop_id: The id of that position; None if all posts were read.

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
    votes: int
    rank: int | None
    author_exists: bool
    number_found: int
    number_shown: int
    stop_created_at: datetime | None
    stop_rank: int | None
    stop_id: int | None

    def listed(self) -> ListedPost | None:
        """Return the post with its votes, or None if the page has none."""
        return ListedPost(PostRow._make(self[1:9]), self.votes) if self.post_exists else None


class IdempotentPostRow(NamedTuple):
    """The post that an idempotency key created, if the quota does not refuse to create it.

    Attributes:
        id: The id of the post, or None if the request is refused.
        created_at: When it was created, or None.
        same_request: Whether it was created by a request with the same body, or None.
        owner_email: The e-mail of the owner, who sends the request.
        owner_created_at: When the owner signed up.
        retry_after_seconds: The time until the quota is renewed; None if it does not refuse the request.
        may_write: Whether the owner may write; False if they have to verify their address first.

    """

    id: int | None
    created_at: datetime | None
    same_request: bool | None
    owner_email: str
    owner_created_at: datetime
    retry_after_seconds: int | None
    may_write: bool
