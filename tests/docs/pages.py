"""The pages of the documentation, and the fenced blocks in them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted(ROOT.glob("docs/*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A link or an image.
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLACEHOLDER = re.compile(r"<[a-z](?:[\w .-]*\w)?>")
INLINE_CODE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block: its page, the number of its first line, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Return the page and the line, as the id of a test."""
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for match in FENCE.finditer(text)
    ]


def under(page: Path, heading: str) -> list[Block]:
    """Return the fenced blocks of a page between a second-level heading and the next one."""
    text = page.read_text()
    start = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", start + 1)
    first, last = (text.count("\n", 0, at) for at in (start, end if end > 0 else len(text)))
    return [block for block in blocks(page) if first < block.line <= last]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes for the headings of a page."""
    headings = HEADING.findall(prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(block: Block) -> list[str]:
    """Return the commands of a shell block. Join continued lines, replace <placeholders>, drop comments."""
    joined = PLACEHOLDER.sub("placeholder", block.text.replace("\\\n", " "))
    lines = [re.sub(r"(^|\s)#.*$", "", line).strip().removeprefix("$ ") for line in joined.splitlines()]
    return [line for line in lines if line]
