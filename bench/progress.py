"""Says on the terminal how far the run is."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Steps(Sized, Iterable[T_co], Protocol[T_co]):
    """Steps of known number."""


class Progress:
    """One line for each stage, with the time since the start; on a terminal it counts the stage's steps."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Begin a stage."""
        self._write(text, "\n")

    def count(self, text: str, steps: Steps[T]) -> Iterator[T]:
        """Iterate over the steps of a stage."""
        self.say(f"{text}, {len(steps)} steps")
        for number, step in enumerate(steps, 1):
            yield step
            if self._terminal:
                self._write(f"  {number} of {len(steps)}", "\r")

    def _write(self, text: str, end: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        sys.stderr.write(f"{minutes:3}:{seconds:02} {text}{end}")
        sys.stderr.flush()
