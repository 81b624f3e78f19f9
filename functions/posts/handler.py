"""Posts: list, create, read, update and delete them."""

import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError, NotFoundError

from common import api, database
from common.identity import current_principal, row_of_writer, rows_or_unauthorized
from common.principal import Principal
from common.settings import daily_quota, verified_writers_only
from posts import lists, queries
from posts.paging import FIRST_PAGE, Sort, decode, encode, next_link, next_page
from posts.parameters import CursorText, IdempotencyKey, Limit, Published, Search, Skip, SortBy
from posts.rows import ListParameters, ListRow, PostLookupRow, PostRow, PostWriteRow, RequestKey
from posts.schemas import MAX_TITLE_LENGTH, Page, Post, PostCreate, PostOut, PostUpdate

ListStatements = Mapping[Sort, database.Statement[[Principal, ListParameters], ListRow]]
# One statement for each order. A search has statements of its own, because its SQL does more work.
FEED: ListStatements = {"new": lists.feed_new, "old": lists.feed_old, "top": lists.feed_top}
SEARCH: ListStatements = {"new": lists.search_new, "old": lists.search_old, "top": lists.search_top}
DRAFTS: ListStatements = {"new": lists.drafts_new, "old": lists.drafts_old, "top": lists.drafts_top}
AUTHOR: ListStatements = {"new": lists.author_new, "old": lists.author_old, "top": lists.author_top}

NO_AUTHOR_FILTER = 0
POSTS_PER_DAY: Final = daily_quota("POSTS_PER_DAY")
VERIFIED_ONLY: Final = verified_writers_only()


class PageRequest(NamedTuple):
    """The page of a list that a client requests."""

    limit: int
    skip: int
    search: str
    sort: Sort
    cursor: str


app = api.resolver()
database.managed_connection()  # reads the settings now, during init


def _existing_post(row: PostLookupRow | PostWriteRow) -> PostRow:
    post = row.post()
    if post is None:
        raise NotFoundError("There is no such post")
    return post


def _found_post(rows: Sequence[PostLookupRow]) -> PostRow:
    return _existing_post(rows_or_unauthorized(rows)[0])


def _written_post(rows: Sequence[PostWriteRow]) -> PostRow:
    return _existing_post(row_of_writer(rows, "posts"))


def _require_owner(post: PostRow, editor: int) -> PostRow:
    if post.owner_id != editor:
        raise ForbiddenError("This post belongs to somebody else")
    return post


def _list_page(
    statements: ListStatements, request: PageRequest, author: int = NO_AUTHOR_FILTER
) -> Response[str]:
    try:
        after, after_id = decode(request.cursor, request.sort) if request.cursor else FIRST_PAGE[request.sort]
    except ValueError:
        message = "Input should be the cursor of a Link header of this list"
        raise api.validation_error("value_error", ("query", "cursor"), message) from None
    parameters = ListParameters(
        author=author,
        term=request.search,
        limit=request.limit,
        skip=request.skip,
        after=after,
        after_id=after_id,
    )
    rows = rows_or_unauthorized(statements[request.sort](current_principal(app), parameters))
    if not rows[0].author_exists:
        raise NotFoundError("There is no such user")
    headers = {}
    if following := next_page(rows, limit=request.limit, skip=request.skip):
        cursor = encode(following.cursor, request.sort)
        headers["Link"] = next_link(app.current_event, cursor, following.skip)
    page = Page.of(post for row in rows if (post := row.listed()))
    # Serialize here, because Powertools would convert the models to dictionaries and validate them again.
    body = page.model_dump_json(by_alias=True)
    return Response(HTTPStatus.OK, content_type=api.JSON, body=body, headers=headers)


@app.get("/posts", responses=api.responses(list[PostOut], 200, 401, 422))
def list_posts(
    limit: Limit = 10,
    skip: Skip = 0,
    search: Search = "",
    sort: SortBy = "new",
    published: Published = True,  # noqa: FBT002  # a query parameter, passed by name
    cursor: CursorText = "",
) -> Response[str]:
    """List posts, or with published=false your own drafts. The Link header holds the URL of the next page."""
    statements = (SEARCH if search else FEED) if published else DRAFTS
    return _list_page(statements, PageRequest(limit, skip, search, sort, cursor))


@app.get("/users/<user_id>/posts", responses=api.responses(list[PostOut], 200, 401, 404, 422))
def list_user_posts(
    user_id: api.PathId,
    limit: Limit = 10,
    skip: Skip = 0,
    search: Search = "",
    sort: SortBy = "new",
    cursor: CursorText = "",
) -> Response[str]:
    """List the posts of a user. The Link header holds the URL of the next page."""
    return _list_page(AUTHOR, PageRequest(limit, skip, search, sort, cursor), user_id)


@app.post("/posts", status_code=HTTPStatus.CREATED, responses=api.responses(Post, 201, 401, 403, 422, 429))
def create_post(post: PostCreate, idempotency_key: IdempotencyKey = None) -> Post:
    """Create a post. A request with the same Idempotency-Key within a day gets the first response again."""
    principal = current_principal(app)
    if idempotency_key is None:
        rows = queries.create(
            principal, **post.model_dump(), per_day=POSTS_PER_DAY, verified_only=VERIFIED_ONLY
        )
        return Post.of(_written_post(rows))
    stored = queries.create_once(
        principal,
        RequestKey(idempotency_key, hashlib.sha256(post.model_dump_json().encode()).hexdigest()),
        **post.model_dump(),
        per_day=POSTS_PER_DAY,
        verified_only=VERIFIED_ONLY,
    )
    first = row_of_writer(stored, "posts")
    if not first.same_request:
        message = "This key was used with a different body"
        raise api.validation_error("idempotency_key_reused", ("header", "idempotency-key"), message)
    return Post.first_response(first, principal.user_id, post)


@app.get("/posts/<post_id>", responses=api.responses(Post, 200, 401, 404, 422))
def read_post(post_id: api.PathId) -> Post:
    """Read a post."""
    return Post.of(_found_post(queries.read(current_principal(app), post_id=post_id)))


@app.put("/posts/<post_id>", responses=api.responses(Post, 200, 401, 403, 404, 422, 429))
def update_post(post_id: api.PathId, post: PostUpdate) -> Post:
    """Replace your own post."""
    principal = current_principal(app)
    rows = queries.change(
        principal, post_id=post_id, **post.model_dump(), per_day=POSTS_PER_DAY, verified_only=VERIFIED_ONLY
    )
    result = _require_owner(_written_post(rows), principal.user_id)
    if result.title != post.title:
        message = f"String should have at most {MAX_TITLE_LENGTH} characters"
        raise api.validation_error("string_too_long", ("body", "title"), message)
    return Post.of(result)


@app.delete(
    "/posts/<post_id>",
    status_code=HTTPStatus.NO_CONTENT,
    responses=api.responses(None, 204, 401, 403, 404, 422),
)
def delete_post(post_id: api.PathId) -> Response[None]:
    """Delete your own post."""
    principal = current_principal(app)
    rows = queries.mark_deleted(principal, post_id=post_id)
    _require_owner(_found_post(rows), principal.user_id)
    return Response(HTTPStatus.NO_CONTENT)


# The reference spells this parameter with a capital letter.
handler = api.handler(app, query_aliases={"Limit": "limit"})
