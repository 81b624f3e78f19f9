"""The paths of this project that the local run uses."""

import sysconfig
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
KEYS = PROJECT / ".local" / "jwt_keys.json"
MAIL = PROJECT / ".local" / "mail"
EXAMPLE_PAGE = PROJECT / "examples" / "web" / "index.html"


def installed_dependencies(project: Path) -> Path:
    """Return the directory with the packages of the layer.

    `make dev` installs the layer's lock file into a directory of its own. If that directory is missing, the
    packages of this interpreter replace it.
    """
    own = project / ".local" / "layer" / "python"
    return own if own.is_dir() else Path(sysconfig.get_path("purelib"))
