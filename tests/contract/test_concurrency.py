"""Concurrent requests of many clients."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.contract.client import PASSWORD, Account, concurrent_statuses, new_email, new_post, vote


def test_of_twenty_concurrent_sign_ups_with_one_address_one_succeeds(client: httpx.Client) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    assert concurrent_statuses(20, lambda _: client.post("/users/", json=body)) == [201] + [409] * 19


def test_of_fifty_concurrent_votes_of_one_user_one_counts(client: httpx.Client, ada: Account) -> None:
    post = new_post(client, ada)
    assert concurrent_statuses(50, lambda _: vote(client, ada, post["id"])) == [201] + [409] * 49
    assert concurrent_statuses(50, lambda _: vote(client, ada, post["id"], 0)) == [201] + [404] * 49


def test_of_ten_concurrent_deletions_of_a_post_one_succeeds(client: httpx.Client, ada: Account) -> None:
    path = f"/posts/{new_post(client, ada)['id']}"
    assert concurrent_statuses(10, lambda _: client.delete(path, headers=ada.headers)) == [204] + [404] * 9


def test_concurrent_requests_get_their_own_responses(client: httpx.Client, ada: Account) -> None:
    posts = [new_post(client, ada, title=f"Title {number}") for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        read = pool.map(lambda post: client.get(f"/posts/{post['id']}", headers=ada.headers).json(), posts)
        assert list(read) == posts
