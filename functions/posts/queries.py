"""The SQL of posts, a statement a function.

Each statement starts from the row of the user who asks and joins to it what they may have: no row at all
says that the account is gone, a row not `found` that there is nothing for them. One round trip tells both.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
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

from common.database import Query
from common.models import IdempotencyKey, Post, User
from common.query import query
from posts.rows import OnceRow, PostRow

COLUMNS = (Post.id, Post.title, Post.content, Post.published, Post.created_at, Post.vote_count, Post.owner_id)
ONE: ColumnElement[int] = literal_column("1")
DAY_AGO: ColumnElement[datetime] = literal_column("now() - interval '1 day'")

Conditions = tuple[ColumnElement[bool], ...]
# Which posts a list holds, given the viewer and an author.
Scope = Callable[[int, int], Conditions]


class Order(NamedTuple):
    """The order of a list: by a column, then by id, so that no two posts stand in the same place."""

    key: InstrumentedAttribute[Any]
    descends: bool

    def by(self, key: SQLCoreOperations[Any], ident: SQLCoreOperations[int]) -> tuple[Any, ...]:
        """Return the ORDER BY of columns that stand for the key and the id."""
        direction = desc if self.descends else asc
        return (direction(key), direction(ident))


def _contains(search: str) -> ColumnElement[bool]:
    # The index holds every run of one to three characters of a title. A title that contains the term has all
    # the term's runs of three, or the whole of a shorter term; strpos then checks that they stand together.
    size = func.least(func.length(search), literal_column("3"))
    runs = func.grams(Post.title, ONE, literal_column("3")).bool_op("@>")(func.grams(search, size, size))
    together = func.strpos(Post.title, search) > literal_column("0")
    return or_(func.length(search) == literal_column("0"), and_(together, runs))


def _or_foreign(own: FromClause, post_id: int, editor: int) -> FromClause:
    foreign = select(*COLUMNS).where(Post.id == post_id, Post.owner_id != editor, Post.published)
    return union_all(select(own), foreign).subquery()


def _beside(
    user_id: int, posts: FromClause, found: ColumnElement[bool] | None = None
) -> Select[*tuple[Any, ...]]:
    user = aliased(User)
    owner = aliased(User)
    return (
        select(
            (posts.c.id.is_not(None) if found is None else found).label("found"),
            *(posts.c[column.key] for column in COLUMNS),
            owner.email.label("owner_email"),
            owner.created_at.label("owner_created_at"),
        )
        .select_from(user)
        .outerjoin(posts, true())
        .outerjoin(owner, owner.id == posts.c.owner_id)
        .where(user.id == user_id)
    )


def _list(order: Order, *scopes: Scope) -> Query[..., PostRow]:
    """Return the statement that lists the posts of all the scopes in an order, as one list.

    It begins after the position (`after`, `after_id`), and one more than `limit` says that there are more.
    Each scope is read from an index of its own: nobody's drafts slow down what others read.
    """

    def statement(
        *, viewer: int, author: int, search: str, limit: int, skip: int, after: str, after_id: int
    ) -> Select[*tuple[Any, ...]]:
        start = tuple_(cast(after, order.key.type), after_id)
        position = tuple_(order.key, Post.id)
        every = (
            select(*COLUMNS)
            .where(position < start if order.descends else position > start, _contains(search))
            .order_by(*order.by(order.key, Post.id))
            .limit(cast(skip, BigInteger) + limit + ONE)
        )
        parts = [every.where(*scope(viewer, author)) for scope in scopes]
        posts = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()
        listed = select(posts).order_by(*order.by(posts.c[order.key.key], posts.c.id))
        page = listed.limit(limit + ONE).offset(skip).subquery()
        known = case((exists(select(User.id).where(User.id == author)), page.c.id.is_not(None)))
        found = known if published_by in scopes else None
        return _beside(viewer, page, found).order_by(*order.by(page.c[order.key.key], page.c.id))

    return query(PostRow)(statement)


def published(_viewer: int, _author: int) -> Conditions:
    """Hold everybody's published posts."""
    return (Post.published.expression,)


def drafts(viewer: int, _author: int) -> Conditions:
    """Hold the viewer's drafts."""
    return (Post.owner_id == viewer, ~Post.published)


