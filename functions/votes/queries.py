"""The SQL of votes. Triggers update the vote count of the post.

Each statement returns no row if the voter's account was deleted.
"""

from sqlalchemy import CTE, Select, delete, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from common.models import Post, User, Vote
from common.statement import statement
from votes.rows import VoteRow


def _visible(voter: int, post_id: int) -> CTE:
    return select(Post.id).where(Post.id == post_id, or_(Post.published, Post.owner_id == voter)).cte("post")


def _outcome(voter: int, post: CTE, changed: CTE) -> Select[bool, bool]:
    user = aliased(User)
    post_exists = exists(select(post.c.id)).label("post_exists")
    return (
        select(post_exists, exists(select(changed.c.post_id)).label("changed"))
        .select_from(user)
        .where(user.id == voter)
    )


@statement(VoteRow)
def cast(*, voter: int, post_id: int) -> Select[bool, bool]:
    """Cast a vote on a post that the voter may see; nothing changes if there is a vote already."""
    post = _visible(voter, post_id)
    vote = select(User.id, post.c.id).where(User.id == voter)
    changed = (
        insert(Vote)
        .from_select(["user_id", "post_id"], vote)
        .on_conflict_do_nothing()
        .returning(Vote.post_id)
    )
    return _outcome(voter, post, changed.cte("changed"))


@statement(VoteRow)
def retract(*, voter: int, post_id: int) -> Select[bool, bool]:
    """Retract a vote; nothing changes if there is none."""
    post = _visible(voter, post_id)
    changed = delete(Vote).where(Vote.user_id == voter, Vote.post_id == post.c.id).returning(Vote.post_id)
    return _outcome(voter, post, changed.cte("changed"))
