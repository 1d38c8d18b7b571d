"""Whether a base fits this machine: what chat, QLoRA and full fine-tuning of it take. No torch.

Estimates, from how many numbers there are and what is kept of each; `tuner check` measures.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from tuner_app import weights, words
from tuner_app.weights import Weights

GIB = 1 << 30
USES = {"chat": "chat", "qlora": "QLoRA", "full": "full fine-tuning"}
# A process with torch and transformers imported, before it has a model: measured.
PROCESS = {"cpu": 0.45 * GIB, "gpu": 0.9 * GIB}
NF4 = 0.52  # bytes a number in 4 bits: half a byte, and a scale for 64 of them
RANK = 16  # the default
TRAINED = 16  # bytes a trained number: itself, gradient and Adam's two averages, all float32
HEAD = {"cpu": 64 << 20, "gpu": 512 << 20}  # of the vocabulary head, in chunks: engine.logps
TOKENS = {"cpu": 512, "gpu": 8192}  # that go through the model at a time: engine.memory.room


@dataclass(frozen=True)
class Device:
    """Where models run: a GPU's memory, or the machine's. Bytes; `free` is what nobody uses now."""

    kind: str
    name: str
    total: int
    free: int


def device() -> Device:
    """The first GPU, or the processor."""
    if command := shutil.which("nvidia-smi"):
        query = "--query-gpu=name,memory.total,memory.free"
        try:
            said = subprocess.run(
                [command, query, "--format=csv,noheader,nounits"],
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            )
            name, total, free = said.stdout.splitlines()[0].rsplit(", ", 2)
            return Device("gpu", name, int(total) << 20, int(free) << 20)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            pass  # a driver without a card
    memory = psutil.virtual_memory()
    return Device("cpu", "this machine's memory", memory.total, memory.available)


def needs(base: Weights, kind: str) -> Mapping[str, int]:
    """Bytes of memory that each of `USES` of a base takes on a device of this kind."""
    size = 2 if kind == "gpu" else 4  # of a number that is computed with: bf16, or float32
    tokens = TOKENS[kind]
    rest = base.parameters - base.linear
    # Gradient checkpointing, the last rung of the ladder, keeps each layer's input, and one layer's inside.
    activations = tokens * base.hidden * (base.layers + 32) * size + HEAD[kind]
    adapter = 2 * RANK * base.linear // max(base.hidden, 1)
    of = {
        "chat": size * base.parameters + size * base.cached * base.context,
        "qlora": int(NF4 * base.linear) + size * rest + TRAINED * adapter + activations,
        "full": TRAINED * base.parameters + activations,
    }
    return {use: round(PROCESS[kind] + bytes) for use, bytes in of.items()}


def about(source: str) -> list[str]:
    """What a base is and whether it fits this machine, in two lines. Raises UserError as `weights.read`."""
    found, on = weights.read(source), device()
    free = f"{on.free / GIB:.0f} of {on.total / GIB:.0f} GiB free"
    uses = " · ".join(f"{USES[use]} {_fits(bytes, on)}" for use, bytes in needs(found, on.kind).items())
    return [
        f"{words.counted(found.parameters)} parameters, {words.sized(found.bytes)} as {found.dtype}, "
        f"{found.context:,} tokens of context; licence: {found.licence}",
        f"takes about: {uses}   ({on.name}: {free})",
    ]


def sizes() -> dict[str, str]:
    """For each use the largest of the sizes that bases come in that fits this machine, in words."""
    on = device()
    found = {}
    for use, name in USES.items():
        taken = {billions: needs(base, on.kind)[use] for billions, base in common().items()}
        fitting = [billions for billions, bytes in taken.items() if bytes <= on.free]
        most = f"up to {fitting[-1]:g} billion parameters" if fitting else "none of half a billion or more"
        nexts = [f"{b:g} billion take {taken[b] / GIB:.0f} GiB" for b in taken if b not in fitting][:1]
        found[name] = "; ".join([most, *nexts])
    return found


def _fits(bytes: int, on: Device) -> str:
    return f"{'✓' if bytes <= on.free else '✗ too large,'} {bytes / GIB:.1f} GiB"


# Parameters in billions, layers, hidden size, numbers cached a token and layer, vocabulary: of common bases.
COMMON = (
    (0.5, 24, 896, 256, 151_936),
    (1.5, 28, 1536, 512, 151_936),
    (3.2, 28, 3072, 2048, 128_256),
    (8.0, 32, 4096, 2048, 128_256),
    (14.8, 48, 5120, 2048, 152_064),
    (32.8, 64, 5120, 2048, 152_064),
    (70.6, 80, 8192, 2048, 128_256),
)


def common() -> dict[float, Weights]:
    """Bases of the sizes that there are, by billions of parameters."""
    found = {}
    for billions, layers, hidden, cached, vocabulary in COMMON:
        count = round(billions * 1e9)
        tables = vocabulary * hidden * (1 if billions < 4 else 2)  # small ones tie the head to the table
        found[billions] = Weights(
            parameters=count,
            linear=count - tables,
            bytes=2 * count,
            dtype="BF16",
            licence="",
            layers=layers,
            hidden=hidden,
            cached=layers * cached,
            vocabulary=vocabulary,
            context=4096,
        )
    return found
