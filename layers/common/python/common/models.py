"""The tables. Names and types of the columns of the reference are part of the contract."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    TIMESTAMP,
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    String,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NEWEST_FIRST = (text("created_at DESC"), text("id DESC"))


class Base(DeclarativeBase):
    """The base of all tables. It names each constraint, so that a migration can refer to it."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )


class User(Base):
    """An account. `password` is a bcrypt hash."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String, unique=True)
    password: Mapped[str] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    phone_number: Mapped[str | None] = mapped_column(String)
    # When the account was deleted. It no longer exists for anyone; `email` and `password` are replaced.
    deleted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    # The e-mail in lower case. Python computes it, because the database's locale may know ASCII letters only.
    lower_case_email: Mapped[str] = mapped_column(String)
    # The last address that the user verified. `email` is verified if it is this one: whatever else changes
    # `email` makes it unverified.
    verified_email: Mapped[str | None] = mapped_column(String)

    __table_args__ = (
        # E-mail addresses are unique regardless of letter case. Logins use this index.
        Index("uq_users_lower_case_email", "lower_case_email", unique=True),
        # Release 1.0 uses this index. The next release drops it.
        Index("uq_users_lower_email", func.lower(email), unique=True),
    )


class DeletedUser(Base):
    """The id of a deleted user whose posts and votes are not removed yet.

    Lists compare the owners of posts with the few rows of this table instead of reading users.
    """

    __tablename__ = "deleted_users"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)


class Post(Base):
    """A post. If `published` is false it is a draft, which only its owner sees."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String)
    content: Mapped[str] = mapped_column(String)
    published: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The counter of release 1.0. Nothing reads it: see PostRank.
    vote_count: Mapped[int] = mapped_column(server_default=text("0"))
    # When the post was deleted. It no longer exists for anyone; `published` is false.
    deleted_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))

    __table_args__ = (
        Index("ix_posts_deleted", "id", postgresql_where=text("deleted_at IS NOT NULL")),
        Index("ix_posts_published_newest", *NEWEST_FIRST, postgresql_where=text("published")),
        Index("ix_posts_owner_newest", "owner_id", "published", *NEWEST_FIRST),
    )


class PostRank(Base):
    """The counter of the votes on a post, with the index that sorts posts by votes. Triggers maintain it.

    The number of votes is `vote_count` plus the sum of the post's `vote_deltas`; count(*) would read every
    vote. The counter is not in `posts`, because each vote would then add an entry to every index there.
    """

    __tablename__ = "post_ranks"

    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    vote_count: Mapped[int]

    __table_args__ = (Index("ix_post_ranks_top", text("vote_count DESC"), text("post_id DESC")),)


class VoteDelta(Base):
    """A change of the number of votes on a post that the counter of the post does not include yet.

    A vote adds a row instead of waiting while another transaction has locked the counter. The next vote on
    the post that gets the lock adds the rows to the counter and deletes them.
    """

    __tablename__ = "vote_deltas"

    # No foreign key: its check would lock the post, and votes would wait for each other there.
    post_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    step: Mapped[int]