def published_by(_viewer: int, author: int) -> Conditions:
    """Hold an author's published posts."""
    return (Post.owner_id == author, Post.published.expression)


def drafts_by(viewer: int, author: int) -> Conditions:
    """Hold an author's drafts, for the author."""
    return (*drafts(viewer, author), Post.owner_id == author)


NEW = Order(Post.created_at, descends=True)
OLD = Order(Post.created_at, descends=False)
TOP = Order(Post.vote_count, descends=True)

feed_new, feed_old, feed_top = (_list(order, published, drafts) for order in (NEW, OLD, TOP))
drafts_new, drafts_old, drafts_top = (_list(order, drafts) for order in (NEW, OLD, TOP))
author_new, author_old, author_top = (_list(order, published_by, drafts_by) for order in (NEW, OLD, TOP))


@query(PostRow)
def read(*, post_id: int, viewer: int) -> Select[*tuple[Any, ...]]:
    """Find a post that the viewer may see."""
    visible = or_(Post.published, Post.owner_id == viewer)
    return _beside(viewer, select(*COLUMNS).where(Post.id == post_id, visible).subquery())


@query(PostRow)
def create(*, owner: int, title: str, content: str, published: bool) -> Select[*tuple[Any, ...]]:
    """Add a post."""
    written: tuple[Any, ...] = (title, content, published)
    values = select(User.id, *written).where(User.id == owner)
    created = (
        insert(Post).from_select(["owner_id", "title", "content", "published"], values).returning(*COLUMNS)
    )
    return _beside(owner, created.cte("created"))


@query(OnceRow)
def create_once(
    *, owner: int, title: str, content: str, published: bool, key: str, fingerprint: str
) -> Select[*tuple[Any, ...]]:
    """Add a post unless the owner used the key in the last day; then return what that made.

    Of two simultaneous uses of a key, one finds it taken only when it has written its post: it then writes a
    null where none may be, which undoes it whole, and runs again.
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
    values = select(User.id, *written).where(User.id == owner, ~exists(select(earlier.c.key)))
    created = (
        insert(Post)
        .from_select(["owner_id", "title", "content", "published"], values)
        .returning(Post.id, Post.created_at, Post.owner_id)
        .cte("created")
    )
    kept = insert(IdempotencyKey).from_select(
        ["user_id", "post_id", "created_at", "key", "fingerprint"],
        select(created.c.owner_id, created.c.id, created.c.created_at, *names),
    )
    kept = kept.on_conflict_do_update(
        index_elements=[IdempotencyKey.user_id, IdempotencyKey.key],
        set_={
            "post_id": case((IdempotencyKey.created_at > DAY_AGO, null()), else_=kept.excluded.post_id),
            "created_at": kept.excluded.created_at,
            "fingerprint": kept.excluded.fingerprint,
        },
    )
    made = union_all(
        select(created.c.id, created.c.created_at, *names[1:]),
        select(earlier.c.post_id, earlier.c.created_at, earlier.c.fingerprint),
    ).subquery()
    return (
        select(
            made.c.id,
            made.c.created_at,
            (made.c.fingerprint == fingerprint).label("is_same"),
            User.email.label("owner_email"),
            User.created_at.label("owner_created_at"),
        )
        .select_from(User)
        .join(made, true())
        .where(User.id == owner)
        .add_cte(kept.cte("kept"))
    )


@query(PostRow)
def change(
    *, post_id: int, editor: int, title: str, content: str, published: bool
) -> Select[*tuple[Any, ...]]:
    """Change a post of the editor's; of somebody else's post, return what it is."""
    changed = (
        update(Post)
        .where(Post.id == post_id, Post.owner_id == editor)
        .values(title=title, content=content, published=published)
        .returning(*COLUMNS)
        .cte("changed")
    )
    return _beside(editor, _or_foreign(changed, post_id, editor))


@query(PostRow)
def remove(*, post_id: int, editor: int) -> Select[*tuple[Any, ...]]:
    """Delete a post of the editor's and return what it was; of somebody else's post, return what it is."""
    removed = (
        delete(Post).where(Post.id == post_id, Post.owner_id == editor).returning(*COLUMNS).cte("removed")
    )
    return _beside(editor, _or_foreign(removed, post_id, editor))
