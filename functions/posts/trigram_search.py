"""The SQL that finds titles with the index of trigrams, segment by segment.

A segment is a range of 65,536 ids. Each trigram in the index is prefixed with the number of its segment, so
that the index works like one index per segment. A search reads one segment after the other and stops when it
has enough posts.
"""

from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY, aggregate_order_by
from sqlalchemy.sql.elements import SQLCoreOperations

from common.models import PostTitle
from common.queries import ONE, ZERO
from posts import limits
from posts.pages import Order, Positions, Scan, number_of, only_position, position_in, rows_needed
from posts.rows import ListParameters
from posts.selects import TRUE

SEGMENT_BITS: ColumnElement[int] = literal_column("16", Integer())
SEGMENT: ColumnElement[int] = PostTitle.post_id.op(">>", return_type=Integer())(SEGMENT_BITS)


def contains(title: SQLCoreOperations[str], term: str) -> ColumnElement[bool]:
    """Tell whether a title contains a term, literally."""
    return func.strpos(title, term) > ZERO


def in_time(started_at: ColumnElement[Any]) -> ColumnElement[bool]:
    """Tell whether a search that began at `started_at` may read another segment."""
    return func.clock_timestamp() < started_at + limits.SEARCH_TIME


def segments_after(first: Scan) -> CTE:
    """Return the segments that have posts, the highest ids first; none if a first scan filled the page."""
    newest = select(SEGMENT.label("segment")).where(exists(select(first.end.c.id)))
    present = newest.order_by(PostTitle.post_id.desc()).limit(ONE).cte("present", recursive=True)
    first_id = present.c.segment.op("<<", return_type=Integer())(SEGMENT_BITS)
    older = select(SEGMENT.label("segment")).where(PostTitle.post_id < first_id)
    next_one = older.order_by(PostTitle.post_id.desc()).limit(ONE).lateral()
    return present.union_all(select(next_one.c.segment).select_from(present).join(next_one, TRUE))


def candidates(segment: SQLCoreOperations[int], term: str, *columns: ColumnElement[Any]) -> Positions:
    """Return the titles in a segment that have the trigrams of a term: all that contain it, few others."""
    keys = func.replace(func.term_keys(term), literal_column("'#'"), cast(segment, String))
    has_keys = func.title_keys(SEGMENT, PostTitle.title).bool_op("@@")(cast(keys, TSQUERY))
    return select(*columns).where(has_keys)


class Walk:
    """The recursion that searches one segment after the other, in the order of a list.

    It searches the segment whose first post comes first in the list, then the segment whose first post comes
    second, and so on. Then all posts before the first post of the next segment have been found, even if ids
    are not in the order of the list.

    Attributes:
        found: The posts that were found before `stop`.
        stop: The position of the first post of the first segment that was not searched; no row if all were
            searched. `is_dense` is true if that segment has too many candidates. `number_found` is the number
            of posts that were found before this position.

    """

    def __init__(
        self, order: Order, parameters: ListParameters, first: Scan, matches: ColumnElement[bool]
    ) -> None:
        segments = _sorted(segments_after(first), order, first)
        walk = _walk(order, parameters, first, segments, matches)
        last = select(walk).order_by(walk.c.next.desc(), walk.c.is_dense.desc()).limit(ONE).subquery()
        self.stop = (
            select(
                segments.c.sort_values[last.c.next].label("sort_value"),
                segments.c.ids[last.c.next].label("id"),
                last.c.is_dense,
                last.c.number_found,
            )
            .select_from(last)
            .join(segments, last.c.next <= func.cardinality(segments.c.segments))
            .cte("stop")
        )
        in_segments = select(
            func.unnest(walk.c.sort_values).label("sort_value"), func.unnest(walk.c.ids).label("id")
        ).subquery()
        is_beyond = order.is_after(position_in(in_segments), only_position(self.stop))
        self.found = select(in_segments).where(or_(~exists(select(self.stop.c.id)), ~is_beyond))


