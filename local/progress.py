"""A progress bar on the terminal."""

import sys

_WIDTH = 40


def show_progress(done: int, total: int) -> None:
    """Show how much of a task is done; without a terminal, show nothing."""
    if not sys.stderr.isatty():
        return
    filled = _WIDTH * done // max(total, 1)
    end = "\n" if done == total else ""
    sys.stderr.write(f"\r[{'#' * filled}{' ' * (_WIDTH - filled)}] {100 * done // max(total, 1)} %{end}")
    sys.stderr.flush()
