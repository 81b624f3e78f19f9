"""The SQL of posts.

Each statement starts from the principal's row in `users` and joins the posts that they may see. So one round
trip tells two things: no row means that the account was deleted, and a row in which `post_exists` is false
means that there is no such post for the principal.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    SQLColumnExpression,
    Subquery,
    and_,
    asc,
    case,
    cast,
    delete,
    desc,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.sql.elements import SQLCoreOperations

from common.database import Statement
from common.models import IdempotencyKey, Post, PostRank, User
from common.queries import SWEEP_LIMIT
from common.statement import statement
from posts.rows import IdempotentPostRow, ListParameters, PostLookupRow

POST_COLUMNS = (
    Post.id,
    Post.title,
    Post.content,
    Post.published,
    Post.created_at,
    Post.vote_count,
    Post.owner_id,
)
TRUE: ColumnElement[bool] = true()
ZERO: ColumnElement[int] = literal_column("0")
ONE: ColumnElement[int] = literal_column("1")
THREE: ColumnElement[int] = literal_column("3")
DAY_AGO: ColumnElement[datetime] = literal_column("now() - interval '1 day'")
# The number of posts that a search reads in list order, in about 1 ms, before it uses the n-gram index.
SCAN_LIMIT: ColumnElement[int] = literal_column("2000")

PostSelect = Select[*tuple[Any, ...]]
ListStatement = Statement[[ListParameters], PostLookupRow]


def _for_viewer(viewer: int, posts: FromClause, author_exists: ColumnElement[bool] = TRUE) -> PostSelect:
    user = aliased(User)
    owner = aliased(User)
    return (
        select(
            author_exists.label("author_exists"),
            posts.c.id.is_not(None).label("post_exists"),
            *(posts.c[column.key] for column in POST_COLUMNS),
            owner.email.label("owner_email"),
            owner.created_at.label("owner_created_at"),
        )
        .select_from(user)
        .outerjoin(posts, TRUE)
        .outerjoin(owner, owner.id == posts.c.owner_id)
        .where(user.id == viewer)
    )


class Order(NamedTuple):
    """The order of a list: by a sort key and then by id, so that each post has a position of its own.

    Attributes:
        source: The SELECT of all posts.
        sort_columns: The columns to sort by, as they are indexed: the sort key and the id.
        sort_key: The name of the sort key in POST_COLUMNS.
        descending: Whether to sort both columns in descending order.

    """

    source: PostSelect
    sort_columns: tuple[InstrumentedAttribute[Any], InstrumentedAttribute[int]]
    sort_key: str
    descending: bool

    def after(self, page: ListParameters) -> PostSelect:
        """Return the posts after the position at which the page begins, in order."""
        position = tuple_(*self.sort_columns)
        start = tuple_(cast(page.after, self.sort_columns[0].type), page.after_id)
        beyond = self.source.where(position < start if self.descending else position > start)
        return beyond.order_by(*map(self._direction, self.sort_columns))

    def order_by(self, posts: FromClause) -> tuple[Any, Any]:
        """Return the ORDER BY for a subquery of posts."""
        return self._direction(posts.c[self.sort_key]), self._direction(posts.c.id)

    def _direction(self, column: SQLCoreOperations[Any]) -> Any:  # noqa: ANN401  # SQLAlchemy's types differ
        return desc(column) if self.descending else asc(column)


NEWEST = Order(select(*POST_COLUMNS), (Post.created_at, Post.id), "created_at", descending=True)
OLDEST = Order(select(*POST_COLUMNS), (Post.created_at, Post.id), "created_at", descending=False)
TOP = Order(select(*POST_COLUMNS), (Post.vote_count, Post.id), "vote_count", descending=True)
# Reads the index of `post_ranks`; `posts` has no index on its vote count (see PostRank).
TOP_RANKED = Order(
    select(*POST_COLUMNS).join(PostRank, PostRank.post_id == Post.id),
    (PostRank.vote_count, PostRank.post_id),
    "vote_count",
    descending=True,
)


def _rows_needed(page: ListParameters) -> ColumnElement[int]:
    return cast(page.skip, BigInteger) + page.limit + ONE


def _page(order: Order, parts: list[PostSelect], page: ListParameters) -> Subquery:
    every = union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()
    return select(every).order_by(*order.order_by(every)).limit(page.limit + ONE).offset(page.skip).subquery()


def _contains(title: SQLColumnExpression[str], term: str) -> ColumnElement[bool]:
    return func.strpos(title, term) > ZERO


def _has_ngrams(term: str) -> ColumnElement[bool]:
    # The index holds the n-grams of one to three characters of each title. A title that contains the term has
    # all trigrams of the term, or a shorter term as a whole. The trigrams may be in different places of the
    # title, so the caller also checks `_contains`.
    size = func.least(func.length(term), THREE)
    return func.grams(Post.title, ONE, THREE).bool_op("@>")(func.grams(term, size, size))


def _drafts(viewer: int) -> ColumnElement[bool]:
    return and_(Post.owner_id == viewer, ~Post.published)


# A list returns one row more than `limit` if it continues. It reads published posts and drafts from separate
# indexes, so that a user with many drafts does not slow down other readers.


def _feed(order: Order) -> ListStatement:
    """Return the statement that lists every post that the viewer may see."""

    def feed(page: ListParameters) -> PostSelect:
        every = order.after(page).limit(_rows_needed(page))
        posts = _page(order, [every.where(Post.published), every.where(_drafts(page.viewer))], page)
        return _for_viewer(page.viewer, posts).order_by(*order.order_by(posts))

    return statement(PostLookupRow)(feed)


def _search(order: Order, unranked: Order) -> ListStatement:
    """Return the statement that lists the visible posts whose title contains a term, which is not empty.

    First it reads SCAN_LIMIT posts in list order. If many titles contain the term, these fill the page.
    Otherwise it finds the few matching titles with the n-gram index, which would be slow for many. The
    planner cannot choose between the two, because it does not know how many titles contain a term.

    `unranked` is the same order without `post_ranks`, for the parts that do not read posts in list order.
    """

    def search(page: ListParameters) -> PostSelect:
        rows_needed = _rows_needed(page)
        first = order.after(page).where(Post.published).limit(rows_needed + SCAN_LIMIT).subquery()
        matches = select(first).where(_contains(first.c.title, page.term))
        scanned = matches.order_by(*order.order_by(first)).limit(rows_needed).cte("scanned")
        scan_suffices = select(func.count()).select_from(scanned).scalar_subquery() >= rows_needed
        every = unranked.after(page)
        # OFFSET 0 hides the ORDER BY from the planner, which would otherwise walk the index of that order.
        matching = every.where(Post.published, _contains(Post.title, page.term), _has_ngrams(page.term))
        indexed = matching.order_by(None).offset(ZERO).subquery()
        rest = select(indexed).where(~scan_suffices).order_by(*order.order_by(indexed)).limit(rows_needed)
        drafts = every.where(_drafts(page.viewer), _contains(Post.title, page.term)).limit(rows_needed)
        posts = _page(order, [select(scanned).where(scan_suffices), rest, drafts], page)
        return _for_viewer(page.viewer, posts).order_by(*order.order_by(posts))

    return statement(PostLookupRow)(search)


def _own_drafts(order: Order) -> ListStatement:
    """Return the statement that lists the viewer's drafts."""

    def own_drafts(page: ListParameters) -> PostSelect:
        every = order.after(page).where(_drafts(page.viewer), _contains(Post.title, page.term))
        posts = _page(order, [every.limit(_rows_needed(page))], page)
        return _for_viewer(page.viewer, posts).order_by(*order.order_by(posts))

    return statement(PostLookupRow)(own_drafts)


