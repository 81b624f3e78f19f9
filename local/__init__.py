"""The local run: PostgreSQL and an API gateway on one machine, without Docker. Never deployed."""

import sys
from pathlib import Path

# The settings are checked with the code of the functions, which is in the layer, and so are migrations.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "layers" / "common" / "python"))
