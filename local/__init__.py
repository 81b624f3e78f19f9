"""The local run: PostgreSQL and an API gateway on one machine, without Docker. Never deployed."""

import sys
from pathlib import Path

# What the functions take for right is checked with their own code, and migrations compare with the models.
sys.path.append(str(Path(__file__).resolve().parents[1] / "layers" / "common" / "python"))
