"""The benchmark: this project, a no-op, a framework-free floor and FastAPI, measured in one run."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Where a deployed function finds its modules; migrations and statements need them.
sys.path += [str(ROOT / "functions"), str(ROOT / "layers" / "common" / "python")]
