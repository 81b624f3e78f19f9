"""A database whose locale knows no letters outside of ASCII."""

from pathlib import Path

import httpx

from tests.contract.client import PASSWORD, log_in
from tests.support.database import LOCALE_C, Database
from tests.support.local_gateway import local_gateway


def test_addresses_are_the_same_in_any_letter_case(worker_database: Database, tmp_path: Path) -> None:
    with (
        worker_database.new_database(LOCALE_C) as url,
        local_gateway(url, tmp_path / "log") as gateway,
        httpx.Client(base_url=gateway.url, timeout=30) as client,
    ):

        def sign_up(email: str) -> int:
            return client.post("/users", json={"email": email, "password": PASSWORD}).status_code

        assert sign_up("É@example.com") == 201
        assert sign_up("é@example.com") == 409
        assert sign_up("ö@example.com") == 201
        for email in ("É@example.com", "e\u0301@example.com"):
            assert log_in(client, email).status_code == 200
        logged_in = log_in(client, "é@example.com")
        headers = {"Authorization": f"Bearer {logged_in.json()['access_token']}"}

        def change(email: str) -> int:
            body = {"email": email, "current_password": PASSWORD}
            return client.patch("/users/me", json=body, headers=headers).status_code

        assert change("Ö@example.com") == 409
        for email in ("é@example.com", "É@example.com"):
            assert change(email) == 200
            assert log_in(client, "é@example.com").status_code == 200
        body = {"current_password": PASSWORD}
        assert client.request("DELETE", "/users/me", json=body, headers=headers).status_code == 204
        assert sign_up("é@example.com") == 201
