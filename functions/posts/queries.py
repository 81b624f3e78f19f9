"""The SQL of posts, a statement a function.

Each statement starts from the row of the user who asks and joins to it what they may have: no row at all
says that the account is gone, a row not `found` that there is nothing for them. One round trip tells both.
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
# Posts that a search looks through, in 1 ms, before it asks the index.
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
    """The order of a list: by a key of the posts, then by id, so that no two stand in the same place.

    `posts` selects them all, `place` says where each stands, `key` what the key is called among POST_COLUMNS.
    """

    source: PostSelect
    sort_columns: tuple[InstrumentedAttribute[Any], InstrumentedAttribute[int]]
    sort_key: str
    descending: bool

    def after(self, page: ListParameters) -> PostSelect:
        """Return the posts that stand after the position at which a page begins, in order."""
        position = tuple_(*self.sort_columns)
        start = tuple_(cast(page.after, self.sort_columns[0].type), page.after_id)
        beyond = self.source.where(position < start if self.descending else position > start)
        return beyond.order_by(*map(self._direction, self.sort_columns))

    def order_by(self, posts: FromClause) -> tuple[Any, Any]:
        """Return the ORDER BY of posts that were selected before."""
        return self._direction(posts.c[self.sort_key]), self._direction(posts.c.id)

    def _direction(self, column: SQLCoreOperations[Any]) -> Any:  # noqa: ANN401  # SQLAlchemy's types differ
        return desc(column) if self.descending else asc(column)


NEWEST = Order(select(*POST_COLUMNS), (Post.created_at, Post.id), "created_at", descending=True)
OLDEST = Order(select(*POST_COLUMNS), (Post.created_at, Post.id), "created_at", descending=False)
TOP = Order(select(*POST_COLUMNS), (Post.vote_count, Post.id), "vote_count", descending=True)
# From the table of ranks, which has the index that would slow down every vote if posts had it.
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
    # The index holds every run of one to three characters of a title. A title that contains the term has all
    # the term's runs of three, or the whole of a shorter term; whether they stand together is left to ask.
    size = func.least(func.length(term), THREE)
    return func.grams(Post.title, ONE, THREE).bool_op("@>")(func.grams(term, size, size))


def _drafts(viewer: int) -> ColumnElement[bool]:
    return and_(Post.owner_id == viewer, ~Post.published)


# A list begins after the position (`after`, `after_id`) and has one row more than `limit` if it continues.
# Published posts and drafts are read from one index each, so that nobody's drafts slow down other readers.


def _feed(order: Order) -> ListStatement:
    """Return the statement that lists every post that the viewer may see."""

    def feed(page: ListParameters) -> PostSelect:
        every = order.after(page).limit(_rows_needed(page))
        posts = _page(order, [every.where(Post.published), every.where(_drafts(page.viewer))], page)
        return _for_viewer(page.viewer, posts).order_by(*order.order_by(posts))

    return statement(PostLookupRow)(feed)


def _search(order: Order, unranked: Order) -> ListStatement:
    """Return the statement that lists the visible posts whose title contains a term, not an empty one.

    A term that many titles contain is found by looking through the first posts; to fetch all of them by their
    index would take longer the more there are. Only when that is not enough is the index asked, which then
    has few. The planner could choose, but does not know how many titles contain a term, only characters.
    What is found by other means than the order needs no rank: `unranked` is the order by posts alone.
    """

    def search(page: ListParameters) -> PostSelect:
        rows_needed = _rows_needed(page)
        first = order.after(page).where(Post.published).limit(rows_needed + SCAN_LIMIT).subquery()
        matches = select(first).where(_contains(first.c.title, page.term))
        scanned = matches.order_by(*order.order_by(first)).limit(rows_needed).cte("scanned")
        scan_suffices = select(func.count()).select_from(scanned).scalar_subquery() >= rows_needed
        every = unranked.after(page)
        # The offset keeps the order, which another index has, from the planner: it would walk through that.
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
    """Find a post that the viewer may see."""
    visible = or_(Post.published, Post.owner_id == viewer)
    return _for_viewer(viewer, select(*POST_COLUMNS).where(Post.id == post_id, visible).subquery())


@statement(PostLookupRow)
def create(*, owner: int, title: str, content: str, published: bool) -> PostSelect:
    """Add a post."""
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
    """Add a post unless the owner used the key in the last day; then return what that made.

    Of two simultaneous uses of a key, one finds it taken only when it has written its post: it then writes a
    null where none may be, which undoes it whole, and runs again.
    Each post that is written sweeps old keys of its owner.
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
    # The user first, as the deletion of an account does: the post would lock the same row, but last.
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
    # Only who has their own key may take others, and none that is taken: two requests with old keys would
    # else wait for each other. Their own may be an old one, and no row can be written twice. In a CTE, which
    # is run once: run again, it would find the next ones.
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
    """Change a post of the editor's; of somebody else's post, return what it is."""
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
    """Delete a post of the editor's and return what it was; of somebody else's post, return what it is."""
    removed = (
        delete(Post)
        .where(Post.id == post_id, Post.owner_id == editor)
        .returning(*POST_COLUMNS)
        .cte("removed")
    )
    return _for_viewer(editor, _or_someone_elses(removed, post_id, editor))
