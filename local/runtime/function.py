"""What an execution environment needs to know about a Lambda function."""

from collections.abc import Iterable, Mapping
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
    """Megabytes. The function can read the number; it is not enforced."""
    environment: Mapping[str, str]

    @property
    def sources(self) -> tuple[Path, ...]:
        """The paths that can contain its code: the package, the module and the layers."""
        name = self.handler.partition(".")[0]
        return (self.code / name, self.code / f"{name}.py", *self.layers)

    def has_source(self, paths: Iterable[str]) -> bool:
        """Tell whether one of the paths is among its sources."""
        return any(Path(path).is_relative_to(source) for path in paths for source in self.sources)
