"""The SQL of posts, a statement a function.

Each statement starts from the row of the user who asks and joins to it what they may have: no row at all
says that the account is gone, a row not `found` that there is nothing for them. One round trip tells both.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    SQLColumnExpression,
    cast,
    delete,
    desc,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from common.models import Post, User
from common.query import query
from posts.rows import PostRow

COLUMNS = (Post.id, Post.title, Post.content, Post.published, Post.created_at, Post.vote_count, Post.owner_id)
NEWEST = (desc(Post.created_at), desc(Post.id))
ONE: ColumnElement[int] = literal_column("1")
# Posts that a search looks through, in 1 ms, before it asks the index.
LOOKED_THROUGH: ColumnElement[int] = literal_column("2000")


def _newest(posts: FromClause) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return desc(posts.c.created_at), desc(posts.c.id)


def _contains(title: SQLColumnExpression[str], term: str) -> ColumnElement[bool]:
    return func.strpos(title, term) > literal_column("0")


def _older(before: datetime, before_id: int) -> ColumnElement[bool]:
    return tuple_(Post.created_at, Post.id) < tuple_(before, before_id)


def _enough(skip: int, limit: int) -> ColumnElement[int]:
    return cast(skip, BigInteger) + limit + ONE


def _has_runs(term: str) -> ColumnElement[bool]:
    # The index holds every run of one to three characters of a title. A title that contains the term has all
    # the term's runs of three, or the whole of a shorter term; whether they stand together is left to ask.
    size = func.least(func.length(term), literal_column("3"))
    return func.grams(Post.title, ONE, literal_column("3")).bool_op("@>")(func.grams(term, size, size))


def _or_foreign(own: FromClause, post_id: int, editor: int) -> FromClause:
    foreign = select(*COLUMNS).where(Post.id == post_id, Post.owner_id != editor, Post.published)
    return union_all(select(own), foreign).subquery()


def _beside(user_id: int, posts: FromClause) -> Select[*tuple[Any, ...]]:
    user = aliased(User)
    owner = aliased(User)
    return (
        select(
            posts.c.id.is_not(None).label("found"),
            *(posts.c[column.key] for column in COLUMNS),
            owner.email.label("owner_email"),
            owner.created_at.label("owner_created_at"),
        )
        .select_from(user)
        .outerjoin(posts, true())
        .outerjoin(owner, owner.id == posts.c.owner_id)
        .where(user.id == user_id)
    )


def _merged(viewer: int, limit: int, skip: int, *parts: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    every = union_all(*parts).subquery()
    listed = select(every).order_by(*_newest(every)).limit(limit + ONE).offset(skip).subquery()
    return _beside(viewer, listed).order_by(*_newest(listed))


@query(PostRow)
def page(*, viewer: int, limit: int, skip: int, before: datetime, before_id: int) -> Select[*tuple[Any, ...]]:
    """List posts that come after the position (`before`, `before_id`), newest first.

    One more than `limit` says that there are more.
    Published posts and the viewer's drafts come from an index each, so that nobody's drafts slow down others.
    """
    every = select(*COLUMNS).where(_older(before, before_id)).order_by(*NEWEST).limit(_enough(skip, limit))
    drafts = every.where(Post.owner_id == viewer, ~Post.published)
    return _merged(viewer, limit, skip, every.where(Post.published), drafts)


@query(PostRow)
def search(
    *, viewer: int, term: str, limit: int, skip: int, before: datetime, before_id: int
) -> Select[*tuple[Any, ...]]:
    """List the posts of a page whose titles contain a term, which is not empty.

    A term that many titles contain is found by looking through the newest; to fetch all of them by their
    index would take longer the more there are. Only when that is not enough is the index asked, which then
    has few. The planner could choose, but does not know how many titles contain a term, only characters.
    """
    enough = _enough(skip, limit)
    older = select(*COLUMNS).where(_older(before, before_id))
    newest = older.where(Post.published).order_by(*NEWEST).limit(enough + LOOKED_THROUGH).subquery()
    looked_through = select(newest).where(_contains(newest.c.title, term))
    soon = looked_through.order_by(*_newest(newest)).limit(enough).cte("soon")
    suffices = select(func.count()).select_from(soon).scalar_subquery() >= enough
    # The offset keeps the order, which another index has, from the planner: it would walk through that one.
    matching = older.where(Post.published, _contains(Post.title, term), _has_runs(term))
    indexed = matching.offset(literal_column("0")).subquery()
    found = select(indexed).where(~suffices).order_by(*_newest(indexed)).limit(enough)
    drafts = older.where(Post.owner_id == viewer, ~Post.published, _contains(Post.title, term))
    return _merged(
        viewer, limit, skip, select(soon).where(suffices), found, drafts.order_by(*NEWEST).limit(enough)
    )


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
