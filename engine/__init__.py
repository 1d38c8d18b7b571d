"""The engine: examples in, adapter out.

A library that knows no database and no interface. Importing this package imports no torch; the modules
that need it import it themselves.
"""

import logging
import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before huggingface_hub is imported
# Before torch is imported: its threads wait for one another by spinning, for about 10 µs here and then asleep.
# Without end, training is 20 times slower as soon as anything else, a chat worker say, wants one of the cores;
# not at all, it is a third slower when nothing does. OMP_WAIT_POLICY=ACTIVE has them spin for long.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that we do not want
