"""Folders that are on disk whole or not at all, also after a power cut."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from engine.errors import UserError


@contextmanager
def whole(folder: Path, kept: str = "", again: str = "resume the run") -> Iterator[Path]:
    """A temporary folder to write files into; when the block ends they are forced to disk and it is renamed.

    An older `folder` is replaced. A UserError says so when the disk is full or not writable; `kept` is
    what it tells of earlier work, `again` what to do when the fault is mended.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        _sync(temporary)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        number = _number(error)
        if number is None:
            raise
        full = number in (errno.ENOSPC, errno.EDQUOT)
        raise UserError(
            f"{folder} cannot be written: {'the disk is full' if full else os.strerror(number)}.",
            kept=kept,
            do=f"Make room (old runs' checkpoints can go), then {again}."
            if full
            else f"Mend that, then {again}.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _number(error: OSError | SafetensorError) -> int | None:
    """The operating system's number of a fault, which safetensors puts into its text alone."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
