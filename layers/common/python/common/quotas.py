"""The SQL of quotas: how often an account may do something within 24 hours.

The statement that a quota limits counts itself, in the same round trip. Simultaneous requests of one account
wait for each other at its row, so that no more of them succeed than the quota allows. A request beyond the
quota only reads: it changes and locks nothing.
"""

from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Label,
    String,
    and_,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from common.models import QuotaUsage
from common.queries import NOW, ONE, seconds_to

# Not '1 day', which is an hour shorter or longer when daylight saving time begins or ends.
PERIOD: ColumnElement[Any] = literal_column("interval '24 hours'")
SECONDS_PER_PERIOD: ColumnElement[int] = literal_column("86400")


class Quota(NamedTuple):
    """The result of counting a request towards a quota, for use in the same statement.

    Attributes:
        allowed: One row, with the user's id as `user_id`; no row if the statement must change nothing.
            Everything that the statement changes has to depend on it.
        retry_after_seconds: The column of this name: the time until the quota is renewed; NULL if it does not
            refuse the request.

    """

    allowed: CTE
    retry_after_seconds: Label[int]


def use_quota(caller: CTE, action: str, per_day: int, *conditions: ColumnElement[bool]) -> Quota:
    """Count an action of a user, unless they have done it `per_day` times already.

    The first action starts a period of 24 hours, and the first one after its end starts the next period.

    Args:
        caller: One row with the user's id as `id`, or no row if the request is not valid: it does not count.
        action: The name of what is counted.
        per_day: How often the user may do it in a period.
        conditions: If one is false, the statement neither counts nor changes anything.

    """
    counted: ColumnElement[str] = literal_column(f"'{action}'", String)
    period = (
        select(QuotaUsage.used, QuotaUsage.resets_at)
        .join(caller, caller.c.id == QuotaUsage.user_id)
        .where(QuotaUsage.action == counted, QuotaUsage.resets_at > NOW)
        .cte("period")
    )
    is_used_up = exists(select(period.c.used).where(period.c.used >= per_day))
    new = insert(QuotaUsage).from_select(
        ["user_id", "action", "used", "resets_at"],
        select(caller.c.id, counted, ONE, NOW + PERIOD).where(~is_used_up, *conditions),
    )
    # Compare with the time before this statement waited for the row, because another statement may have
    # started a period in the meantime.
    is_over = QuotaUsage.resets_at <= new.excluded.resets_at - PERIOD
    allowed = (
        new.on_conflict_do_update(
            index_elements=[QuotaUsage.user_id, QuotaUsage.action],
            set_={
                "used": case((is_over, ONE), else_=QuotaUsage.used + ONE),
                "resets_at": case((is_over, new.excluded.resets_at), else_=QuotaUsage.resets_at),
            },
            where=or_(is_over, QuotaUsage.used < per_day),
        )
        .returning(QuotaUsage.user_id)
        .cte("allowed")
    )
    is_refused = and_(~exists(select(allowed.c.user_id)), *conditions)
    # A period that began while this statement waited is not visible to it. It lasts for nearly a day more.
    seconds = func.coalesce(select(seconds_to(period.c.resets_at)).scalar_subquery(), SECONDS_PER_PERIOD)
    wait = case((is_refused, func.greatest(seconds, ONE, type_=Integer)))
    return Quota(allowed, wait.label("retry_after_seconds"))
