"""Where the processes of one run are: how many on a machine, and which machines work together. No torch."""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.spec import build

FORMAT = """main = "10.0.0.1"   # address of the machine that has the database, the first one
port = 29500        # a free port there, which the others can reach
machines = 2        # how many machines
rank = 0            # which of them this one is: 0 for the first
processes = 1       # on each machine: one for each GPU
shard = false       # whether to cut the base up among all of them"""


@dataclass(frozen=True)
class Machines:
    """One machine's view of a run's processes; the defaults are one process, alone."""

    main: str = field(default="", metadata={"help": "address of the first machine"})
    port: int = field(default=0, metadata={"help": "port there", "min": 0, "max": 65535})
    machines: int = field(default=1, metadata={"help": "how many machines", "min": 1})
    rank: int = field(default=0, metadata={"help": "which of them this one is", "min": 0})
    processes: int = field(default=1, metadata={"help": "on each machine", "min": 1, "max": 1024})
    shard: bool = field(default=False, metadata={"help": "cut the base up among all processes"})

    @property
    def total(self) -> int:
        """Processes on all machines together."""
        return self.machines * self.processes

    def alone(self) -> "Machines":
        """This machine's processes, without the others."""
        return Machines(processes=self.processes, shard=self.shard and self.processes > 1)

    def meeting(self, folder: Path) -> str:
        """Where the processes meet: a port of the first machine, or a file in `folder` that only one sees."""
        if self.machines > 1:
            return f"tcp://{self.main}:{self.port}"
        return f"file://{folder / 'meeting'}"


ALONE = Machines()


def asked(processes: int, file: Path | None, *, shard: bool = False) -> Machines:
    """What `--processes`, `--machines FILE` and `--shard` ask for.

    Raises UserError when that makes no sense.
    """
    found = _read(processes, file, shard)
    if found.shard and found.total == 1:
        raise UserError(
            "--shard cuts the base up among processes, and there is one.",
            do="Say how many: --processes 2 or more, one for each GPU.",
        )
    return found


def _read(processes: int, file: Path | None, shard: bool) -> Machines:
    options = {"processes": processes, "shard": shard}
    if file is None:
        return build(Machines, options, "number of processes:")
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}.", do=f"Write it like this:\n{FORMAT}") from error
    found = build(Machines, options | values | ({"shard": True} if shard else {}), f"setting in {file}:")
    if processes > 1 and processes != found.processes:
        raise UserError(
            f"{file} says {found.processes} processes on each machine, and --processes {processes}.",
            do="Leave --processes out.",
        )
    missing = [name for name in ("main", "port") if not getattr(found, name)]
    if found.machines > 1 and missing:
        raise UserError(f"{file} lacks {' and '.join(missing)}.", do=f"Write it like this:\n{FORMAT}")
    if found.rank >= found.machines:
        raise UserError(
            f"{file} says rank {found.rank} of {found.machines} machines.",
            do="Ranks go from 0 to one less than the number of machines.",
        )
    return found


def note(folder: Path, machines: Machines) -> None:
    """Keep with a run, in its `folder`, where its processes are."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machines.json").write_text(json.dumps(asdict(machines)), encoding="utf-8")


def of_run(folder: Path) -> Machines:
    """Where the processes of the run in `folder` are: one process, unless `note` said otherwise."""
    try:
        return Machines(**json.loads((folder / "machines.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Machines()
