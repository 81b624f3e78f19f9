"""Lines for the developer's terminal, on standard error."""

import os
import sys

_RED, _GREEN, _YELLOW = 31, 32, 33


def write_line(line: str) -> None:
    """Write a line with one call, because functions write their logs to the same stream."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def log_access(method: str, path: str, status: int, seconds: float, source: str) -> None:
    """Write the line of one request; `source` says where the response is from: a function or the gateway."""
    colour = _GREEN if status < 400 else _YELLOW if status < 500 else _RED  # noqa: PLR2004 - HTTP's classes
    shown = f"\x1b[{colour}m{status}\x1b[0m" if _has_colour() else str(status)
    write_line(f"{method} {path} {shown} {seconds * 1000:.0f} ms {source}")


def _has_colour() -> bool:
    """Tell whether standard error shows colours: a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
