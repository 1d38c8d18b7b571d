"""One thread for each process: the tests' models are tiny, and their workers share the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
