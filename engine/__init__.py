"""The engine: examples in, adapter out.

A library that knows no database and no interface. Importing this package imports no torch; the modules
that need it import it themselves.
"""

import logging
import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before huggingface_hub is imported
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that we do not want
