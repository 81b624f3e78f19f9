"""The SQL that functions share: the rate limit of login attempts, and digests.

An attempt is reserved before the password is checked. The statement after the check records a failure, or
does what the password was for and clears the failures. A request that crashes in between leaves a
reservation, which expires. All times that decide are `clock_timestamp()`: a statement that waited for a row
may have an older `now()` than the row.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    TIMESTAMP,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    String,
    Update,
    Uuid,
    and_,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    type_coerce,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.sql.elements import SQLCoreOperations

from common.models import DeletedUser, LoginAttempts, Post, PostTitle, Session, User
from common.principal import Principal
from common.rows import Attempt, AttemptRow, FailureRow
from common.statement import statement

ZERO: ColumnElement[int] = literal_column("0", Integer())
ONE: ColumnElement[int] = literal_column("1", Integer())
BLANK: ColumnElement[str] = literal_column("' '", String)
DAY_AGO: ColumnElement[datetime] = literal_column("now() - interval '1 day'", TIMESTAMP(timezone=True))
MONTH_AGO: ColumnElement[datetime] = literal_column("now() - interval '30 days'", TIMESTAMP(timezone=True))
# A statement's parameter is annotated with the type of its values, although it is a bound parameter while the
# statement is built.
Text = SQLCoreOperations[str] | str
Flag = SQLCoreOperations[bool] | bool
PostOrTitle = type[Post] | type[PostTitle]
MOMENT = TIMESTAMP(timezone=True)
NOW: ColumnElement[datetime] = func.clock_timestamp(type_=MOMENT)
RESERVATION: ColumnElement[Any] = literal_column("interval '10 seconds'")
SECOND: ColumnElement[Any] = literal_column("interval '1 second'")
# After this many failures of a client address on an account, it has to pause; each further failure doubles
# the pause, up to a minute.
FAILURES_WITHOUT_PAUSE: ColumnElement[int] = literal_column("20")
# The same on an account under attack, if the client address has never logged in to the account.
FAILURES_WITHOUT_PAUSE_UNDER_ATTACK: ColumnElement[int] = literal_column("2")
# The same for a client address on all accounts together.
FAILURES_WITHOUT_PAUSE_OF_CLIENT: ColumnElement[int] = literal_column("100")
# An account is under attack after more failures than this within an hour, from all addresses together.
MAX_FAILURES_WITHOUT_ATTACK: ColumnElement[int] = literal_column("100")
FIFTEEN_MINUTES: ColumnElement[Any] = literal_column("interval '15 minutes'")
HOUR: ColumnElement[Any] = literal_column("interval '1 hour'")
DAY: ColumnElement[Any] = literal_column("interval '1 day'")
# A login beyond this number ends the session of the user that was renewed longest ago.
MAX_SESSIONS: ColumnElement[int] = literal_column("100")
# An attempt adds at most three rows.
SWEEP_LIMIT: ColumnElement[int] = literal_column("5")


def has_verified_password() -> ColumnElement[bool]:
    """Tell whether a session was opened with the password that its user still has."""
    # Sessions from before there were digests stay valid. A change of the password ends them directly.
    return or_(Session.password_digest.is_(None), Session.password_digest == sha256(User.password))


def is_verified() -> ColumnElement[bool]:
    """Tell whether a user has verified their address."""
    return func.coalesce(User.verified_email == User.email, false())


def valid_principal(principal: Principal) -> CTE:
    """Return the user of a token; no row when the user is deleted or the session ended.

    Every statement behind the authorizer starts from this row, so that the deletion of an account and the end
    of a session take effect with the next request.
    """
    # The id alone finds the session. With the user in WHERE, a plan could read all sessions of the user.
    session_is_valid = (
        select(and_(Session.user_id == User.id, Session.ended_at.is_(None), has_verified_password()))
        .where(Session.id == cast(principal.session_id, Uuid()))
        .scalar_subquery()
    )
    return (
        select(
            User.id, User.email, User.lower_case_email, User.created_at, is_verified().label("is_verified")
        )
        .where(User.id == principal.user_id, User.deleted_at.is_(None), session_is_valid)
        .cte("principal")
    )


def may_write(caller: CTE, verified_only: Flag) -> ColumnElement[bool]:
    """Tell whether a principal may write, if `verified_only` requires a verified address."""
    return or_(~type_coerce(verified_only, Boolean), caller.c.is_verified)


def is_published(post: PostOrTitle = Post) -> ColumnElement[bool]:
    """Tell whether everyone may see a post."""
    owner_is_deleted = exists(select(DeletedUser.user_id).where(DeletedUser.user_id == post.owner_id))
    return and_(post.published, ~owner_is_deleted)


def is_draft_of(viewer: SQLCoreOperations[int] | int, post: PostOrTitle = Post) -> ColumnElement[bool]:
    """Tell whether a post is a draft that only its owner, the viewer, may see."""
    is_draft = and_(post.owner_id == viewer, ~post.published)
    return and_(is_draft, Post.deleted_at.is_(None)) if post is Post else is_draft


def is_visible_to(viewer: SQLCoreOperations[int] | int, post: PostOrTitle = Post) -> ColumnElement[bool]:
    """Tell whether a viewer may see a post: the rule for every statement that reads posts or their titles.

    A list reads each part from an index of its own, so that the drafts of one user do not slow down other
    users.
    """
    return or_(is_published(post), is_draft_of(viewer, post))


def sha256(value: Text) -> ColumnElement[bytes]:
    """Return the SQL for the SHA-256 hash of a text."""
    return func.sha256(func.convert_to(value, literal_column("'UTF8'")))


def _counter_keys(account: Text, client: Text) -> Select[*tuple[Any, ...]]:
    """Return the keys of the three rows of `login_attempts` that count an attempt, and when it expires.

    `account` is an e-mail address in lower case. `client` is the address of the client, which contains no
    blank.
    """
    return select(
        type_coerce(account, String).label("account"),
        sha256(client).label("client_key"),
        sha256(func.concat(client, BLANK, account)).label("pair_key"),
        sha256(func.concat(BLANK, account)).label("account_key"),
        type_coerce(NOW + RESERVATION, MOMENT).label("reserved_until"),
    )


def _valid_reservations() -> ColumnElement[Any]:
    expires_at = func.unnest(LoginAttempts.reservations).column_valued("expires_at")
    return func.array(select(expires_at).where(expires_at > NOW).scalar_subquery())


def _failures() -> ColumnElement[int]:
    return case((LoginAttempts.forgotten_at > NOW, LoginAttempts.failures), else_=ZERO)


def _next_attempt_at(without_pause: ColumnElement[int]) -> ColumnElement[Any]:
    """Return when the next attempt is allowed, if `without_pause` failures are already reached."""
    seconds = func.least(
        func.power(literal_column("2"), func.least(_failures() - without_pause, literal_column("6"))),
        literal_column("60"),
    )
    return LoginAttempts.failed_at + SECOND * seconds


def _allows_attempt(without_pause: ColumnElement[int]) -> ColumnElement[bool]:
    """Tell whether a row allows one more attempt. A reservation counts as a failure: it may become one."""
    reserved = func.cardinality(_valid_reservations())
    return or_(
        _failures() + reserved < without_pause,
        and_(reserved == ZERO, _next_attempt_at(without_pause) <= NOW),
    )


def _reserve(
    key: ColumnElement[bytes], keys: CTE, without_pause: ColumnElement[int], *conditions: ColumnElement[bool]
) -> ReturningInsert[bytes]:
    new = insert(LoginAttempts).from_select(
        ["key", "reservations", "touched_at"],
        select(
            key, func.array_append(literal_column("'{}'::timestamptz[]"), keys.c.reserved_until), NOW
        ).where(*conditions),
    )
    return new.on_conflict_do_update(
        index_elements=[LoginAttempts.key],
        set_={
            "reservations": func.array_cat(_valid_reservations(), new.excluded.reservations),
            "touched_at": new.excluded.touched_at,
        },
        where=_allows_attempt(without_pause),
    ).returning(LoginAttempts.key)


def _failures_without_pause(keys: CTE) -> ColumnElement[int]:
    """Return how many attempts of one address on one account may fail before it has to pause."""
    total = aliased(LoginAttempts)
    attacked = exists(
        select(total.key).where(
            total.key == select(keys.c.account_key).scalar_subquery(),
            total.forgotten_at > NOW,
            total.failures > MAX_FAILURES_WITHOUT_ATTACK,
        )
    )
    return case(
        (and_(LoginAttempts.succeeded_at.is_(None), attacked), FAILURES_WITHOUT_PAUSE_UNDER_ATTACK),
        else_=FAILURES_WITHOUT_PAUSE,
    )


def seconds_to(moment: SQLCoreOperations[Any]) -> ColumnElement[int]:
    """Return the SQL for the whole seconds until a moment, rounded up."""
    return cast(func.ceil(func.date_part(literal_column("'epoch'"), moment - NOW)), Integer)


def _attempt(keys: CTE) -> Select[*tuple[Any, ...]]:
    """Reserve an attempt of a client address on an account.

    The row of the pair must allow the attempt, then the row of the client. Every statement locks these two
    rows in this order, so that no two statements wait for each other. `retry_after_seconds` is computed from
    the rows as they were before this attempt. A few rows that are older than a day are deleted.
    """
    pair = _reserve(keys.c.pair_key, keys, _failures_without_pause(keys)).cte("pair")
    client = _reserve(
        keys.c.client_key, keys, FAILURES_WITHOUT_PAUSE_OF_CLIENT, exists(select(pair.c.key))
    ).cte("client")
    reserved = exists(select(client.c.key))
    # A CTE, which is evaluated once. A plan could evaluate a subquery for each row, and delete more rows.
    # DAY_AGO, because no index can be searched for `clock_timestamp()`.
    old = (
        select(LoginAttempts.key)
        .where(LoginAttempts.touched_at < DAY_AGO)
        .limit(SWEEP_LIMIT)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    waits = [
        select(seconds_to(_next_attempt_at(without_pause))).where(LoginAttempts.key == key).scalar_subquery()
        for key, without_pause in (
            (keys.c.client_key, FAILURES_WITHOUT_PAUSE_OF_CLIENT),
            (keys.c.pair_key, _failures_without_pause(keys)),
        )
    ]
    return (
        select(
            case((reserved, keys.c.reserved_until)).label("reserved_until"),
            func.greatest(*waits, ONE, type_=Integer).label("retry_after_seconds"),
            keys.c.account,
            User.id.label("user_id"),
            User.password.label("password_hash"),
        )
        .select_from(keys)
        .outerjoin(User, and_(User.lower_case_email == keys.c.account, User.deleted_at.is_(None)))
        .add_cte(delete(LoginAttempts).where(LoginAttempts.key.in_(select(old.c.key))).cte("swept"))
    )


@statement(AttemptRow)
def reserve_attempt_by_email(*, account: str, client: str) -> Select[*tuple[Any, ...]]:
    """Reserve an attempt to log in to the account of an address, which may not exist."""
    return _attempt(_counter_keys(account, client).cte("keys"))


@statement(AttemptRow)
def reserve_attempt_by_principal(principal: Principal, *, client: str) -> Select[*tuple[Any, ...]]:
    """Reserve an attempt of a user to confirm their password; no row when the token is no longer valid."""
    caller = valid_principal(principal)
    return _attempt(_counter_keys(caller.c.lower_case_email, client).select_from(caller).cte("keys"))


@statement(FailureRow)
def record_failure(attempt: Attempt) -> Select[int]:
    """Replace a reservation by a failure: of the client address, of the account, and of the two together."""
    keys = _counter_keys(attempt.account, attempt.client).cte("keys")

    def failure(key: ColumnElement[bytes], remembered: ColumnElement[Any]) -> Select[*tuple[Any, ...]]:
        return select(key, ONE, NOW, NOW + remembered, NOW)

    failures = union_all(
        failure(keys.c.pair_key, FIFTEEN_MINUTES),
        failure(keys.c.client_key, FIFTEEN_MINUTES),
        failure(keys.c.account_key, HOUR),
    )
    new = insert(LoginAttempts).from_select(
        ["key", "failures", "failed_at", "forgotten_at", "touched_at"], failures
    )
    is_forgotten = or_(LoginAttempts.forgotten_at.is_(None), LoginAttempts.forgotten_at <= NOW)
    # A pair forgets its failures some time after the last one, a total some time after the first one.
    is_pair = LoginAttempts.key == select(keys.c.pair_key).scalar_subquery()
    recorded = new.on_conflict_do_update(
        index_elements=[LoginAttempts.key],
        set_={
            "failures": case((is_forgotten, ONE), else_=LoginAttempts.failures + ONE),
            "failed_at": new.excluded.failed_at,
            "forgotten_at": case(
                (or_(is_forgotten, is_pair), new.excluded.forgotten_at), else_=LoginAttempts.forgotten_at
            ),
            "reservations": func.array_remove(LoginAttempts.reservations, attempt.reserved_until),
            "touched_at": new.excluded.touched_at,
        },
    ).returning(LoginAttempts.failures)
    return select(recorded.cte("recorded").c.failures)


def clear_login_failures(attempt: Attempt) -> Update:
    """Return the statement that ends a reservation and clears the failures of the address on the account."""
    keys = _counter_keys(attempt.account, attempt.client).cte("keys")
    is_pair = LoginAttempts.key == select(keys.c.pair_key).scalar_subquery()
    own = select(keys.c.client_key).union_all(select(keys.c.pair_key))
    locked = (
        select(LoginAttempts.key)
        .where(LoginAttempts.key.in_(own))
        .order_by(~is_pair)
        .with_for_update()
        .cte("locked")
    )
    return (
        update(LoginAttempts)
        .where(LoginAttempts.key.in_(select(locked.c.key)))
        .values(
            reservations=func.array_remove(LoginAttempts.reservations, attempt.reserved_until),
            failures=case((is_pair, ZERO), else_=LoginAttempts.failures),
            succeeded_at=NOW,
        )
    )


def forget_login_failures(user: CTE, client: Text) -> Update:
    """Return the statement that clears the failures on an account, of a client address and of all together.

    `user` is a row with `lower_case_email`.
    """
    keys = _counter_keys(user.c.lower_case_email, client).select_from(user).cte("keys")
    own = select(keys.c.pair_key).union_all(select(keys.c.account_key))
    is_account = LoginAttempts.key == select(keys.c.account_key).scalar_subquery()
    # In the order in which `record_failure` locks them.
    locked = (
        select(LoginAttempts.key)
        .where(LoginAttempts.key.in_(own))
        .order_by(is_account)
        .with_for_update()
        .cte("locked")
    )
    return update(LoginAttempts).where(LoginAttempts.key.in_(select(locked.c.key))).values(failures=ZERO)
