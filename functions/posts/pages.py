"""The SQL of a page of a list: its order, what is read for it, and where the next page begins.

No page is expensive, however many posts there are: a statement reads a bounded number of them (`limits`). If
these do not fill the page, the page is short, and the next one continues where this one stopped.
"""

from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    TIMESTAMP,
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    asc,
    case,
    cast,
    desc,
    func,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
)

from common.models import Post, PostRank, PostTitle, VoteDelta
from common.principal import Principal
from common.queries import ONE, ZERO, valid_principal
from posts import limits
from posts.rows import ListParameters
from posts.selects import TRUE, PostSelect, columns_of, for_viewer

# A SELECT with the two columns of a position, `sort_value` and `id`.
Positions = Select[*tuple[Any, ...]]

MAX_ID: ColumnElement[int] = literal_column("2147483647", Integer())


class Position(NamedTuple):
    """A position in a list: the value of the sort key, and the id, because sort values are not unique."""

    sort_value: Any  # a column or another expression, which have no type in common
    id: Any

    def labelled(self) -> tuple[Any, Any]:
        """Return the two columns of `Positions`."""
        return self.sort_value.label("sort_value"), self.id.label("id")


def position_in(posts: FromClause) -> Position:
    """Return the position of each row."""
    return Position(posts.c.sort_value, posts.c.id)


def only_position(posts: FromClause, *conditions: ColumnElement[bool]) -> Position:
    """Return the position of the only row; both values are NULL if no row meets the conditions."""
    columns = (select(column).where(*conditions).scalar_subquery() for column in position_in(posts))
    return Position(*columns)


def number_of(rows: FromClause) -> ColumnElement[int]:
    """Return how many rows there are."""
    return select(func.count()).select_from(rows).scalar_subquery()


def rows_needed(parameters: ListParameters) -> ColumnElement[int]:
    """Return the number of posts up to the end of a page plus one, which shows whether the list continues."""
    return cast(parameters.skip, Integer) + parameters.limit + ONE


class Order(NamedTuple):
    """The order of a list.

    Attributes:
        indexed: The columns of an index in that order.
        descending: Whether both columns are sorted in descending order.

    """

    indexed: Position
    descending: bool

    def order_by(self, position: Position) -> tuple[Any, Any]:
        """Return the ORDER BY of a list."""
        direction = desc if self.descending else asc
        return direction(position.sort_value), direction(position.id)

    def is_after(self, position: Position, start: Position) -> ColumnElement[bool]:
        """Tell whether a position comes after another one."""
        this, other = tuple_(*position), tuple_(*start)
        return this < other if self.descending else this > other

    def just_before(self, position: Position) -> Position:
        """Return the position directly before `position`.

        A list that begins after it has the post at `position` first.
        """
        neighbour: Any = cast(position.id, BigInteger) + (ONE if self.descending else -ONE)
        return Position(position.sort_value, func.least(neighbour, MAX_ID))

    def start(self, parameters: ListParameters) -> Position:
        """Return the position after which a page begins."""
        after_id: Any = parameters.after_id
        return Position(cast(parameters.after, self.indexed.sort_value.type), after_id)

    def read(self, start: Position, matches: ColumnElement[bool]) -> Positions:
        """Return the posts after a position, in order.

        `matches` is a condition on `post_titles`, which becomes the column `matches`.
        """
        if self is TOP:
            # A subquery, because the planner might read the whole table for a join.
            title = select(matches).where(PostTitle.post_id == self.indexed.id)
            matches = title.scalar_subquery()
        posts = select(*self.indexed.labelled(), matches.label("matches"))
        return posts.where(self.is_after(self.indexed, start)).order_by(*self.order_by(self.indexed))


NEWEST = Order(Position(PostTitle.created_at, PostTitle.post_id), descending=True)
OLDEST = Order(Position(PostTitle.created_at, PostTitle.post_id), descending=False)
TOP = Order(Position(PostRank.vote_count, PostRank.post_id), descending=True)


class Scan(NamedTuple):
    """The result of reading posts in list order.

    Attributes:
        found: The posts that match, at most as many as needed.
        end: The last post that was read; no row if as many as needed were found or if the list ended.

    """

    found: CTE
    end: CTE


def first_of(posts: Positions, number: ColumnElement[int]) -> Positions:
    """Return the first `number` of ordered posts.

    The number is a subquery, because the planner would read and sort all posts if it knew that hardly more of
    them exist than the limit allows.
    """
    return posts.limit(select(number).scalar_subquery())


def scan(name: str, posts: Positions, size: ColumnElement[int], needed: ColumnElement[int]) -> Scan:
    """Read the first `size` of `posts`, until `needed` of them match.

    `posts` have a position and the column `matches`.
    """
    read = first_of(posts, size).cte(f"{name}_read")
    found = select(*position_in(read)).where(read.c.matches).limit(needed).cte(f"{name}_found")
    last = select(*position_in(read)).where(number_of(found) < needed).offset(size - ONE).limit(ONE)
    return Scan(found, last.cte(f"{name}_end"))


