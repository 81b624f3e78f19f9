"""The SQL of votes. Triggers update the vote count of the post.

Each statement returns no row if the token is no longer valid.
"""

from sqlalchemy import CTE, ColumnElement, Select, delete, exists, select
from sqlalchemy.dialects.postgresql import insert

from common.models import Post, Vote
from common.principal import Principal
from common.queries import is_visible_to, may_write, valid_principal
from common.quotas import Quota, use_quota
from common.statement import statement
from votes.rows import VoteRow


def _visible_post(voter: CTE, post_id: int) -> CTE:
    return select(Post.id).join(voter, is_visible_to(voter.c.id)).where(Post.id == post_id).cte("post")


def _quota(voter: CTE, per_day: int, may_vote: ColumnElement[bool]) -> Quota:
    # Casting and retracting cost the same. Both count even if there is no such post or vote.
    return use_quota(voter, "votes", per_day, may_vote)


def _outcome(
    voter: CTE, post: CTE, changed: CTE, quota: Quota, may_vote: ColumnElement[bool]
) -> Select[bool, bool, int, bool]:
    return select(
        exists(select(post.c.id)).label("post_exists"),
        exists(select(changed.c.post_id)).label("changed"),
        quota.retry_after_seconds,
        may_vote.label("may_write"),
    ).select_from(voter)


@statement(VoteRow)
def cast(
    principal: Principal, *, post_id: int, per_day: int, verified_only: bool
) -> Select[bool, bool, int, bool]:
    """Cast a vote on a post that the voter may see; nothing changes if there is a vote already."""
    voter = valid_principal(principal)
    may_vote = may_write(voter, verified_only)
    quota = _quota(voter, per_day, may_vote)
    allowed = quota.allowed
    post = _visible_post(voter, post_id)
    vote = insert(Vote).from_select(["user_id", "post_id"], select(allowed.c.user_id, post.c.id))
    changed = vote.on_conflict_do_nothing().returning(Vote.post_id)
    return _outcome(voter, post, changed.cte("changed"), quota, may_vote)


@statement(VoteRow)
def retract(
    principal: Principal, *, post_id: int, per_day: int, verified_only: bool
) -> Select[bool, bool, int, bool]:
    """Retract a vote; nothing changes if there is none."""
    voter = valid_principal(principal)
    may_vote = may_write(voter, verified_only)
    quota = _quota(voter, per_day, may_vote)
    allowed = quota.allowed
    post = _visible_post(voter, post_id)
    changed = delete(Vote).where(Vote.user_id == allowed.c.user_id, Vote.post_id == post.c.id)
    return _outcome(voter, post, changed.returning(Vote.post_id).cte("changed"), quota, may_vote)
