"""The statements of the lists of posts, by age and by votes."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    SQLColumnExpression,
    and_,
    case,
    exists,
    false,
    func,
    select,
    union_all,
)

from common.database import Statement
from common.models import Post, PostRank, PostTitle, User
from common.principal import Principal
from common.queries import ONE, ZERO, is_draft_of, is_published, is_visible_to
from common.statement import statement
from posts import limits
from posts.pages import (
    NEWEST,
    OLDEST,
    TOP,
    Order,
    Position,
    Scan,
    first_of,
    merged,
    number_of,
    only_position,
    page_of,
    position_in,
    rows_needed,
    scan,
)
from posts.rows import ListParameters, ListRow
from posts.selects import TRUE, PostSelect
from posts.trigram_search import Walk, candidates, contains, in_time, segments_after

ListStatement = Statement[[Principal, ListParameters], ListRow]


class Part(NamedTuple):
    """Posts of a list that are read from an index.

    Attributes:
        posts: The condition that they meet.
        is_visible: Whether the viewer may see a post that meets it.

    """

    posts: SQLColumnExpression[bool]
    is_visible: ColumnElement[bool]


def _title_matches(viewer: Principal, parameters: ListParameters) -> ColumnElement[bool]:
    # `contains` first, because it excludes most titles and the second condition is slower.
    return and_(contains(PostTitle.title, parameters.term), is_visible_to(viewer.user_id, PostTitle))


def _post_matches(parameters: ListParameters) -> ColumnElement[bool]:
    return contains(func.left(Post.title, limits.TITLE_LENGTH), parameters.term)


def _author_exists(parameters: ListParameters) -> ColumnElement[bool]:
    return exists(select(User.id).where(User.id == parameters.author, User.deleted_at.is_(None)))


# By age: each list reads published posts from one index and drafts from another, so that the drafts of one
# user do not slow down other users. It also reads posts of deleted owners: there may be very many in a row.


def _by_age(
    order: Order,
    viewer: Principal,
    parameters: ListParameters,
    parts: Sequence[Part],
    matches: ColumnElement[bool],
    size: ColumnElement[int],
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return a page of the visible posts that match. `size` is the number of posts to read, of all parts."""
    position = Position(Post.created_at, Post.id)
    posts = select(*position.labelled()).where(order.is_after(position, order.start(parameters)))
    posts = posts.order_by(*order.order_by(position))
    read = union_all(
        *(
            first_of(
                posts.add_columns(and_(matches, part.is_visible).label("matches")).where(part.posts), size
            )
            for part in parts
        )
    ).subquery()
    ordered = select(read).order_by(*order.order_by(position_in(read)))
    found, end = scan("scan", ordered, size, rows_needed(parameters))
    return page_of(order, viewer, parameters, found, end, author_exists=author_exists)


def _feed(order: Order) -> ListStatement:
    """Return the statement that lists every post that the viewer may see."""

    def feed(viewer: Principal, parameters: ListParameters) -> PostSelect:
        parts = [
            Part(Post.published, is_published()),
            Part(is_draft_of(viewer.user_id), TRUE),
        ]
        return _by_age(order, viewer, parameters, parts, TRUE, rows_needed(parameters) + limits.LONG_SCAN)

    return statement(ListRow)(feed)


def _author(order: Order) -> ListStatement:
    """Return the statement that lists an author's posts."""

    def author_posts(viewer: Principal, parameters: ListParameters) -> PostSelect:
        own = Post.owner_id == parameters.author
        # A subquery, or the planner might read the posts of everyone in the index of published posts.
        is_true = select(TRUE).scalar_subquery()
        parts = [
            Part(and_(own, Post.published == is_true), is_published()),
            Part(and_(own, is_draft_of(viewer.user_id)), TRUE),
        ]
        return _by_age(
            order,
            viewer,
            parameters,
            parts,
            _post_matches(parameters),
            limits.AUTHOR_SCAN,
            _author_exists(parameters),
        )

    return statement(ListRow)(author_posts)


def _drafts(order: Order) -> ListStatement:
    """Return the statement that lists the viewer's drafts."""

    def own_drafts(viewer: Principal, parameters: ListParameters) -> PostSelect:
        parts = [Part(is_draft_of(viewer.user_id), TRUE)]
        return _by_age(order, viewer, parameters, parts, _post_matches(parameters), limits.AUTHOR_SCAN)

    return statement(ListRow)(own_drafts)


def _search(order: Order) -> ListStatement:
    """Return the statement that lists the visible posts whose title contains a term, which is not empty.

    A first scan is enough if many titles contain the term. Otherwise search the index of trigrams, in list
    order. The search stops at a segment that has more candidates than can be sorted: scan from there on.
    """

    def search(viewer: Principal, parameters: ListParameters) -> PostSelect:
        needed, matches = rows_needed(parameters), _title_matches(viewer, parameters)
        posts = order.read(order.start(parameters), matches)
        first = scan("first", posts, needed + limits.FIRST_SCAN, needed)
        walk = Walk(order, parameters, first, matches)
        stop = walk.stop
        dense = order.read(order.just_before(only_position(stop, stop.c.is_dense)), matches)
        missing = func.greatest(needed - select(stop.c.number_found).scalar_subquery(), ZERO)
        last = scan("last", dense, limits.LONG_SCAN, missing)
        found = merged(order, parameters, select(first.found), walk.found, select(last.found))
        before_stop = select(*order.just_before(position_in(stop)).labelled()).where(~stop.c.is_dense)
        return page_of(
            order,
            viewer,
            parameters,
            found,
            union_all(select(last.end), before_stop).cte("stopped_at"),
            is_visible=is_visible_to(viewer.user_id),
        )

    return statement(ListRow)(search)


