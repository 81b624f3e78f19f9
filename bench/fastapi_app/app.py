# ruff: noqa: A002, ANN401, D101, D103  # written as in tutorials
"""The same API with FastAPI, SQLAlchemy's ORM and psycopg2, written as in their tutorials.

It is one application: `app` for uvicorn, and `handler`, wrapped by Mangum, for one Lambda function.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import bcrypt
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Response, status
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, EmailStr, Field
from sqlalchemy import ForeignKey, create_engine, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, sessionmaker

SECRET_KEY = os.environ["SECRET_KEY"]
ALGORITHM = "HS256"

engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://"))
SessionLocal = sessionmaker(bind=engine)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    phone_number: Mapped[str | None]


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    content: Mapped[str]
    published: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    owner: Mapped[User] = relationship()


class Vote(Base):
    __tablename__ = "votes"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), primary_key=True)


class UserCreate(BaseModel):
    email: EmailStr
    password: str


class UserOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    email: EmailStr
    created_at: datetime


class PostCreate(BaseModel):
    title: str
    content: str
    published: bool = True


class PostResponse(PostCreate):
    model_config = ConfigDict(from_attributes=True)
    id: int
    created_at: datetime
    owner: UserOut


class PostOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    Post: PostResponse
    vote: int


class Ballot(BaseModel):
    post_id: int
    dir: Annotated[int, Field(le=1)]


class Token(BaseModel):
    access_token: str
    token_type: str


def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


DB = Annotated[Session, Depends(get_db)]
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="login")


def get_current_user(token: Annotated[str, Depends(oauth2_scheme)], db: DB) -> User:
    error = HTTPException(
        status.HTTP_401_UNAUTHORIZED, "Could not validate credentials", {"WWW-Authenticate": "Bearer"}
    )
    try:
        payload = jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM])
    except jwt.InvalidTokenError:
        raise error from None
    user = db.scalar(select(User).where(User.id == payload.get("user_id")))
    if user is None:
        raise error
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
app = FastAPI()


@app.get("/")
def root() -> dict[str, str]:
    return {"message": "Welcome"}


@app.post("/users/", status_code=status.HTTP_201_CREATED, response_model=UserOut)
def create_user(user: UserCreate, db: DB) -> Any:
    password = bcrypt.hashpw(user.password.encode(), bcrypt.gensalt(12)).decode()
    new_user = User(email=user.email, password=password)
    db.add(new_user)
    try:
        db.commit()
    except IntegrityError:
        raise HTTPException(status.HTTP_409_CONFLICT, "Email already registered") from None
    db.refresh(new_user)
    return new_user


@app.get("/users/{id}", response_model=UserOut)
def get_user(id: int, db: DB) -> Any:
    user = db.scalar(select(User).where(User.id == id))
    if user is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"User with id {id} does not exist")
    return user


@app.post("/login", response_model=Token)
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], db: DB) -> Any:
    user = db.scalar(select(User).where(User.email == form.username))
    if user is None or not bcrypt.checkpw(form.password.encode(), user.password.encode()):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Invalid Credentials")
    expire = datetime.now(UTC) + timedelta(minutes=30)
    token = jwt.encode({"user_id": user.id, "exp": expire}, SECRET_KEY, algorithm=ALGORITHM)
    return {"access_token": token, "token_type": "bearer"}


@app.get("/posts/", response_model=list[PostOut])
def get_posts(
    user: CurrentUser,
    db: DB,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    skip: Annotated[int, Query(ge=0)] = 0,
    search: str = "",
) -> Any:
    query = (
        select(Post, func.count(Vote.post_id).label("vote"))
        .join(Vote, Vote.post_id == Post.id, isouter=True)
        .group_by(Post.id)
        .where(Post.title.contains(search, autoescape=True), Post.published | (Post.owner_id == user.id))
        .order_by(Post.created_at.desc(), Post.id.desc())
        .limit(limit)
        .offset(skip)
    )
    return db.execute(query).all()


@app.post("/posts/", status_code=status.HTTP_201_CREATED, response_model=PostResponse)
def create_post(post: PostCreate, db: DB, user: CurrentUser) -> Any:
    new_post = Post(owner_id=user.id, **post.model_dump())
    db.add(new_post)
    db.commit()
    db.refresh(new_post)
    return new_post


def find_post(id: int, db: Session, user: User) -> Post:
    post = db.scalar(select(Post).where(Post.id == id))
    if post is None or not (post.published or post.owner_id == user.id):
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"post with id {id} was not found")
    return post


def own_post(id: int, db: Session, user: User) -> Post:
    post = find_post(id, db, user)
    if post.owner_id != user.id:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Not authorized to perform requested action")
    return post


@app.get("/posts/{id}", response_model=PostResponse)
def get_post(id: int, db: DB, user: CurrentUser) -> Any:
    return find_post(id, db, user)


@app.put("/posts/{id}", response_model=PostResponse)
def update_post(id: int, updated: PostCreate, db: DB, user: CurrentUser) -> Any:
    post = own_post(id, db, user)
    for name, value in updated.model_dump().items():
        setattr(post, name, value)
    db.commit()
    db.refresh(post)
    return post


@app.delete("/posts/{id}", status_code=status.HTTP_204_NO_CONTENT)
def delete_post(id: int, db: DB, user: CurrentUser) -> Response:
    db.delete(own_post(id, db, user))
    db.commit()
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@app.post("/vote/", status_code=status.HTTP_201_CREATED)
def vote(ballot: Ballot, db: DB, user: CurrentUser) -> dict[str, str]:
    find_post(ballot.post_id, db, user)
    found = db.scalar(select(Vote).where(Vote.post_id == ballot.post_id, Vote.user_id == user.id))
    if ballot.dir == 1:
        if found:
            raise HTTPException(status.HTTP_409_CONFLICT, "You have already voted on this post")
        db.add(Vote(post_id=ballot.post_id, user_id=user.id))
        db.commit()
        return {"message": "successfully added vote"}
    if not found:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Vote does not exist")
    db.delete(found)
    db.commit()
    return {"message": "successfully deleted vote"}


handler = Mangum(app, lifespan="off")
