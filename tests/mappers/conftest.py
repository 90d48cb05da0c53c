"""Support sets written out in numbers, importable from the tests beside this file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
