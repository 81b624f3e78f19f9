"""The local run: PostgreSQL and an API gateway on one machine, without Docker. Never deployed."""

import sys
from pathlib import Path

# Settings and migrations use modules of the layer, and the import of a database knows the bounds of posts.
_ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_ROOT / "layers" / "common" / "python"), str(_ROOT / "functions")]
