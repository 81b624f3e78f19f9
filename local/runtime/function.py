"""A Lambda function, as its execution environments need to know it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Function:
    """A Lambda function: its logical id, where its code is and what it runs with."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    timeout: float
    """Seconds."""
    memory: int
    """Megabytes; stated to the function, not enforced."""
    environment: Mapping[str, str]
