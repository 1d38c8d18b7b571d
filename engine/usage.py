"""How much memory this process holds, held at most, and could have; a GPU's or the machine's."""

import gc
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from accelerate.utils import gather_object

RESET_PEAK = "5"  # proc_pid_clear_refs(5): the peak becomes what is held now


@dataclass(frozen=True)
class Used:
    """Bytes at the `peak`, what of them was `taken` since the gauge began, and what is `available` in all."""

    peak: int
    taken: int
    available: int


class Gauge:
    """Memory from now on, in bytes: what a GPU has allocated, or what the process has of the machine's."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        gc.collect()  # garbage that went later would hide as much of what is taken
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            with suppress(OSError):  # where there is no /proc the peak is the one since the process started
                Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        self.held = _held(device)

    def peak(self) -> int:
        """The most that was held."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return max(_peak_rss(), self.held)

    def taken(self) -> int:
        """What the peak was above what was held at the start."""
        return self.peak() - self.held

    def of_all(self) -> Used:
        """What all processes use: those of a CPU share its memory, of GPUs it is the fullest one. To be
        called on every process."""
        every = gather_object([(self.peak(), self.taken(), _held(self.device), self.free())])
        if self.device.type == "cuda":
            peak, taken, held, free = max(every, key=lambda one: one[0] - one[2] - one[3])
            return Used(peak, taken, held + free)
        peaks, takens, helds, _ = zip(*every, strict=True)
        return Used(sum(peaks), sum(takens), sum(helds) + self.free())

    def free(self) -> int:
        """What this process could still get."""
        return available(self.device) - _held(self.device)


def available(device: torch.device) -> int:
    """Bytes that this process has or could still get."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) + int(torch.cuda.memory_reserved(device))
    return int(psutil.virtual_memory().available) + _held(device)


def _held(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


def _peak_rss() -> int:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
