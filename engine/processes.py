"""Several processes that train one adapter together: how they meet, and what they must agree on.

`accelerate launch` starts such processes too. Each takes its share of every batch's micro-batches, and holds
the whole adapter and the base: the whole of it, or its part (`engine.shards`).
"""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch.distributed.rendezvous import rendezvous

from engine.errors import UserError

T = TypeVar("T")

SHARDING = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "PARALLELISM_CONFIG")  # of `accelerate`, each by a switch
TOGETHER = timedelta(minutes=5)  # how long the first of them waits for the last to come
AT_WORK = timedelta(days=1)  # and later for one that still works; one that died is noticed at once


@dataclass(frozen=True)
class Place:
    """Which of `processes` this one is: its number among all, and among the `here` ones on this machine.

    All meet at `meeting`: `tcp://ADDRESS:PORT` of the main process, number 0, or `file://FILE` on one
    machine alone.
    """

    number: int
    processes: int
    local: int
    here: int
    meeting: str


def meet(place: Place) -> None:
    """Wait until all processes have come; from then on `PartialState` knows of them.

    To be called before a model is loaded. Raises UserError when a GPU is missing or some do not come.
    """
    cuda = torch.cuda.is_available()
    if cuda and place.local >= torch.cuda.device_count():
        raise UserError(
            f"This machine has {torch.cuda.device_count()} GPUs, too few for {place.here} processes.",
            do="Start at most one process for each GPU.",
        )
    os.environ |= {  # what accelerate knows a process of several by
        "RANK": str(place.number),
        "WORLD_SIZE": str(place.processes),
        "LOCAL_RANK": str(place.local),
        "LOCAL_WORLD_SIZE": str(place.here),
        "MASTER_ADDR": urlsplit(place.meeting).hostname or "127.0.0.1",
    }
    if place.meeting.startswith("file:"):
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = _loopback()
    if cuda:
        torch.cuda.set_device(place.local)
    try:
        meeting = rendezvous(place.meeting, place.number, place.processes, timeout=TOGETHER)
        store, _, _ = next(meeting)
        torch.distributed.init_process_group(
            "nccl" if cuda else "gloo",
            store=store,
            rank=place.number,
            world_size=place.processes,
            timeout=AT_WORK,
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"The {place.processes} processes of the run did not come together: {error}",
            do="Start the run on every machine, with the same address, port and numbers, and see to it that "
            "the main machine can be reached there.",
        ) from error
    PartialState(cpu=not cuda)


def from_main(thing: Any) -> Any:
    """What the main process calls this with, on every process."""
    things = [thing]
    if PartialState().num_processes > 1:
        broadcast_object_list(things)
    return things[0]


def dealt(groups: Sequence[T], *, even: bool) -> Iterator[tuple[T, bool]]:
    """This process's share of `groups`, and whether each counts.

    With `even` all processes get as many: those that would have one less get the first again, for nothing.
    """
    state = PartialState()
    for group in groups[state.process_index :: state.num_processes]:
        yield group, True
    if even and 0 < len(groups) % state.num_processes <= state.process_index:
        yield groups[0], False


def refuse_sharding() -> None:
    """Raise a UserError when `accelerate` was told to cut up the model, which the loop does not do."""
    for name in SHARDING:
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("true", "1"):
            raise UserError(
                f"This run was started with accelerate's {name}, which would cut up the adapter too.",
                do="Start it without. The base alone is cut up by tuner train METHOD --processes N --shard, "
                "or by engine.job.run(…, sharded=True) under accelerate launch --multi_gpu.",
            )


def agree(facts: dict[str, Any]) -> None:
    """Raise a UserError on every process unless all call this with the same `facts`."""
    every: Sequence[dict[str, Any]] = gather_object([facts])
    for name, value in facts.items():
        if any(other[name] != value for other in every):
            raise UserError(
                f"The processes of this run differ in {name}: "
                f"{', '.join(str(other[name]) for other in every)}.",
                kept="Nothing was trained.",
                do="Let all machines see the same base and the same home, with one version of the program.",
            )


def _loopback() -> str:
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