def _author(order: Order) -> ListStatement:
    """Return the statement that lists an author's posts."""

    def author_posts(page: ListParameters) -> PostSelect:
        own = order.after(page).where(Post.owner_id == page.author, _contains(Post.title, page.term))
        every = own.limit(_rows_needed(page))
        posts = _page(order, [every.where(Post.published), every.where(_drafts(page.viewer))], page)
        author_exists = exists(select(User.id).where(User.id == page.author))
        return _for_viewer(page.viewer, posts, author_exists).order_by(*order.order_by(posts))

    return statement(PostLookupRow)(author_posts)


feed_new, feed_old, feed_top = _feed(NEWEST), _feed(OLDEST), _feed(TOP_RANKED)
search_new, search_old, search_top = (
    _search(NEWEST, NEWEST),
    _search(OLDEST, OLDEST),
    _search(TOP_RANKED, TOP),
)
drafts_new, drafts_old, drafts_top = _own_drafts(NEWEST), _own_drafts(OLDEST), _own_drafts(TOP)
author_new, author_old, author_top = _author(NEWEST), _author(OLDEST), _author(TOP)


def _or_someone_elses(own: FromClause, post_id: int, editor: int) -> FromClause:
    foreign = select(*POST_COLUMNS).where(Post.id == post_id, Post.owner_id != editor, Post.published)
    return union_all(select(own), foreign).subquery()


@statement(PostLookupRow)
def read(*, post_id: int, viewer: int) -> PostSelect:
    """Read a post that the viewer may see."""
    visible = or_(Post.published, Post.owner_id == viewer)
    return _for_viewer(viewer, select(*POST_COLUMNS).where(Post.id == post_id, visible).subquery())


