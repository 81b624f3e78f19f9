"""A simple model of the API, in dictionaries and lists, to compare the functions with.

Hypothesis generates sequences of requests. Each is sent to a handler and to the model, and the responses must
agree.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import hypothesis.strategies as st
import jwt
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.counters import vote_counts
from tests.support.database import Database
from tests.support.lambdas import Response, call

EMAILS = ["ada@example.com", "ADA@example.com", "bob@example.com", "eve@example.com", "Zoë@exämple.com"]
PASSWORDS = ["correct horse", "pässwörd"]
TITLES = ["Hello", "hello world", "50% off", "50_off", "\\", "Grüße", "日本語", ""]
TERMS = ["", "h", "ell", "0%", "_", "\\", "ü", "本", "nothing"]
FREE_FAILURES = 19

choices = st.integers(0, 10**9)


@dataclass(eq=False)
class User:
    """An account: `sessions` maps active ones to their newest refresh token, `session` was used last."""

    id: int
    email: str
    password: str
    phone_number: str | None = None
    failures: int = 0
    is_deleted: bool = False
    session: str = ""
    sessions: dict[str, str] = field(default_factory=dict)
    keys: dict[str, tuple[dict[str, object], int]] = field(default_factory=dict)


@dataclass(eq=False)
class Post:
    """A post and the ids of its voters."""

    id: int
    owner: User
    body: dict[str, object]
    votes: set[int] = field(default_factory=set)

    def is_visible_to(self, user: User) -> bool:
        return bool(self.body["published"]) or self.owner is user


class Api(RuleBasedStateMachine):
    """The functions and the model."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.users: list[User] = []
        self.posts: list[Post] = []
        self.deleted_posts: list[int] = []

    @initialize()
    def begin(self) -> None:
        """Start with one user, because most requests need one."""
        self.database.empty()
        self.sign_up(EMAILS[0], PASSWORDS[0])

    # The users and posts of requests, deleted ones included.

    def someone(self, choice: int) -> User:
        return self.users[choice % len(self.users)]

    def some_post(self, choice: int) -> int:
        known = [*(post.id for post in self.posts), *self.deleted_posts, 0]
        return known[choice % len(known)]

    def present(self) -> list[User]:
        return [user for user in self.users if not user.is_deleted]

    def holder(self, email: str) -> User | None:
        return next((user for user in self.present() if user.email.lower() == email.lower()), None)

    def visible(self, post_id: int, viewer: User) -> Post | None:
        return next((post for post in self.posts if post.id == post_id and post.is_visible_to(viewer)), None)

    def check(self, response: Response, user: User, status: int) -> bool:
        """Check the status, for a user who may be deleted; return whether it is a success."""
        expected = 401 if user.is_deleted else status
        assert response.status == expected, (response, expected)
        return expected < 300

    def call(self, name: str, user: User, **changes: Any) -> Response:  # noqa: ANN401  # those of `call`
        """Send a request in an active session of the user, or in the last one of a deleted user."""
        if not user.sessions and not user.is_deleted:
            self.open_session(user)
        if user.sessions:
            user.session = max(user.sessions)
        return call(name, **{"user": user.id, "session": user.session, **changes})

    def open_session(self, user: User) -> None:
        response = call("login", body=urlencode({"username": user.email, "password": user.password}))
        assert response.status == 200
        user.failures = 0
        self.remember(user, response.json())

    # Accounts.

    @rule(email=st.sampled_from(EMAILS), password=st.sampled_from(PASSWORDS))
    def sign_up(self, email: str, password: str) -> None:
        response = call("sign_up", body={"email": email, "password": password})
        assert response.status == (409 if self.holder(email) else 201), response
        if response.status == 201:
            assert response.json()["email"] == email.partition("@")[0] + email[email.index("@") :].lower()
            user = User(response.json()["id"], response.json()["email"], password)
            self.users.append(user)
            self.open_session(user)

    @rule(who=choices)
    def read_account(self, who: int) -> None:
        user = self.someone(who)
        response = self.call("read_account", user)
        if self.check(response, user, 200):
            account = response.json()
            assert (account["id"], account["email"]) == (user.id, user.email)
            assert account["phone_number"] == user.phone_number

    @rule(who=choices)
    def read_user(self, who: int) -> None:
        user = self.someone(who)
        response = call("read_user", item=user.id)
        assert response.status == (404 if user.is_deleted else 200)
        if not user.is_deleted:
            assert response.json().keys() == {"id", "email", "created_at"}
            assert response.json()["email"] == user.email

    @rule(who=choices, number=st.sampled_from(["+44 20", None]))
    def change_phone_number(self, who: int, number: str | None) -> None:
        user = self.someone(who)
        if self.check(self.call("update_account", user, body={"phone_number": number}), user, 200):
            user.phone_number = number

    @rule(who=choices, email=st.sampled_from(EMAILS), password=st.sampled_from(PASSWORDS))
    def change_email(self, who: int, email: str, password: str) -> None:
        user = self.someone(who)
        if not self.within_limit(user, password):
            return
        body = {"email": email, "current_password": password}
        response = self.call("update_account", user, body=body)
        holder = self.holder(email)
        success = 409 if holder not in {None, user} else 200
        if self.check(response, user, self.status_with_password(user, password, success)):
            user.email = response.json()["email"]
            assert user.email.lower() == email.lower()
            # Failures are counted per address, and the new one may have some.
            user.failures = FREE_FAILURES

    @rule(who=choices, password=st.sampled_from(PASSWORDS), new=st.sampled_from(PASSWORDS), which=choices)
    def change_password(self, who: int, password: str, new: str, which: int) -> None:
        user = self.someone(who)
        if not self.within_limit(user, password) or not user.sessions:
            return
        kept = sorted(user.sessions)[which % len(user.sessions)]
        body = {"current_password": password, "new_password": new}
        response = self.call("update_password", user, session=kept, body=body)
        if self.check(response, user, self.status_with_password(user, password, 204)):
            user.password = new
            user.sessions = {kept: user.sessions[kept]}

    @precondition(lambda self: len(self.present()) > 1)
    @rule(who=choices, password=st.sampled_from(PASSWORDS))
    def delete_account(self, who: int, password: str) -> None:
        user = self.someone(who)
        if not self.within_limit(user, password):
            return
        response = self.call("delete_account", user, body={"current_password": password})
        if self.check(response, user, self.status_with_password(user, password, 204)):
            user.is_deleted = True
            user.sessions.clear()
            self.deleted_posts += [post.id for post in self.posts if post.owner is user]
            self.posts = [post for post in self.posts if post.owner is not user]
            # The votes count until maintenance removes them.

    # Sessions.

    def within_limit(self, user: User, password: str) -> bool:
        """Return whether an attempt is within the rate limit; beyond it, the result depends on the time."""
        return user.is_deleted or password == user.password or user.failures < FREE_FAILURES

    def status_with_password(self, user: User, password: str, success: int) -> int:
        """Return the status of a request with a password, and count a failure."""
        if user.is_deleted:
            return 401
        if password != user.password:
            user.failures += 1
            return 403
        # A correct password in a request that fails counts, too.
        user.failures = user.failures + 1 if success >= 400 else 0
        return success

    @rule(who=choices, password=st.sampled_from(PASSWORDS), shout=st.booleans())
    def log_in(self, who: int, password: str, *, shout: bool) -> None:
        user = self.someone(who)
        if user.is_deleted or not self.within_limit(user, password):
            return
        email = user.email.upper() if shout and user.email.isascii() else user.email
        response = call("login", body=urlencode({"username": email, "password": password}))
        assert response.status == self.status_with_password(user, password, 200), response
        if response.status == 200:
            self.remember(user, response.json())

    def remember(self, user: User, token: dict[str, Any]) -> str:
        claims = jwt.decode(token["access_token"], options={"verify_signature": False})
        assert claims["user_id"] == user.id
        session: str = claims["sid"]
        user.sessions[session] = token["refresh_token"]
        return session

    @rule(who=choices, which=choices, again=st.booleans())
    def refresh(self, who: int, which: int, *, again: bool) -> None:
        user = self.someone(who)
        if not user.sessions:
            return
        session, token = sorted(user.sessions.items())[which % len(user.sessions)]
        for _ in range(1 + again):  # the client may not have received the first response
            response = call("refresh", body={"refresh_token": token})
            assert response.status == 200
            assert self.remember(user, response.json()) == session

    @rule(who=choices, which=choices)
    def log_out(self, who: int, which: int) -> None:
        user = self.someone(who)
        if not user.sessions:
            return
        session, token = sorted(user.sessions.items())[which % len(user.sessions)]
        assert call("log_out", user=user.id, session=session).status == 204
        assert call("refresh", body={"refresh_token": token}).status == 401
        assert call("read_account", user=user.id, session=session).status == 401
        del user.sessions[session]

    @rule(who=choices)
    def list_sessions(self, who: int) -> None:
        user = self.someone(who)
        response = self.call("list_sessions", user)
        if self.check(response, user, 200):
            listed = response.json()
            assert {session["id"] for session in listed} == user.sessions.keys()
            assert [session["id"] for session in listed if session["current"]] == [user.session]

    @rule(who=choices, whose=choices, which=choices)
    def end_session(self, who: int, whose: int, which: int) -> None:
        user, owner = self.someone(who), self.someone(whose)
        if not owner.sessions:
            return
        session = sorted(owner.sessions)[which % len(owner.sessions)]
        response = self.call("end_session", user, item=session)
        if self.check(response, user, 204 if user is owner else 404):
            del owner.sessions[session]

    @rule(who=choices)
    def log_out_everywhere(self, who: int) -> None:
        user = self.someone(who)
        self.check(self.call("log_out_everywhere", user), user, 204)
        for token in user.sessions.values():
            assert call("refresh", body={"refresh_token": token}).status == 401
        user.sessions.clear()

    # Posts and votes.

    @rule(
        who=choices,
        title=st.sampled_from(TITLES),
        content=st.sampled_from(TITLES),
        published=st.booleans(),
        key=st.sampled_from([None, None, "a", "b"]),
    )
    def write(self, who: int, title: str, content: str, *, published: bool, key: str | None) -> None:
        user = self.someone(who)
        body: dict[str, object] = {"title": title, "content": content, "published": published}
        response = self.call("create_post", user, body=body, headers={"Idempotency-Key": key})
        if key in user.keys:
            first, made = user.keys[key]
            if self.check(response, user, 201 if first == body else 422):
                assert response.json()["id"] == made
        elif self.check(response, user, 201):
            post = Post(response.json()["id"], user, body)
            self.posts.append(post)
            self.compare(response.json(), post)
            if key is not None:
                user.keys[key] = (body, post.id)

    @rule(who=choices, which=choices, title=st.sampled_from(TITLES), published=st.booleans())
    def edit(self, who: int, which: int, title: str, *, published: bool) -> None:
        user, post_id = self.someone(who), self.some_post(which)
        body: dict[str, object] = {"title": title, "content": "new", "published": published}
        response = self.call("change_post", user, item=post_id, body=body)
        post = self.visible(post_id, user)
        if self.check(response, user, self.own(post, user, 200)) and post:
            post.body = body
            self.compare(response.json(), post)

    @rule(who=choices, which=choices)
    def remove(self, who: int, which: int) -> None:
        user, post_id = self.someone(who), self.some_post(which)
        post = self.visible(post_id, user)
        response = self.call("delete_post", user, item=post_id)
        if self.check(response, user, self.own(post, user, 204)) and post:
            self.posts.remove(post)
            self.deleted_posts.append(post_id)

    @rule(who=choices, which=choices)
    def read(self, who: int, which: int) -> None:
        user, post_id = self.someone(who), self.some_post(which)
        post = self.visible(post_id, user)
        response = self.call("read_post", user, item=post_id)
        if self.check(response, user, 200 if post else 404) and post:
            self.compare(response.json(), post)

    @rule(who=choices, which=choices, direction=st.sampled_from([1, 1, 0, -1]))
    def vote(self, who: int, which: int, direction: int) -> None:
        user, post_id = self.someone(who), self.some_post(which)
        post = self.visible(post_id, user)
        response = self.call("vote", user, body={"post_id": post_id, "dir": direction})
        has = post is not None and user.id in post.votes
        refusal = 409 if post and direction == 1 else 404
        if self.check(response, user, 201 if post and has != (direction == 1) else refusal) and post:
            post.votes ^= {user.id}

    def own(self, post: Post | None, user: User, success: int) -> int:
        if post is None:
            return 404
        return success if post.owner is user else 403

    def compare(self, found: dict[str, Any], post: Post) -> None:
        assert {name: found[name] for name in post.body} == post.body
        assert (found["id"], found["owner"]["id"]) == (post.id, post.owner.id)
        assert found["owner"]["email"] == post.owner.email

    # Lists.

    @rule(
        who=choices,
        term=st.sampled_from(TERMS),
        sort=st.sampled_from(["new", "old", "top"]),
        published=st.sampled_from([True, True, False]),
        limit=st.integers(1, 5),
        skip=st.integers(0, 3),
    )
    def list_all(self, who: int, term: str, sort: str, *, published: bool, limit: int, skip: int) -> None:
        user = self.someone(who)
        query = {
            "search": term,
            "sort": sort,
            "published": str(published).lower(),
            "limit": limit,
            "skip": skip,
        }
        response = self.call("list_posts", user, query=[(name, str(value)) for name, value in query.items()])
        if self.check(response, user, 200):
            listed = [
                post
                for post in self.posts
                if (
                    post.is_visible_to(user)
                    if published
                    else post.owner is user and not post.body["published"]
                )
            ]
            self.compare_page(response, listed, term, sort, limit, skip)

    @rule(who=choices, author=choices, sort=st.sampled_from(["new", "old", "top"]), limit=st.integers(1, 5))
    def list_author(self, who: int, author: int, sort: str, limit: int) -> None:
        user, by = self.someone(who), self.someone(author)
        query = [("sort", sort), ("limit", str(limit))]
        response = self.call("list_user_posts", user, item=by.id, query=query)
        if self.check(response, user, 404 if by.is_deleted else 200):
            listed = [post for post in self.posts if post.owner is by and post.is_visible_to(user)]
            self.compare_page(response, listed, "", sort, limit, 0)

    def compare_page(
        self, response: Response, listed: list[Post], term: str, sort: str, limit: int, skip: int
    ) -> None:
        found = [post for post in listed if term in str(post.body["title"])]
        order = sorted(found, key=lambda post: post.id, reverse=sort != "old")
        if sort == "top":
            order.sort(key=lambda post: len(post.votes), reverse=True)
        page = response.json()
        assert [entry["Post"]["id"] for entry in page] == [post.id for post in order[skip : skip + limit]]
        for entry, post in zip(page, order[skip : skip + limit], strict=True):
            self.compare(entry["Post"], post)
            assert entry["vote"] == len(post.votes)
        assert ("Link" in response.headers) == (len(order) > skip + limit)

    @invariant()
    def the_tables_hold_what_the_model_does(self) -> None:
        counts = vote_counts(self.database.run)
        visible = self.database.run(
            "SELECT id FROM posts"
            " WHERE deleted_at IS NULL AND owner_id NOT IN (SELECT user_id FROM deleted_users)"
        )
        assert {post_id: counts[post_id] for [post_id] in visible} == {
            post.id: len(post.votes) for post in self.posts
        }
        assert dict(self.database.run("SELECT post_id, vote_count FROM post_ranks")) == counts
        assert self.database.value("SELECT count(*) FROM users WHERE deleted_at IS NULL") == len(
            self.present()
        )
        active = "SELECT id FROM sessions WHERE ended_at IS NULL"
        sessions = {str(session) for [session] in self.database.run(active)}
        assert sessions == {session for user in self.present() for session in user.sessions}
