"""Links in a plain text."""

import re

LINK = re.compile(r"https?://[^\s<>\"]+")


def first_link(text: str) -> str:
    """Return the first link in a text, or an empty string."""
    found = LINK.search(text)
    return found[0] if found else ""
