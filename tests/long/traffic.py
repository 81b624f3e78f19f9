"""People who send requests over HTTP and check every response.

Each is a thread with its own connection, account and posts. It therefore knows every correct response, and
notices a response that belongs to somebody else.
"""

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from common.keys import Key
from common.tokens import sign
from tests.support.database import PASSWORD, Database, principal_of

TIMEOUT_SECONDS = 30.0
NOTHING_DONE = 503
UNKNOWN = 504


class Outcome(NamedTuple):
    """A request and its outcome.

    Attributes:
        kind: the kind of request.
        status: the status of the response; 0 if there was none.
        at: the time at which it was sent, in seconds.
        seconds: the time until the response.
        retry_after: the header of that name.
        title: the title of the post that was written, if any.
        wrong: what is wrong with the response; empty if nothing is.

    """

    kind: str
    status: int
    at: float
    seconds: float
    retry_after: str | None
    title: str
    wrong: str


class Reply(NamedTuple):
    """An HTTP response."""

    status: int
    retry_after: str | None
    body: bytes


class Client:
    """A connection that is kept alive, and opened again after it was closed."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = connection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        # The URL of a deployed API ends with its stage.
        self._prefix = parts.path.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, method: str, path: str, body: object = None) -> Reply:
        """Send a request and return the response; a string is sent as a form, any other body as JSON."""
        headers = dict(self._authorization)
        text = body if isinstance(body, str) else json.dumps(body)
        if body is not None:
            form = "application/x-www-form-urlencoded"
            headers["Content-Type"] = form if isinstance(body, str) else "application/json"
        self._connection.request(
            method, self._prefix + path, None if body is None else text.encode(), headers
        )
        response = self._connection.getresponse()
        return Reply(response.status, response.headers["Retry-After"], response.read())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Person(NamedTuple):
    """A user in the database, with a token and a post that nobody changes."""

    id: int
    email: str
    token: str
    post: int

    @property
    def title(self) -> str:
        """The title of their post."""
        return f"of {self.email}"


def populate(database: Database, number: int, key: Key) -> list[Person]:
    """Add people, with tokens that are valid for an hour."""
    people = []
    for _ in range(number):
        email = f"{uuid.uuid4().hex}@example.com"
        user = database.add_user(email)
        token = sign(principal_of(user), key, lifetime=3600)
        people.append(Person(user, email, token, database.add_post(user, f"of {email}")))
    return people


class Actor:
    """One person who sends requests, and reads and votes on the posts of `others`.

    It remembers its votes and posts from one call of `work` to the next.
    """

    def __init__(self, url: str, me: Person, others: Sequence[Person], weights: dict[str, int]) -> None:
        self._client = Client(url, me.token)
        self._me = me
        self._others = others
        self._weights = weights
        self._chance = random.Random(me.id)
        self._votes: dict[int, bool | None] = {}
        self._own: list[tuple[int, str]] = []
        self.outcomes: list[Outcome] = []

    def work(self, is_over: Callable[[int], bool]) -> None:
        """Send one request after the other until `is_over`, which gets the number of requests so far."""
        kinds, weights = list(self._weights), list(self._weights.values())
        self.outcomes = []
        while not is_over(len(self.outcomes)):
            kind = self._chance.choices(kinds, weights)[0]
            begin = time.monotonic()
            title = ""
            try:
                reply, title, wrong = getattr(self, f"_{kind}")()
            except (OSError, http.client.HTTPException) as error:
                reply, wrong = Reply(0, None, b""), f"no response: {error!r}"
                self._client.close()
            seconds = time.monotonic() - begin
            self.outcomes.append(Outcome(kind, reply.status, begin, seconds, reply.retry_after, title, wrong))
        self._client.close()

    def _get(self, path: str, right: Callable[[Any], bool]) -> tuple[Reply, str, str]:
        reply = self._client.send("GET", path)
        return reply, "", _mistake(reply, {200}, right)

    def _read(self) -> tuple[Reply, str, str]:
        other = self._chance.choice(self._others)
        return self._get(
            f"/posts/{other.post}", lambda post: (post["id"], post["title"]) == (other.post, other.title)
        )

    def _user(self) -> tuple[Reply, str, str]:
        other = self._chance.choice(self._others)
        return self._get(
            f"/users/{other.id}", lambda user: (user["id"], user["email"]) == (other.id, other.email)
        )

    def _account(self) -> tuple[Reply, str, str]:
        return self._get("/users/me", lambda account: account["email"] == self._me.email)

    def _list(self) -> tuple[Reply, str, str]:
        return self._get("/posts?limit=5", lambda page: len(page) == 5)

    def _search(self) -> tuple[Reply, str, str]:
        other = self._chance.choice(self._others)
        return self._get(
            f"/posts?search={quote(other.email[:12])}",
            lambda page: [entry["Post"]["id"] for entry in page] == [other.post],
        )

    def _write(self) -> tuple[Reply, str, str]:
        title = uuid.uuid4().hex
        reply = self._client.send("POST", "/posts", {"title": title, "content": "c", "published": False})
        wrong = _mistake(reply, {201}, lambda post: self._is_own(post, title))
        if reply.status == 201 and not wrong:
            self._own.append((json.loads(reply.body)["id"], title))
        return reply, title, wrong

    def _edit(self) -> tuple[Reply, str, str]:
        if not self._own:
            return self._write()
        post, title = self._own[-1]
        body = {"title": title, "content": uuid.uuid4().hex, "published": False}
        reply = self._client.send("PUT", f"/posts/{post}", body)
        return reply, "", _mistake(reply, {200}, lambda it: self._is_own(it, title) and it["id"] == post)

    def _vote(self) -> tuple[Reply, str, str]:
        post = self._chance.choice(self._others).post
        direction = self._chance.randint(0, 1)
        has = self._votes.get(post, False)
        reply = self._client.send("POST", "/vote", {"post_id": post, "dir": direction})
        # Both are correct if the outcome of an earlier vote is unknown.
        taken = 409 if direction else 404
        expected = {201, taken} if has is None else {taken if bool(direction) is has else 201}
        wrong = _mistake(reply, expected, lambda body: "message" in body or "detail" in body)
        if reply.status in {UNKNOWN, 0}:
            self._votes[post] = None
        elif reply.status != NOTHING_DONE:
            self._votes[post] = bool(direction)
        return reply, "", wrong

    def _login(self) -> tuple[Reply, str, str]:
        form = urlencode({"username": self._me.email, "password": PASSWORD})
        reply = self._client.send("POST", "/login", form)
        return reply, "", _mistake(reply, {200}, lambda token: token["token_type"] == "bearer")

    def _sign_up(self) -> tuple[Reply, str, str]:
        email = f"{uuid.uuid4().hex}@example.com"
        reply = self._client.send("POST", "/users", {"email": email, "password": PASSWORD})
        return reply, "", _mistake(reply, {201}, lambda user: user["email"] == email)

    def _is_own(self, post: Any, title: str) -> bool:  # noqa: ANN401  # any JSON
        return bool(post["title"] == title and post["owner"]["id"] == self._me.id)


def _mistake(reply: Reply, expected: set[int], right: Callable[[Any], bool]) -> str:
    """Return what is wrong with a response; 503 and 504 are not wrong."""
    if reply.status in {NOTHING_DONE, UNKNOWN}:
        return ""
    if reply.status not in expected:
        return f"{reply.status} instead of {expected}: {reply.body[:200]!r}"
    return "" if right(json.loads(reply.body)) else f"a response for somebody else: {reply.body[:200]!r}"


class Traffic:
    """People who send requests at the same time, a thread each, from `start` to `finish`."""

    def __init__(self, actors: Iterable[Actor]) -> None:
        self._actors = list(actors)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._most = 0

    def start(self, most: int = 10**9) -> None:
        """Send requests until `finish`, or until each has sent `most` requests."""
        self._most = most
        self._threads = [threading.Thread(target=actor.work, args=(self._is_over,)) for actor in self._actors]
        for thread in self._threads:
            thread.start()

    def _is_over(self, sent: int) -> bool:
        return self._over.is_set() or sent >= self._most

    def join(self) -> list[Outcome]:
        """Wait until each has sent its requests; return all outcomes."""
        for thread in self._threads:
            thread.join()
        return [outcome for actor in self._actors for outcome in actor.outcomes]

    def finish(self) -> list[Outcome]:
        """Begin no further request; return all outcomes."""
        self._over.set()
        return self.join()


def statuses(outcomes: Iterable[Outcome]) -> Counter[int]:
    """Count the statuses."""
    return Counter(outcome.status for outcome in outcomes)