# By votes: if an index finds few candidates, sort them. Otherwise scan all posts in the order of votes.


def _by_votes(
    viewer: Principal,
    parameters: ListParameters,
    candidate: CTE,
    candidate_matches: ColumnElement[bool],
    matches: ColumnElement[bool],
    first: Scan | None = None,
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return a page of the posts that meet a condition.

    Args:
        viewer: The principal.
        parameters: Those of the list.
        candidate: The ids of all posts that may meet the condition, in any order. It may be incomplete if
            there are more than can be sorted or, after a first scan, if the time of a search is over.
        candidate_matches: The condition, on candidates.
        matches: The same condition, on `post_titles`.
        first: A scan that ran before. If it has filled the page, candidates are not sorted.
        author_exists: Whether the author of the list exists.

    """
    few = number_of(candidate) <= limits.CANDIDATES
    if first:
        # CASE evaluates in this order, so that the clock is read after the last candidate.
        few = case((~exists(select(first.end.c.id)), false()), (~few, false()), else_=_in_time())
    sorts_candidates = select(select(few.label("few")).cte("are_few").c.few).scalar_subquery()
    # A subquery, because the planner might read the whole table for a join.
    votes = select(PostRank.vote_count).where(PostRank.post_id == candidate.c.id).scalar_subquery()
    ranked = select(votes.label("sort_value"), candidate.c.id).where(sorts_candidates, candidate_matches)
    # OFFSET 0, or the planner would read the votes once for the result and once for the position.
    sorted_posts = ranked.offset(ZERO).subquery()
    found = [select(sorted_posts).where(TOP.is_after(position_in(sorted_posts), TOP.start(parameters)))]
    start, needed = TOP.start(parameters), rows_needed(parameters)
    if first:
        found.append(select(first.found).where(~sorts_candidates))
        start, needed = only_position(first.end), needed - number_of(first.found)
    rest = scan("rest", TOP.read(start, matches).where(~sorts_candidates), limits.SCAN_BY_VOTES, needed)
    found.append(select(rest.found))
    return page_of(
        TOP,
        viewer,
        parameters,
        merged(TOP, parameters, *found),
        rest.end,
        is_visible=is_visible_to(viewer.user_id),
        author_exists=author_exists,
    )


_clock = select(func.clock_timestamp().label("started_at")).cte("clock")


def _in_time() -> ColumnElement[bool]:
    return in_time(select(_clock.c.started_at).scalar_subquery())


def _among(condition: ColumnElement[bool], candidate: CTE) -> ColumnElement[bool]:
    """Return a condition on `posts` for candidates."""
    # A subquery, because the planner might read the whole table for a join.
    return select(condition).where(Post.id == candidate.c.id).scalar_subquery()


@statement(ListRow)
def feed_top(viewer: Principal, parameters: ListParameters) -> PostSelect:
    """List every post that the viewer may see."""
    posts = TOP.read(TOP.start(parameters), is_visible_to(viewer.user_id, PostTitle))
    found, end = scan("scan", posts, rows_needed(parameters) + limits.FIRST_SCAN, rows_needed(parameters))
    return page_of(TOP, viewer, parameters, found, end, is_visible=is_visible_to(viewer.user_id))


@statement(ListRow)
def search_top(viewer: Principal, parameters: ListParameters) -> PostSelect:
    """List the visible posts whose title contains a term, which is not empty."""
    matches = _title_matches(viewer, parameters)
    first = scan(
        "first", TOP.read(TOP.start(parameters), matches), limits.FIRST_SCAN, rows_needed(parameters)
    )
    present = segments_after(first)
    # The time is read before each segment.
    segment = select(present.c.segment).where(_in_time()).subquery()
    columns = (PostTitle.post_id.label("id"), matches.label("matches"))
    title = candidates(segment.c.segment, parameters.term, *columns).lateral()
    found = select(title.c.id, title.c.matches).select_from(segment).join(title, TRUE)
    candidate = found.limit(limits.CANDIDATES + ONE).cte("candidate")
    return _by_votes(viewer, parameters, candidate, candidate.c.matches, matches, first)


@statement(ListRow)
def author_top(viewer: Principal, parameters: ListParameters) -> PostSelect:
    """List an author's posts."""
    own = select(Post.id).where(Post.owner_id == parameters.author)
    candidate = own.limit(limits.CANDIDATES + ONE).cte("candidate")
    post_matches = _among(and_(is_visible_to(viewer.user_id), _post_matches(parameters)), candidate)
    matches = and_(PostTitle.owner_id == parameters.author, _title_matches(viewer, parameters))
    return _by_votes(
        viewer, parameters, candidate, post_matches, matches, author_exists=_author_exists(parameters)
    )


@statement(ListRow)
def drafts_top(viewer: Principal, parameters: ListParameters) -> PostSelect:
    """List the viewer's drafts."""
    own = select(Post.id).where(Post.owner_id == viewer.user_id, ~Post.published)
    candidate = own.limit(limits.CANDIDATES + ONE).cte("candidate")
    post_matches = _among(and_(is_draft_of(viewer.user_id), _post_matches(parameters)), candidate)
    matches = and_(is_draft_of(viewer.user_id, PostTitle), contains(PostTitle.title, parameters.term))
    return _by_votes(viewer, parameters, candidate, post_matches, matches)


feed_new, feed_old = _feed(NEWEST), _feed(OLDEST)
search_new, search_old = _search(NEWEST), _search(OLDEST)
drafts_new, drafts_old = _drafts(NEWEST), _drafts(OLDEST)
author_new, author_old = _author(NEWEST), _author(OLDEST)
