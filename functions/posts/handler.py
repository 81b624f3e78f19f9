"""Posts: list, write, read, change, delete."""

import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError

from common import api, database
from common.identity import current_user, rows_for_user
from posts import queries
from posts.paging import START, Sort, decode, encode, link_to_next, position_of
from posts.parameters import CursorText, IdempotencyKey, Limit, Published, Search, Skip, SortBy
from posts.rows import PostRow
from posts.schemas import Page, Post, PostCreate, PostOut

Lists = Mapping[Sort, database.Query[..., PostRow]]
# By what stands in the query; the feed and the search in it differ, for a search has more to do.
FEED: Lists = {"new": queries.feed_new, "old": queries.feed_old, "top": queries.feed_top}
SEARCH: Lists = {"new": queries.search_new, "old": queries.search_old, "top": queries.search_top}
DRAFTS: Lists = {"new": queries.drafts_new, "old": queries.drafts_old, "top": queries.drafts_top}
AUTHOR: Lists = {"new": queries.author_new, "old": queries.author_old, "top": queries.author_top}

NOBODY = 0


class Asked(NamedTuple):
    """Which page of a list a client asked for."""

    limit: int
    skip: int
    search: str
    sort: Sort
    cursor: str


app = api.resolver()


def _found(rows: Sequence[PostRow]) -> PostRow:
    row = rows_for_user(rows)[0]
    if not row.found:
        raise NotFoundError("There is no such post")
    return row


def _own(row: PostRow, editor: int) -> PostRow:
    if row.owner_id != editor:
        raise ForbiddenError("This post belongs to somebody else")
    return row


def _page(lists: Lists, asked: Asked, author: int = NOBODY) -> Response[str]:
    try:
        after, after_id = decode(asked.cursor, asked.sort) if asked.cursor else START[asked.sort]
    except ValueError:
        message = "Input should be the cursor of a Link header of this list"
        raise api.invalid("value_error", ("query", "cursor"), message) from None
    rows = rows_for_user(
        lists[asked.sort](
            viewer=current_user(app),
            author=author,
            term=asked.search,
            limit=asked.limit,
            skip=asked.skip,
            after=after,
            after_id=after_id,
        )
    )
    if rows[0].found is None:
        raise NotFoundError("There is no such user")
    headers = {}
    if len(rows) > asked.limit:
        cursor = encode(position_of(rows[asked.limit - 1], asked.sort), asked.sort)
        headers["Link"] = link_to_next(app.current_event, cursor)
    page = Page.of(row for row in rows[: asked.limit] if row.found)
    # As text: Powertools would make dictionaries of the models first, and validate them once more.
    body = page.model_dump_json(by_alias=True)
    return Response(HTTPStatus.OK, content_type=api.JSON, body=body, headers=headers)


@app.get("/posts", responses=api.answers(list[PostOut], 200, 401, 422))
def list_posts(
    limit: Limit = 10,
    skip: Skip = 0,
    search: Search = "",
    sort: SortBy = "new",
    published: Published = True,  # noqa: FBT002  # a query parameter, always by name
    cursor: CursorText = "",
) -> Response[str]:
    """List posts, or with published=false one's own drafts; the Link header leads to the next page."""
    lists = (SEARCH if search else FEED) if published else DRAFTS
    return _page(lists, Asked(limit, skip, search, sort, cursor))


@app.get("/users/<user_id>/posts", responses=api.answers(list[PostOut], 200, 401, 404, 422))
def list_user_posts(
    user_id: api.PathId,
    limit: Limit = 10,
    skip: Skip = 0,
    search: Search = "",
    sort: SortBy = "new",
    cursor: CursorText = "",
) -> Response[str]:
    """List a user's posts; the Link header leads to the next page."""
    return _page(AUTHOR, Asked(limit, skip, search, sort, cursor), user_id)


@app.post("/posts", status_code=HTTPStatus.CREATED, responses=api.answers(Post, 201, 401, 422))
def create_post(post: PostCreate, idempotency_key: IdempotencyKey = None) -> Post:
    """Write a post; with an Idempotency-Key once: used again within a day, it gets the first answer."""
    owner = current_user(app)
    if idempotency_key is None:
        rows = queries.create(owner=owner, title=post.title, content=post.content, published=post.published)
        return Post.of(rows_for_user(rows)[0])
    made = queries.create_once(
        owner=owner,
        title=post.title,
        content=post.content,
        published=post.published,
        key=idempotency_key,
        fingerprint=hashlib.sha256(post.model_dump_json().encode()).hexdigest(),
    )
    first = rows_for_user(made)[0]
    if not first.is_same:
        message = "This key came with another body before"
        raise api.invalid("idempotency_key_reused", ("header", "idempotency-key"), message)
    return Post.once(first, owner, post)


@app.get("/posts/<post_id>", responses=api.answers(Post, 200, 401, 404, 422))
def read_post(post_id: api.PathId) -> Post:
    """Show a post."""
    return Post.of(_found(queries.read(post_id=post_id, viewer=current_user(app))))


@app.put("/posts/<post_id>", responses=api.answers(Post, 200, 401, 403, 404, 422))
def update_post(post_id: api.PathId, post: PostCreate) -> Post:
    """Change a post of one's own."""
    editor = current_user(app)
    rows = queries.change(
        post_id=post_id, editor=editor, title=post.title, content=post.content, published=post.published
    )
    return Post.of(_own(_found(rows), editor))


@app.delete(
    "/posts/<post_id>",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.answers(None, 204, 401, 403, 404, 422),
)
def delete_post(post_id: api.PathId) -> Response[None]:
    """Delete a post of one's own."""
    editor = current_user(app)
    _own(_found(queries.remove(post_id=post_id, editor=editor)), editor)
    return Response(HTTPStatus.NO_CONTENT)


handler = api.handler(app)
