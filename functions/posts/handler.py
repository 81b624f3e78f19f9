"""Posts: list, write, read, change, delete."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError
from aws_lambda_powertools.event_handler.openapi.params import Query

from common import api
from common.identity import CurrentUser, rows_for_user
from common.schemas import LARGEST_INTEGER, Text
from posts import queries
from posts.paging import START, Cursor, decode, link_to_next
from posts.rows import PostRow
from posts.schemas import Post, PostCreate, PostOut

app = api.resolver()


def _position(cursor: str) -> Cursor:
    if not cursor:
        return START
    try:
        return decode(cursor)
    except ValueError:
        raise api.invalid(
            "value_error", ("query", "cursor"), "Input should be the cursor of a Link header"
        ) from None


def _found(rows: Sequence[PostRow]) -> PostRow:
    row = rows_for_user(rows)[0]
    if not row.found:
        raise NotFoundError("There is no such post")
    return row


def _own(row: PostRow, editor: int) -> PostRow:
    if row.owner_id != editor:
        raise ForbiddenError("This post belongs to somebody else")
    return row


@app.get("/posts", responses=api.answers(list[PostOut], 200, 401, 422))
def list_posts(
    viewer: CurrentUser,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    skip: Annotated[int, Query(ge=0, le=LARGEST_INTEGER)] = 0,
    search: Annotated[Text, Query()] = "",
    cursor: Annotated[str, Query()] = "",
) -> Response[list[PostOut]]:
    """List posts, newest first; the Link header leads to the next page."""
    before, before_id = _position(cursor)
    if search:
        found = queries.search(
            viewer=viewer, term=search, limit=limit, skip=skip, before=before, before_id=before_id
        )
    else:
        found = queries.page(viewer=viewer, limit=limit, skip=skip, before=before, before_id=before_id)
    rows = rows_for_user(found)
    headers = {}
    if len(rows) > limit:
        last = rows[limit - 1]
        headers["Link"] = link_to_next(app.current_event, Cursor(last.created_at, last.id))
    posts = [PostOut.of(row) for row in rows[:limit] if row.found]
    return Response(HTTPStatus.OK, content_type=api.JSON, body=posts, headers=headers)


@app.post("/posts", status_code=HTTPStatus.CREATED, responses=api.answers(Post, 201, 401, 422))
def create_post(post: PostCreate, owner: CurrentUser) -> Post:
    """Write a post."""
    rows = queries.create(owner=owner, title=post.title, content=post.content, published=post.published)
    return Post.of(rows_for_user(rows)[0])


@app.get("/posts/<post_id>", responses=api.answers(Post, 200, 401, 404, 422))
def read_post(post_id: api.PathId, viewer: CurrentUser) -> Post:
    """Show a post."""
    return Post.of(_found(queries.read(post_id=post_id, viewer=viewer)))


@app.put("/posts/<post_id>", responses=api.answers(Post, 200, 401, 403, 404, 422))
def update_post(post_id: api.PathId, post: PostCreate, editor: CurrentUser) -> Post:
    """Change a post of one's own."""
    rows = queries.change(
        post_id=post_id, editor=editor, title=post.title, content=post.content, published=post.published
    )
    return Post.of(_own(_found(rows), editor))


@app.delete(
    "/posts/<post_id>",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.answers(None, 204, 401, 403, 404, 422),
)
def delete_post(post_id: api.PathId, editor: CurrentUser) -> Response[None]:
    """Delete a post of one's own."""
    _own(_found(queries.remove(post_id=post_id, editor=editor)), editor)
    return Response(HTTPStatus.NO_CONTENT)


handler = api.handler(app)
