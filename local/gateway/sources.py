"""Detects changed source files, so that a change takes effect without a restart."""

import os
from pathlib import Path

# The fingerprint of a file that does not exist.
_MISSING = (0, 0, 0)


class Sources:
    """The Python files in some directories, and some single files."""

    def __init__(self, directories: list[Path], files: list[Path]) -> None:
        self._roots = [str(directory) for directory in directories]
        self._files = [str(file) for file in files]
        self._directories: dict[str, int] = {}
        self._state: dict[str, tuple[int, int, int]] = {}
        self._list()
        self.changes()

    def changes(self) -> set[str]:
        """Return the paths that were edited, added or removed since the last call.

        It costs one `stat` per file and directory, so every request can call it.
        """
        if any(_modified(path) != time for path, time in self._directories.items()):
            self._list()
        changed = {path for path, known in self._state.items() if _fingerprint(path) != known}
        for path in changed:
            self._state[path] = _fingerprint(path)
        return changed

    def _list(self) -> None:
        """List the files. A new file gets the fingerprint of a missing one, so that `changes` reports it."""
        # The list includes missing directories, so that `changes` notices when one appears.
        self._directories = {root: _modified(root) for root in self._roots}
        paths = list(self._files)
        for root in self._roots:
            for directory, names, files in os.walk(root):
                names[:] = [name for name in names if name != "__pycache__"]
                self._directories[directory] = _modified(directory)
                paths += [str(Path(directory, file)) for file in files if file.endswith(".py")]
        self._state = dict.fromkeys(paths, _MISSING) | self._state


def _fingerprint(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - making a Path costs more than the call
    except OSError:
        return _MISSING
    return status.st_mtime_ns, status.st_size, status.st_ino


def _modified(directory: str) -> int:
    return _fingerprint(directory)[0]