def merged(order: Order, parameters: ListParameters, *found: Positions) -> CTE:
    """Return the first posts of several parts of a list, in order, at most as many as needed."""
    union = union_all(*found).subquery()
    in_order = select(union).order_by(*order.order_by(position_in(union)))
    return in_order.limit(rows_needed(parameters)).cte("found")


def page_of(
    order: Order,
    viewer: Principal,
    parameters: ListParameters,
    found: CTE,
    stopped_at: FromClause,
    *,
    is_visible: ColumnElement[bool] = TRUE,
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return the posts of a page, and what `posts.paging` needs to find the next one.

    Args:
        order: The order of the list.
        viewer: The principal.
        parameters: Those of the list.
        found: The posts between the start of the page and the position `stopped_at`.
        stopped_at: No row if the list ends there.
        is_visible: Whether the viewer may see a post, if `found` does not come from `posts` but from a copy.
        author_exists: Whether the author of the list exists.

    """
    shown = _shown(order, parameters, found, is_visible)
    page = _fitting(shown)
    stop = only_position(stopped_at)
    no_time, no_rank = cast(null(), TIMESTAMP(timezone=True)), cast(null(), Integer)
    by_votes = order is TOP
    return for_viewer(
        valid_principal(viewer),
        page,
        _votes(order, page).label("votes"),
        (page.c.sort_value if by_votes else no_rank).label("rank"),
        author_exists.label("author_exists"),
        number_of(found).label("number_found"),
        number_of(shown).label("number_shown"),
        (no_time if by_votes else stop.sort_value).label("stop_created_at"),
        (stop.sort_value if by_votes else no_rank).label("stop_rank"),
        cast(stop.id, Integer).label("stop_id"),
    ).order_by(page.c.number)


def _shown(order: Order, parameters: ListParameters, found: CTE, is_visible: ColumnElement[bool]) -> CTE:
    """Return the posts of a page, numbered, with the bytes of their texts from the first one on.

    PostgreSQL knows the size of a text without reading it.
    """
    in_order = order.order_by(position_in(found))
    positions = select(found).order_by(*in_order).limit(parameters.limit).offset(parameters.skip).subquery()
    in_order = order.order_by(position_in(positions))
    size = (
        func.least(func.octet_length(Post.title), limits.TITLE_BYTES)
        + func.least(func.octet_length(Post.content), limits.CONTENT_BYTES)
        + limits.OTHER_BYTES
    )
    return (
        select(
            *position_in(positions),
            func.row_number().over(order_by=in_order).label("number"),
            func.sum(size).over(order_by=in_order).label("bytes"),
            Post.title,
            Post.content,
            Post.published,
            Post.created_at,
            Post.owner_id,
        )
        .join(Post, Post.id == positions.c.id)
        .where(is_visible)
        .cte("shown")
    )


def _fitting(shown: CTE) -> CTE:
    """Return the first posts of a page, as many as a response can hold.

    To encode a text is slow. So do it only if the page is too large when each byte becomes as long as a byte
    can become; and leave out the posts that would not fit even if encoding added no byte.
    """
    texts = (
        select(shown.c.number, shown.c.sort_value, *columns_of(shown))
        .where(shown.c.bytes <= limits.PAGE_BYTES)
        .subquery()
    )
    most = select(func.max(shown.c.bytes)).scalar_subquery() * limits.MAX_BYTES_OF_BYTE
    size = _encoded_size(texts.c.title) + _encoded_size(texts.c.content) + limits.OTHER_BYTES
    needed_size = case((most <= limits.PAGE_BYTES, ZERO), else_=size)
    total = func.sum(needed_size).over(order_by=texts.c.number)
    encoded = select(texts, total.label("total")).subquery()
    return select(encoded).where(encoded.c.total <= limits.PAGE_BYTES).cte("page")


def _encoded_size(text: ColumnElement[str]) -> ColumnElement[int]:
    """Return the number of bytes of a text in the response of a function, which is JSON inside JSON."""
    return func.octet_length(cast(func.to_json(cast(func.to_json(text), String)), String))


def _votes(order: Order, posts: CTE) -> ColumnElement[int]:
    """Return the number of votes on a post: its counter plus its deltas (`common.models.VoteDelta`)."""
    rank: Any = select(PostRank.vote_count).where(PostRank.post_id == posts.c.id).scalar_subquery()
    if order is TOP:
        rank = posts.c.sort_value
    # Usually there are no deltas.
    late = select(func.sum(VoteDelta.step)).where(VoteDelta.post_id == posts.c.id).scalar_subquery()
    return func.coalesce(rank, ZERO) + func.coalesce(late, ZERO)
