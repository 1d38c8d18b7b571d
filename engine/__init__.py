"""The engine: examples in, adapter out.

A library that knows no database and no interface. Importing this package imports no torch; the modules
that need it import it themselves.
"""

import logging
import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before huggingface_hub is imported
# Before torch is imported: threads that wait by spinning make training 20 times slower as soon as anything
# else, a chat worker say, wants one of the cores. Set the variable to ACTIVE to have them spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that we do not want
