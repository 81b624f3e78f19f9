"""The local run: PostgreSQL and an API gateway on one machine, without Docker. Never deployed."""

import sys
from pathlib import Path

# Settings and migrations use modules of the layer.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "layers" / "common" / "python"))
