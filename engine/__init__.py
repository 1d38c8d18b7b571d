"""The engine: examples in, adapter out.

A library that knows no database and no interface. Importing this package imports no torch; the modules
that need it import it themselves.
"""

import logging
import os

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before huggingface_hub is imported
os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler would say on stderr that it begins and ends
# Before torch is imported: its threads wait for one another by spinning, here for a moment and then asleep.
# Spinning for long makes training 20 times slower as soon as anything else, a chat worker say, wants a core;
# sleeping at once makes it a third slower when nothing does. An OMP_WAIT_POLICY of one's own still counts.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# oneDNN makes a kernel for each shape (about half a megabyte), and torch keeps what it was made from: of a
# thousand each, unless told otherwise. Training meets new shapes all the time, but few at a time.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that we do not want
