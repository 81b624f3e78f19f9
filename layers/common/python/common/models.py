"""The tables. Names and types of the reference columns are part of the contract and stay."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import TIMESTAMP, ForeignKey, Index, MetaData, String, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NEWEST_FIRST = (text("created_at DESC"), text("id DESC"))


class Base(DeclarativeBase):
    """Names every constraint, so that a migration can change it by name."""

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
    """An account; `password` is a bcrypt hash."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String, unique=True)
    password: Mapped[str] = mapped_column(String)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    phone_number: Mapped[str | None] = mapped_column(String)

    # An address is taken in any letter case, and login finds it in any.
    __table_args__ = (Index("uq_users_lower_email", func.lower(email), unique=True),)


class Post(Base):
    """A post; one with `published` false is a draft, which only its owner sees."""

    __tablename__ = "posts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String)
    content: Mapped[str] = mapped_column(String)
    published: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Triggers on votes keep it, in the statement that casts or retracts; count(*) would read every vote.
    vote_count: Mapped[int] = mapped_column(server_default=text("0"))

    __table_args__ = (
        Index("ix_posts_published_newest", *NEWEST_FIRST, postgresql_where=text("published")),
        Index("ix_posts_owner_newest", "owner_id", "published", *NEWEST_FIRST),
        Index(
            "ix_posts_title_grams",
            text("grams(title, 1, 3)"),
            postgresql_using="gin",
            postgresql_with={"fastupdate": "off"},
        ),
    )


class PostRank(Base):
    """What posts are listed by votes with: their vote_count once more, in an index.

    On posts, that index would make every vote write a new row into all the indexes of the table. Triggers
    keep a rank for each post.
    """

    __tablename__ = "post_ranks"

    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)
    vote_count: Mapped[int]

    __table_args__ = (Index("ix_post_ranks_top", text("vote_count DESC"), text("post_id DESC")),)


class Session(Base):
    """What a login opened; it lives on as its refresh tokens are renewed, and its end is theirs."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    renewed_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    # SHA-256 of the hash of the password that it is good for: a login beside a change of the password cannot
    # see it, nor be seen by it. NULL is from before there was this column.
    password_digest: Mapped[bytes | None]


class RefreshToken(Base):
    """A refresh token of a session, by its SHA-256 hash; a used one is kept, to be known when it returns."""

    __tablename__ = "refresh_tokens"

    hash: Mapped[str] = mapped_column(String, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now())
    used_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))


class LoginFailure(Base):
    """How often in a row somebody failed to log in to an account, whether it exists or not.

    `account` is the SHA-256 hash of the address in lower case: what people type there is not always one.
    """

    __tablename__ = "login_failures"

    account: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True), server_default=func.now(), index=True)


class IdempotencyKey(Base):
    """What a request with an Idempotency-Key created, so that the same request gets the same answer."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String)
    # Not a foreign key: the first answer is given again even when the post has gone since.
    post_id: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(TIMESTAMP(timezone=True))

    __table_args__ = (Index("ix_idempotency_keys_user_id_created_at", "user_id", "created_at"),)


class Vote(Base):
    """A user's vote on a post: at most one, says the key."""

    __tablename__ = "votes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    post_id: Mapped[int] = mapped_column(
        ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True, index=True
    )