def _sorted(present: CTE, order: Order, first: Scan) -> CTE:
    """Return a row of three arrays: the segments, and the position of the first post of each.

    Posts that the first scan has read are left out. The result is arrays, because the recursion can read one
    element of an array without the others.
    """
    rest = select(*order.indexed.labelled()).where(
        present.c.segment == SEGMENT, order.is_after(order.indexed, only_position(first.end))
    )
    # The segment is part of the order, because the index begins with it.
    start = rest.order_by(SEGMENT, *order.order_by(order.indexed)).limit(ONE).lateral()
    arrays = {"segments": present.c.segment, "sort_values": start.c.sort_value, "ids": start.c.id}
    by = order.order_by(position_in(start))
    columns = (func.array_agg(aggregate_order_by(each, *by)).label(name) for name, each in arrays.items())
    return select(*columns).select_from(present).join(start, TRUE).cte("segments")


def _walk(
    order: Order, parameters: ListParameters, first: Scan, segments: CTE, matches: ColumnElement[bool]
) -> CTE:
    """Return the states of the walk: one row before the first segment, and one after each step.

    A step searches a segment, or finds that it has too many candidates. The walk takes no step if the first
    scan found so many posts that this is to be expected. The columns of a row:

    - `next`: the next segment, as an index in the arrays of `segments`.
    - `number_found`: the number of posts that were found before the first post of the next segment.
    - `is_dense`: whether the next segment has too many candidates. Then the walk ends.
    - `sort_values`, `ids`: the posts that this step has found.
    - `started_at`: the time at which the walk began.
    """
    begin = select(
        ONE.label("next"),
        number_of(first.found).label("number_found"),
        (number_of(first.found) * limits.DENSE_ONE_IN > rows_needed(parameters) + limits.FIRST_SCAN).label(
            "is_dense"
        ),
        cast(null(), ARRAY(order.indexed.sort_value.type)).label("sort_values"),
        cast(null(), ARRAY(Integer)).label("ids"),
        func.clock_timestamp().label("started_at"),
    ).where(exists(select(first.end.c.id)))
    walk = begin.cte("walk", recursive=True)
    step = _step(walk, segments, rows_needed(parameters))
    result = _search_segment(order, parameters, first, step, matches)
    is_sparse = ~result.c.is_dense
    return walk.union_all(
        select(
            case((is_sparse, step.c.next + ONE), else_=step.c.next),
            case((is_sparse, step.c.number_found + result.c.number_found), else_=step.c.number_found),
            result.c.is_dense,
            case((is_sparse, result.c.sort_values)),
            case((is_sparse, result.c.ids)),
            step.c.started_at,
        )
        .select_from(step)
        .join(result, TRUE)
    )


def _step(walk: CTE, segments: CTE, needed: ColumnElement[int]) -> FromClause:
    """Return the next segment, and the position of the first post of the one after it; no row at the end."""
    after_next = walk.c.next + ONE
    return (
        select(
            walk.c.next,
            walk.c.number_found,
            walk.c.started_at,
            segments.c.segments[walk.c.next].label("segment"),
            segments.c.sort_values[after_next].label("sort_value"),
            segments.c.ids[after_next].label("id"),
        )
        .select_from(walk)
        .join(segments, walk.c.next <= func.cardinality(segments.c.segments))
        .where(walk.c.number_found < needed, ~walk.c.is_dense)
        .where(or_(walk.c.next <= limits.MIN_SEGMENTS, in_time(walk.c.started_at)))
        .subquery("step")
    )


def _search_segment(
    order: Order, parameters: ListParameters, first: Scan, step: FromClause, matches: ColumnElement[bool]
) -> FromClause:
    """Return one row: the matching posts, and how many of them come before the next segment's first post."""
    is_match = and_(matches, order.is_after(order.indexed, only_position(first.end)))
    some = candidates(step.c.segment, parameters.term, *order.indexed.labelled(), is_match.label("matches"))
    candidate = some.limit(limits.CANDIDATES + ONE).correlate(step).subquery("candidate")
    position, found = position_in(candidate), candidate.c.matches
    is_before_next = or_(step.c.id.is_(None), order.is_after(position_in(step), position))
    return (
        select(
            (func.count() > limits.CANDIDATES).label("is_dense"),
            func.count().filter(found, is_before_next).label("number_found"),
            func.array_agg(position.sort_value).filter(found).label("sort_values"),
            func.array_agg(position.id).filter(found).label("ids"),
        )
        .select_from(candidate)
        .lateral("result")
    )
