"""The SQL of the lists of posts."""

from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    SQLColumnExpression,
    any_,
    asc,
    cast,
    desc,
    exists,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import SQLCoreOperations

from common.database import Statement
from common.models import Post, PostRank, User, VoteDelta
from common.principal import Principal
from common.queries import is_draft_of, is_published, valid_principal
from common.statement import statement
from posts.rows import ListParameters, ListRow
from posts.selects import POST_COLUMNS, TRUE, PostSelect, for_viewer

ZERO: ColumnElement[int] = literal_column("0")
ONE: ColumnElement[int] = literal_column("1")
THREE: ColumnElement[int] = literal_column("3")
# The number of posts that a search reads in list order, in about 1 ms, before it uses the n-gram index.
SCAN_LIMIT: ColumnElement[int] = literal_column("2000")

ListStatement = Statement[[Principal, ListParameters], ListRow]


class Order(NamedTuple):
    """The order of a list: by a sort key and then by id, so that each post has a position of its own.

    Attributes:
        source: The SELECT of all posts.
        sort_columns: The columns to sort by, as they are indexed: the sort key and the id.
        sort_key: The name of the sort key in `source`.
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
TOP = Order(
    select(*POST_COLUMNS, PostRank.vote_count).join(PostRank, PostRank.post_id == Post.id),
    (PostRank.vote_count, PostRank.post_id),
    "vote_count",
    descending=True,
)


def _rows_needed(page: ListParameters) -> ColumnElement[int]:
    return cast(page.skip, BigInteger) + page.limit + ONE


def _page(
    viewer: Principal,
    order: Order,
    parts: list[PostSelect],
    page: ListParameters,
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return the SELECT of the page of a list that consists of these parts."""
    every = union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()
    in_order = select(every).order_by(*order.order_by(every))
    posts = in_order.limit(page.limit + ONE).offset(page.skip).cte("page")
    # Usually there are none. One scan for the whole page takes less time than one for each post.
    late = (
        select(VoteDelta.post_id, func.sum(VoteDelta.step).label("votes"))
        .where(VoteDelta.post_id == any_(func.array(select(posts.c.id).scalar_subquery())))
        .group_by(VoteDelta.post_id)
        .cte("late")
        .prefix_with("MATERIALIZED")
    )
    return for_viewer(
        valid_principal(viewer),
        posts,
        author_exists.label("author_exists"),
        func.coalesce(_rank(posts), ZERO).label("rank"),
        func.coalesce(_value_for(posts, late.c.post_id, late.c.votes), ZERO).label("late_votes"),
    ).order_by(*order.order_by(posts))


def _rank(posts: CTE) -> ColumnElement[int]:
    column: ColumnElement[int] | None = posts.c.get("vote_count")
    return _value_for(posts, PostRank.post_id, PostRank.vote_count) if column is None else column


def _value_for(
    posts: CTE, post_id: SQLColumnExpression[int], value: SQLColumnExpression[int]
) -> ColumnElement[int]:
    return select(value).where(post_id == posts.c.id).scalar_subquery()


def _contains(title: SQLColumnExpression[str], term: str) -> ColumnElement[bool]:
    return func.strpos(title, term) > ZERO


def _has_ngrams(term: str) -> ColumnElement[bool]:
    # The index holds the n-grams of one to three characters of each title. A title that contains the term has
    # all trigrams of the term, or a shorter term as a whole. The trigrams may be in different places of the
    # title, so the caller also checks `_contains`.
    size = func.least(func.length(term), THREE)
    return func.grams(Post.title, ONE, THREE).bool_op("@>")(func.grams(term, size, size))


# A list returns one row more than `limit` if it continues. It reads published posts and drafts from separate
# indexes, so that a user with many drafts does not slow down other readers.


def _feed(order: Order) -> ListStatement:
    """Return the statement that lists every post that the viewer may see."""

    def feed(viewer: Principal, page: ListParameters) -> PostSelect:
        every = order.after(page).limit(_rows_needed(page))
        parts = [every.where(is_published()), every.where(is_draft_of(viewer.user_id))]
        return _page(viewer, order, parts, page)

    return statement(ListRow)(feed)


def _search(order: Order) -> ListStatement:
    """Return the statement that lists the visible posts whose title contains a term, which is not empty.

    First it reads SCAN_LIMIT posts in list order. If many titles contain the term, these posts fill the page.
    Otherwise it finds the few matching titles with the n-gram index, which would be slow for many. The
    planner cannot choose between the two, because it does not know how many titles contain a term.
    """

    def search(viewer: Principal, page: ListParameters) -> PostSelect:
        rows_needed = _rows_needed(page)
        first = order.after(page).where(is_published()).limit(rows_needed + SCAN_LIMIT).subquery()
        matches = select(first).where(_contains(first.c.title, page.term))
        scanned = matches.order_by(*order.order_by(first)).limit(rows_needed).cte("scanned")
        scan_suffices = select(func.count()).select_from(scanned).scalar_subquery() >= rows_needed
        every = order.after(page)
        # OFFSET 0 is an optimization fence: otherwise the planner would walk the index of the list order.
        matching = every.where(is_published(), _contains(Post.title, page.term), _has_ngrams(page.term))
        indexed = matching.order_by(None).offset(ZERO).subquery()
        rest = select(indexed).where(~scan_suffices).order_by(*order.order_by(indexed)).limit(rows_needed)
        drafts = every.where(is_draft_of(viewer.user_id), _contains(Post.title, page.term)).limit(rows_needed)
        return _page(viewer, order, [select(scanned).where(scan_suffices), rest, drafts], page)

    return statement(ListRow)(search)


def _own_drafts(order: Order) -> ListStatement:
    """Return the statement that lists the viewer's drafts."""

    def own_drafts(viewer: Principal, page: ListParameters) -> PostSelect:
        every = order.after(page).where(is_draft_of(viewer.user_id), _contains(Post.title, page.term))
        return _page(viewer, order, [every.limit(_rows_needed(page))], page)

    return statement(ListRow)(own_drafts)


def _author(order: Order) -> ListStatement:
    """Return the statement that lists an author's posts."""

    def author_posts(viewer: Principal, page: ListParameters) -> PostSelect:
        own = order.after(page).where(Post.owner_id == page.author, _contains(Post.title, page.term))
        every = own.limit(_rows_needed(page))
        parts = [every.where(is_published()), every.where(is_draft_of(viewer.user_id))]
        author_exists = exists(select(User.id).where(User.id == page.author, User.deleted_at.is_(None)))
        return _page(viewer, order, parts, page, author_exists)

    return statement(ListRow)(author_posts)


feed_new, feed_old, feed_top = _feed(NEWEST), _feed(OLDEST), _feed(TOP)
search_new, search_old, search_top = _search(NEWEST), _search(OLDEST), _search(TOP)
drafts_new, drafts_old, drafts_top = _own_drafts(NEWEST), _own_drafts(OLDEST), _own_drafts(TOP)
author_new, author_old, author_top = _author(NEWEST), _author(OLDEST), _author(TOP)
