"""Lines for the developer's terminal, on standard error."""

import sys

_RED, _GREEN, _YELLOW = 31, 32, 33


def tell(line: str) -> None:
    """Write a line with one call, because functions write their logs to the same stream."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def log_access(method: str, path: str, status: int, seconds: float, function: str) -> None:
    """Write the line of one request; `function` is empty if the gateway itself responded."""
    colour = _GREEN if status < 400 else _YELLOW if status < 500 else _RED  # noqa: PLR2004 - HTTP's classes
    shown = f"\x1b[{colour}m{status}\x1b[0m" if sys.stderr.isatty() else str(status)
    tell(f"{method} {path} {shown} {seconds * 1000:.0f} ms {function or 'gateway'}")
