"""One thread for each process: the tests' models are tiny, and their workers share the cores."""

import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

# A thousand small databases wait for a disk longer than they compute, and are of no use once their test has
# passed: they are kept in memory where there is enough of it.
_MEMORY = Path("/dev/shm")
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
