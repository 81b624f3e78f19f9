"""The benchmark: this project beside a no-op, a framework-free floor and FastAPI, all in one run."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Where the functions find each other's modules when they are deployed; migrations and statements need them.
sys.path += [str(ROOT / "functions"), str(ROOT / "layers" / "common" / "python")]
