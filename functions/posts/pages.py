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
    any_,
    asc,
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
from common.queries import ONE, ZERO, is_visible_to, valid_principal
from posts import limits
from posts.rows import ListParameters
from posts.selects import POST_COLUMNS, TRUE, PostSelect, for_viewer

# A SELECT with the two columns of a position, `sort_value` and `id`.
Positions = Select[*tuple[Any, ...]]

TWO: ColumnElement[int] = literal_column("2", Integer())
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

    def reversed(self) -> "Order":
        """Return the opposite order."""
        return Order(self.indexed, not self.descending)

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


def scan(name: str, posts: Positions, size: ColumnElement[int], needed: ColumnElement[int]) -> Scan:
    """Read the first `size` of `posts`, until `needed` of them match.

    `posts` have a position and the column `matches`.
    """
    read = posts.limit(size).cte(f"{name}_read")
    found = select(*position_in(read)).where(read.c.matches).limit(needed).cte(f"{name}_found")
    last = select(*position_in(read)).where(number_of(found) < needed).offset(size - ONE).limit(ONE)
    return Scan(found, last.cte(f"{name}_end"))


def page_of(
    order: Order,
    viewer: Principal,
    parameters: ListParameters,
    found: list[Positions],
    stopped_at: list[Positions],
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return the posts of a page, and where the next page begins.

    `found` are the posts between the start of the page and the position `stopped_at`, which has no row if the
    list ends there.
    """
    union = union_all(*found).subquery()
    collected = (
        select(union)
        .order_by(*order.order_by(position_in(union)))
        .limit(rows_needed(parameters))
        .cte("found")
    )
    ordered = select(collected).order_by(*order.order_by(position_in(collected)))
    shown = ordered.limit(parameters.limit).offset(parameters.skip).cte("shown")
    is_full = number_of(collected) >= rows_needed(parameters)
    posts_of_page, is_too_large = _fitting(order, viewer, shown)
    last = ordered.where(is_full, ~is_too_large).offset(rows_needed(parameters) - TWO).limit(ONE)
    in_page = select(*position_in(posts_of_page)).order_by(
        *order.reversed().order_by(position_in(posts_of_page))
    )
    last_that_fits = in_page.where(is_too_large).limit(ONE)
    ends = union_all(last, last_that_fits).subquery()
    stop = union_all(*stopped_at).subquery()
    skip = func.greatest(cast(parameters.skip, Integer) - number_of(collected), ZERO, type_=Integer)
    next_page = union_all(
        select(ends, ZERO.label("skip")), select(*position_in(stop), skip).where(~is_full, ~is_too_large)
    ).cte("next_page")
    next_position = only_position(next_page)
    no_time, no_rank = cast(null(), TIMESTAMP(timezone=True)), cast(null(), Integer)
    created_at, rank = (
        (no_time, next_position.sort_value) if order is TOP else (next_position.sort_value, no_rank)
    )
    return for_viewer(
        valid_principal(viewer),
        posts_of_page,
        _votes(order, posts_of_page).label("votes"),
        author_exists.label("author_exists"),
        created_at.label("next_created_at"),
        rank.label("next_rank"),
        cast(next_position.id, Integer).label("next_id"),
        select(next_page.c.skip).scalar_subquery().label("next_skip"),
    ).order_by(*order.order_by(position_in(posts_of_page)))


def _fitting(order: Order, viewer: Principal, shown: CTE) -> tuple[CTE, ColumnElement[bool]]:
    """Return the first posts of a page, as many as a response can hold, and whether others are left out.

    Encoding is slow, but PostgreSQL knows the size of a text without reading it. So first leave out the posts
    that would not fit even if encoding added no byte.
    """
    in_order = order.order_by(position_in(shown))
    raw_size = func.least(func.octet_length(Post.content), limits.CONTENT_BYTES)
    before = func.sum(raw_size).over(order_by=in_order) - raw_size
    # Check again that the viewer may see the post, because `post_titles` is only a copy.
    sized = (
        select(shown.c.sort_value, shown.c.id, before.label("before"))
        .join(Post, Post.id == shown.c.id)
        .where(is_visible_to(viewer.user_id))
        .cte("sized")
    )
    posts = (
        select(*POST_COLUMNS, sized.c.sort_value)
        .join(sized, sized.c.id == Post.id)
        .where(sized.c.before < limits.PAGE_BYTES)
        .cte("posts_of_page")
    )
    size = _encoded_size(posts.c.title) + _encoded_size(posts.c.content) + limits.OTHER_BYTES
    total = func.sum(size).over(order_by=order.order_by(position_in(posts)))
    encoded = select(posts, total.label("total")).subquery()
    fitting = select(encoded).where(encoded.c.total <= limits.PAGE_BYTES).cte("page")
    return fitting, number_of(fitting) < number_of(sized)


def _encoded_size(text: ColumnElement[str]) -> ColumnElement[int]:
    """Return the number of bytes of a text in the response of a function, which is JSON inside JSON."""
    return func.octet_length(cast(func.to_json(cast(func.to_json(text), String)), String))


def _votes(order: Order, posts: CTE) -> ColumnElement[int]:
    """Return the number of votes on a post: its counter plus its deltas (`common.models.VoteDelta`)."""
    # Usually there are no deltas. One scan for the whole page takes less time than one for each post.
    late = (
        select(VoteDelta.post_id, func.sum(VoteDelta.step).label("votes"))
        .where(VoteDelta.post_id == any_(func.array(select(posts.c.id).scalar_subquery())))
        .group_by(VoteDelta.post_id)
        .cte("late")
        .prefix_with("MATERIALIZED")
    )
    rank: Any = select(PostRank.vote_count).where(PostRank.post_id == posts.c.id).scalar_subquery()
    if order is TOP:
        rank = posts.c.sort_value
    late_votes = select(late.c.votes).where(late.c.post_id == posts.c.id).scalar_subquery()
    return func.coalesce(rank, ZERO) + func.coalesce(late_votes, ZERO)
