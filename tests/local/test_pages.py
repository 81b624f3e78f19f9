"""The pages that the local run serves beside the API."""

from pathlib import Path

import pytest

from local.mail import Mailbox
from local.pages import Pages
from local.project import EXAMPLE_PAGE


@pytest.fixture
def serve(tmp_path: Path) -> Pages:
    return Pages(Mailbox(tmp_path / "mail"))


def test_the_mailbox_and_the_example_page_have_paths(serve: Pages) -> None:
    assert "Mailbox" in str(serve("/_mail"))
    assert serve("/_app") == EXAMPLE_PAGE.read_text("utf-8")


@pytest.mark.parametrize("path", ["/", "/posts", "/_app/x", "/_mailbox"])
def test_no_other_path_has_a_page(serve: Pages, path: str) -> None:
    assert serve(path) is None