class PostTitle(Base):
    """The first 1,000 characters of the title of a post that is not deleted, and what else a search reads.

    Triggers on `posts` maintain it. Because the search index is here, no other change of a post touches the
    index. The index holds trigrams of the titles, for each segment of 65,536 ids separately: see
    `title_keys`.
    """

    __tablename__ = "post_titles"

    post_id: Mapped[int] = mapped_column(
        ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    owner_id: Mapped[int]
    published: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))
    title: Mapped[str] = mapped_column(String)

    __table_args__ = (
        # Ascending, because pages of an index that grows at its lower end stay half empty.
        Index("ix_post_titles_created_at_post_id", "created_at", "post_id"),
        Index("ix_post_titles_segment", text("(post_id >> 16)"), "created_at", "post_id"),
        Index(
            "ix_post_titles_keys",
            text("title_keys(post_id >> 16, title)"),
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
        {"postgresql_with": {"fillfactor": 90}},
    )


class Session(Base):
    """A login session. Maintenance removes it when it has ended or was not renewed for 30 days."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    renewed_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    # When it ended. Its tokens are invalid; the row is removed later, with up to thousands of refresh tokens.
    ended_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    # SHA-256 of the password hash with which the session was opened, or NULL in sessions from before this
    # column existed. A change of the password cannot end a session that a concurrent login is about to open:
    # every use of that session compares this digest and is refused.
    password_digest: Mapped[bytes | None]
    # NULL in sessions from before this column existed.
    created_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    # The start of the User-Agent header of the login in ASCII, if there was one.
    user_agent: Mapped[str | None] = mapped_column(String)

    __table_args__ = (
        Index("ix_sessions_active", "user_id", "renewed_at", postgresql_where=text("ended_at IS NULL")),
    )


class RefreshToken(Base):
    """The SHA-256 hash of a refresh token. Used ones are kept, so that reuse is detected."""

    __tablename__ = "refresh_tokens"

    hash: Mapped[str] = mapped_column(String, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))


class LoginAttempts(Base):
    """Failed and pending attempts to log in: a row for each client address, account, and pair of both.

    Requests to recover an account count in the same way, in a row for each client address.

    `key` is a SHA-256 hash of what the row counts, so that nothing that was typed is stored in plain text.
    The hash of an IPv4 address can be reversed by trying all of them.
    """

    __tablename__ = "login_attempts"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    failed_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    # When `failures` stops counting.
    forgotten_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    # When each pending attempt expires.
    reservations: Mapped[list[datetime]] = mapped_column(
        ARRAY(TIMESTAMP(timezone=True)), server_default=text("'{}'")
    )
    succeeded_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    touched_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), index=True)


class MailToken(Base):
    """The SHA-256 hash of a token in the link of a mail. Maintenance removes it when it has expired.

    The primary key bounds how many tokens a user has: `slot` is 1, or up to 3 for a reset of the password. A
    token works only while the user has the address and the password to which it is bound. A `revert` is not
    bound to them, because both may be the attacker's by then.
    """

    __tablename__ = "mail_tokens"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # `reset` of the password, `verification` of the address or of a new one, or `revert` to the old one.
    purpose: Mapped[str] = mapped_column(String, primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(String, unique=True)
    # The address to which the mail goes. A verification of another address than the user's changes it.
    email: Mapped[str] = mapped_column(String)
    lower_case_email: Mapped[str] = mapped_column(String)
    # SHA-256 of the password hash and the address of the user, at the time of the request.
    account_digest: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), index=True)

    __table_args__ = (
        # Nobody else may take an address that a user may still revert to.
        Index("ix_mail_tokens_reserved", "lower_case_email", postgresql_where=text("purpose = 'revert'")),
    )


class LoginFailure(Base):
    """Failed logins, as release 1.0 counts them. The next release drops this table."""

    __tablename__ = "login_failures"

    account: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now(), index=True)


class QuotaUsage(Base):
    """How often a user has done something that a quota limits: a row for each user and action."""

    __tablename__ = "quota_usage"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    action: Mapped[str] = mapped_column(String, primary_key=True)
    used: Mapped[int]
    # When `used` stops counting.
    resets_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))


class IdempotencyKey(Base):
    """The post that a request with an Idempotency-Key created, so that a retry gets the same response."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String, primary_key=True)
    # SHA-256 of the body of the request, to refuse another body with the same key.
    fingerprint: Mapped[str] = mapped_column(String)
    # Not a foreign key, because a retry gets the same response even if the post was deleted.
    post_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))

    __table_args__ = (Index("ix_idempotency_keys_user_id_created_at", "user_id", "created_at"),)


class Vote(Base):
    """A vote. The primary key allows one per user and post."""

    __tablename__ = "votes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    post_id: Mapped[int] = mapped_column(
        ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, index=True
    )
