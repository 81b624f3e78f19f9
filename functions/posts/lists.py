"""The statements of the lists of posts, by age and by votes."""

from sqlalchemy import CTE, ColumnElement, and_, case, exists, false, func, select, union_all

from common.database import Statement
from common.models import Post, PostRank, PostTitle, User
from common.principal import Principal
from common.queries import is_draft_of, is_visible_to
from common.statement import statement
from posts import limits
from posts.pages import (
    NEWEST,
    OLDEST,
    ONE,
    TOP,
    ZERO,
    Order,
    Position,
    Scan,
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


def _title_matches(viewer: Principal, page: ListParameters) -> ColumnElement[bool]:
    # In this order, because few titles contain the term and the other condition is slower.
    return and_(contains(PostTitle.title, page.term), is_visible_to(viewer.user_id, PostTitle))


def _post_matches(page: ListParameters) -> ColumnElement[bool]:
    return contains(func.left(Post.title, limits.TITLE_LENGTH), page.term)


def _author_exists(page: ListParameters) -> ColumnElement[bool]:
    return exists(select(User.id).where(User.id == page.author, User.deleted_at.is_(None)))


# By age: published posts and drafts are read from an index each, so that the drafts of one user slow down
# nobody else. Posts whose owner is deleted are read, too, because there may be very many in a row.


def _by_age(
    order: Order,
    viewer: Principal,
    page: ListParameters,
    parts: list[ColumnElement[bool]],
    matches: ColumnElement[bool],
    size: ColumnElement[int],
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return a page of the visible posts that match and meet one of several conditions.

    Each condition has an index. It need not tell whether the owner is deleted.
    """
    position = Position(Post.created_at, Post.id)
    posts = select(*position.labelled(), and_(matches, is_visible_to(viewer.user_id)).label("matches"))
    posts = posts.where(order.is_after(position, order.start(page))).order_by(*order.order_by(position))
    every = union_all(*(posts.where(part).limit(size) for part in parts)).subquery()
    ordered = select(every).order_by(*order.order_by(position_in(every)))
    found, end = scan("scan", ordered, size, rows_needed(page))
    return page_of(order, viewer, page, [select(found)], [select(end)], author_exists)


def _feed(order: Order) -> ListStatement:
    """Return the statement that lists every post that the viewer may see."""

    def feed(viewer: Principal, page: ListParameters) -> PostSelect:
        parts = [Post.published, is_draft_of(viewer.user_id)]
        return _by_age(order, viewer, page, parts, TRUE, rows_needed(page) + limits.LONG_SCAN)

    return statement(ListRow)(feed)


def _author(order: Order) -> ListStatement:
    """Return the statement that lists an author's posts."""

    def author_posts(viewer: Principal, page: ListParameters) -> PostSelect:
        own = Post.owner_id == page.author
        parts = [and_(own, Post.published), and_(own, is_draft_of(viewer.user_id))]
        size = rows_needed(page) + limits.FIRST_SCAN
        return _by_age(order, viewer, page, parts, _post_matches(page), size, _author_exists(page))

    return statement(ListRow)(author_posts)


def _drafts(order: Order) -> ListStatement:
    """Return the statement that lists the viewer's drafts."""

    def own_drafts(viewer: Principal, page: ListParameters) -> PostSelect:
        size = rows_needed(page) + limits.FIRST_SCAN
        return _by_age(order, viewer, page, [is_draft_of(viewer.user_id)], _post_matches(page), size)

    return statement(ListRow)(own_drafts)


def _search(order: Order) -> ListStatement:
    """Return the statement that lists the visible posts whose title contains a term, which is not empty.

    A first scan is enough if many titles contain the term. Otherwise the index of trigrams is searched, in
    list order. From a segment with more titles than can be sorted, scan again.
    """

    def search(viewer: Principal, page: ListParameters) -> PostSelect:
        needed, matches = rows_needed(page), _title_matches(viewer, page)
        posts = order.read(order.start(page), matches)
        first = scan("first", posts, needed + limits.FIRST_SCAN, needed)
        walk = Walk(order, page, first, matches)
        stop = walk.stop
        dense = order.read(order.just_before(only_position(stop, stop.c.is_dense)), matches)
        missing = func.greatest(needed - select(stop.c.number).scalar_subquery(), ZERO)
        last = scan("last", dense, limits.LONG_SCAN, missing)
        found = [select(first.found), walk.found, select(last.found)]
        before_stop = select(*order.just_before(position_in(stop)).labelled()).where(~stop.c.is_dense)
        return page_of(order, viewer, page, found, [select(last.end), before_stop])

    return statement(ListRow)(search)


# By votes: if an index finds few posts, they are sorted. Otherwise all posts are scanned by votes.


def _by_votes(
    viewer: Principal,
    page: ListParameters,
    candidate: CTE,
    candidate_matches: ColumnElement[bool],
    matches: ColumnElement[bool],
    first: Scan | None = None,
    author_exists: ColumnElement[bool] = TRUE,
) -> PostSelect:
    """Return a page of the posts that meet a condition.

    `candidate` has the ids of all posts that may meet it, in any order. If they are too many to sort, it may
    end early; after a first scan, which may have found enough, also if the time of a search is over. The
    condition is once on candidates and once on `post_titles`.
    """
    few = number_of(candidate) <= limits.CANDIDATES
    if first:
        # The order matters: the time is read after the last candidate.
        few = case((~exists(select(first.end.c.id)), false()), (~few, false()), else_=_in_time())
    is_sorted = select(select(few.label("few")).cte("are_few").c.few).scalar_subquery()
    # A subquery, because the planner might read the whole table for a join.
    votes = select(PostRank.vote_count).where(PostRank.post_id == candidate.c.id).scalar_subquery()
    ranked = select(votes.label("sort_value"), candidate.c.id).where(is_sorted, candidate_matches)
    every = ranked.offset(ZERO).subquery()
    found = [select(every).where(TOP.is_after(position_in(every), TOP.start(page)))]
    start, needed = TOP.start(page), rows_needed(page)
    if first:
        found.append(select(first.found).where(~is_sorted))
        start, needed = only_position(first.end), needed - number_of(first.found)
    rest = scan("rest", TOP.read(start, matches).where(~is_sorted), limits.SCAN_BY_VOTES, needed)
    found.append(select(rest.found))
    return page_of(TOP, viewer, page, found, [select(rest.end)], author_exists)


_clock = select(func.clock_timestamp().label("started_at")).cte("clock")


def _in_time() -> ColumnElement[bool]:
    return in_time(select(_clock.c.started_at).scalar_subquery())


def _among(condition: ColumnElement[bool], candidate: CTE) -> ColumnElement[bool]:
    """Return a condition on `posts` for candidates; a subquery, as above."""
    return select(condition).where(Post.id == candidate.c.id).scalar_subquery()


@statement(ListRow)
def feed_top(viewer: Principal, page: ListParameters) -> PostSelect:
    """List every post that the viewer may see."""
    posts = TOP.read(TOP.start(page), is_visible_to(viewer.user_id, PostTitle))
    found, end = scan("scan", posts, rows_needed(page) + limits.FIRST_SCAN, rows_needed(page))
    return page_of(TOP, viewer, page, [select(found)], [select(end)])


@statement(ListRow)
def search_top(viewer: Principal, page: ListParameters) -> PostSelect:
    """List the visible posts whose title contains a term, which is not empty."""
    matches = _title_matches(viewer, page)
    first = scan("first", TOP.read(TOP.start(page), matches), limits.FIRST_SCAN, rows_needed(page))
    present = segments_after(first)
    # The time is read before each segment. A fence keeps it there.
    segment = select(present.c.segment).where(_in_time()).offset(ZERO).subquery()
    columns = (PostTitle.post_id.label("id"), matches.label("matches"))
    title = candidates(segment.c.segment, page.term, *columns).lateral()
    every = select(title.c.id, title.c.matches).select_from(segment).join(title, TRUE)
    candidate = every.limit(limits.CANDIDATES + ONE).cte("candidate")
    return _by_votes(viewer, page, candidate, candidate.c.matches, matches, first)


@statement(ListRow)
def author_top(viewer: Principal, page: ListParameters) -> PostSelect:
    """List an author's posts."""
    own = select(Post.id).where(Post.owner_id == page.author)
    candidate = own.limit(limits.CANDIDATES + ONE).cte("candidate")
    post_matches = _among(and_(is_visible_to(viewer.user_id), _post_matches(page)), candidate)
    matches = and_(PostTitle.owner_id == page.author, _title_matches(viewer, page))
    return _by_votes(viewer, page, candidate, post_matches, matches, author_exists=_author_exists(page))


@statement(ListRow)
def drafts_top(viewer: Principal, page: ListParameters) -> PostSelect:
    """List the viewer's drafts."""
    own = select(Post.id).where(Post.owner_id == viewer.user_id, ~Post.published)
    candidate = own.limit(limits.CANDIDATES + ONE).cte("candidate")
    post_matches = _among(and_(is_draft_of(viewer.user_id), _post_matches(page)), candidate)
    matches = and_(is_draft_of(viewer.user_id, PostTitle), contains(PostTitle.title, page.term))
    return _by_votes(viewer, page, candidate, post_matches, matches)


feed_new, feed_old = _feed(NEWEST), _feed(OLDEST)
search_new, search_old = _search(NEWEST), _search(OLDEST)
drafts_new, drafts_old = _drafts(NEWEST), _drafts(OLDEST)
author_new, author_old = _author(NEWEST), _author(OLDEST)