@statement(PostLookupRow)
def create(*, owner: int, title: str, content: str, published: bool) -> PostSelect:
    """Insert a post."""
    written: tuple[Any, ...] = (title, content, published)
    values = select(User.id, *written).where(User.id == owner)
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], values)
        .returning(*POST_COLUMNS)
    )
    return _for_viewer(owner, created.cte("created"))


@statement(IdempotentPostRow)
def create_once(
    *, owner: int, title: str, content: str, published: bool, key: str, fingerprint: str
) -> PostSelect:
    """Insert a post, or return the post of an earlier request with the same key in the last day.

    If two requests use a key at the same moment, one of them finds the key only after it has inserted its
    post. It then sets `post_id` to NULL, which violates a constraint and rolls the statement back. It is run
    again (`common.database.CONFLICTS`) and returns the post of the other request.

    Each new post deletes a few expired keys of its owner.
    """
    written: tuple[Any, ...] = (title, content, published)
    names: tuple[Any, ...] = (key, fingerprint)
    earlier = (
        select(IdempotencyKey)
        .where(
            IdempotencyKey.user_id == owner, IdempotencyKey.key == key, IdempotencyKey.created_at > DAY_AGO
        )
        .cte("earlier")
    )
    # Lock the user first, in the same order as the deletion of an account, to avoid a deadlock. The foreign
    # key of the post locks the same row, but only at the end.
    values = (
        select(User.id, *written)
        .where(User.id == owner, ~exists(select(earlier.c.key)))
        .with_for_update(key_share=True, read=True)
    )
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], values)
        .returning(Post.id, Post.created_at, Post.owner_id)
        .cte("created")
    )
    stored = insert(IdempotencyKey).from_select(
        ["user_id", "post_id", "created_at", "key", "fingerprint"],
        select(created.c.owner_id, created.c.id, created.c.created_at, *names),
    )
    stored = stored.on_conflict_do_update(
        index_elements=[IdempotencyKey.user_id, IdempotencyKey.key],
        set_={
            "post_id": case((IdempotencyKey.created_at > DAY_AGO, null()), else_=stored.excluded.post_id),
            "created_at": stored.excluded.created_at,
            "fingerprint": stored.excluded.fingerprint,
        },
    )
    stored_key = stored.returning(IdempotencyKey.key).cte("stored_key")
    # Delete expired keys only after our own key is stored, and skip locked ones: two requests that replace
    # expired keys would otherwise wait for each other. Exclude our own key, which may have been expired, too,
    # because a statement cannot change a row twice. Select them in a CTE, which is evaluated only once.
    expired = (
        select(IdempotencyKey.key)
        .where(
            IdempotencyKey.user_id == owner,
            IdempotencyKey.key != key,
            IdempotencyKey.created_at <= DAY_AGO,
            exists(select(stored_key.c.key)),
        )
        .limit(SWEEP_LIMIT)
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    swept = delete(IdempotencyKey).where(
        IdempotencyKey.user_id == owner, IdempotencyKey.key.in_(select(expired.c.key))
    )
    made = union_all(
        select(created.c.id, created.c.created_at, *names[1:]),
        select(earlier.c.post_id, earlier.c.created_at, earlier.c.fingerprint),
    ).subquery()
    return (
        select(
            made.c.id,
            made.c.created_at,
            (made.c.fingerprint == fingerprint).label("same_request"),
            User.email.label("owner_email"),
            User.created_at.label("owner_created_at"),
        )
        .select_from(User)
        .join(made, TRUE)
        .where(User.id == owner)
        .add_cte(swept.cte("swept"))
    )


@statement(PostLookupRow)
def change(*, post_id: int, editor: int, title: str, content: str, published: bool) -> PostSelect:
    """Replace a post of the editor. Return it, or somebody else's published post unchanged."""
    changed = (
        update(Post)
        .where(Post.id == post_id, Post.owner_id == editor)
        .values(title=title, content=content, published=published)
        .returning(*POST_COLUMNS)
        .cte("changed")
    )
    return _for_viewer(editor, _or_someone_elses(changed, post_id, editor))


@statement(PostLookupRow)
def remove(*, post_id: int, editor: int) -> PostSelect:
    """Delete a post of the editor. Return it, or somebody else's published post, which is not deleted."""
    removed = (
        delete(Post)
        .where(Post.id == post_id, Post.owner_id == editor)
        .returning(*POST_COLUMNS)
        .cte("removed")
    )
    return _for_viewer(editor, _or_someone_elses(removed, post_id, editor))
