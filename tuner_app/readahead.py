"""Has the disk read what the terminal app will import, while Python is still busy with what comes before.

A start after a while reads some 500 small files, one after the other, and waits for each; asked for ahead, in
a thread, most are there when they are due.
"""

import os
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

# Packages in the order in which they are needed.
_PACKAGES = ("pysqlite3", "tuner_app", "textual", "rich")


def begin() -> None:
    """Begin, where the system can be asked; nothing waits for the end."""
    if hasattr(os, "posix_fadvise"):
        threading.Thread(target=_ask, name="readahead", daemon=True).start()


def _ask() -> None:
    for file in _files():
        try:
            handle = os.open(file, os.O_RDONLY)
        except OSError:
            continue  # a start only takes longer without it
        try:
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(handle)


def _files() -> Iterator[str]:
    """What an import reads of each package: compiled modules and libraries; the sources' dates too."""
    tag = f".{sys.implementation.cache_tag}.pyc"
    for package in _PACKAGES:
        spec = find_spec(package)
        for top in spec.submodule_search_locations or () if spec else ():
            for folder, _, names in os.walk(top):
                for name in names:
                    if name.endswith((tag, ".so")):
                        yield os.path.join(folder, name)
                    elif name.endswith(".py"):
                        Path(folder, name).stat()
