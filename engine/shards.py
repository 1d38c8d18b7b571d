"""A frozen base cut up among processes: each keeps its part, and gathers the rest while it is needed.

What ZeRO-3 (arXiv:1910.02054) and FSDP do for all weights, here for the frozen ones alone: adapters, norms
and biases are whole everywhere, so that nothing else has to know. Only one block's matrices are whole at a
time, from its forward or backward to the next one's. All processes gather together, so each has to make the
same passes through the model in the same order.

Why not torch's `fully_shard`: it puts DTensors in the place of weights, where peft looks for bitsandbytes'
when an adapter is added, and gathers for a module's forward; `engine.logps` reads the head without one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import distributed, nn

from engine.errors import UserError

ALIGNED = 64  # bytes: every weight starts at a multiple, as kernels like it


class Shards:
    """A model's embeddings, head and blocks, cut up. `held` of their `total` bytes stay in this process.

    Every process of the default group makes one of the same model at the same time. The model may lie in the
    machine's memory: what is kept goes to `device`, one block after the other. Raises UserError when there
    are no blocks, or some share weights.
    """

    def __init__(self, causal_lm: Any, blocks: Sequence[nn.Module], device: torch.device) -> None:
        if not blocks:
            raise UserError(
                f"{type(causal_lm).__name__} cannot be cut up: it is not made of blocks that are known here.",
                do="Train it without --shard.",
            )
        self.held = self.total = 0
        self._whole: _Part | None = None
        parts: dict[nn.Parameter, _Part] = {}
        ends = [causal_lm.get_input_embeddings(), causal_lm.get_output_embeddings()]
        for module in (*ends, *blocks):
            matrices = [parameter for parameter in module.parameters() if parameter.ndim > 1]
            if not parts.keys() & set(matrices):
                part = _Part(matrices, device)
                parts |= dict.fromkeys(matrices, part)
                self.held += part.own.nbytes
                self.total += part.bytes
            elif module is ends[1] and set(matrices) <= parts.keys():  # tied to the embeddings
                part = parts[matrices[0]]
            else:
                raise UserError(
                    f"{type(causal_lm).__name__} cannot be cut up: its blocks share weights.",
                    do="Train it without --shard.",
                )
            self._watch(module, part, backward=module not in ends)
        _move_rest(causal_lm, parts.keys(), device)

    def _watch(self, module: nn.Module, part: "_Part", *, backward: bool) -> None:
        """Gather the part whenever the module needs it. Nothing goes back through embeddings and head:
        gradients end at the first, and `engine.logps` computes the other's in its forward pass."""

        def gather(*_: object) -> None:
            if self._whole is not part:
                if self._whole:
                    self._whole.release()
                self._whole = part
                part.gather()

        def before_backward(_: nn.Module, __: object, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            if hidden.requires_grad:
                hidden.register_hook(gather)

        module._gather = gather  # type: ignore[assignment]
        module.register_forward_pre_hook(gather)
        if backward:
            module.register_forward_hook(before_backward)


def gather(module: nn.Module) -> None:
    """Let the weights of an embedding, a head or a block be whole, until another's are; to be called on
    every process. Does nothing for a model that is not cut up."""
    if hook := getattr(module, "_gather", None):
        hook()


class _Part:
    """Matrices that lie one behind the other in one piece of memory, of which each process keeps as much.

    The parameters stay views of it. Its memory is given back and taken anew, which autograd, that may keep
    a reference to them, does not see: the numbers are the same whenever it looks.
    """

    def __init__(self, matrices: Sequence[nn.Parameter], device: torch.device) -> None:
        processes, number = distributed.get_world_size(), distributed.get_rank()
        starts, end = [], 0
        for matrix in matrices:
            starts.append(end)
            end += -(-matrix.nbytes // ALIGNED) * ALIGNED
        self.bytes = -(-end // processes) * processes
        whole = torch.zeros(self.bytes, dtype=torch.uint8)
        for matrix, start in zip(matrices, starts, strict=True):
            whole[start : start + matrix.nbytes] = matrix.data.reshape(-1).view(torch.uint8)
        self.own = whole.chunk(processes)[number].to(device, copy=True)
        del whole
        self._whole = torch.empty(self.bytes, dtype=torch.uint8, device=device)
        for matrix, start in zip(matrices, starts, strict=True):
            own = self._whole[start : start + matrix.nbytes]
            matrix.data = own.view(matrix.dtype).view(matrix.shape)
        self.release()

    def gather(self) -> None:
        self._whole.untyped_storage().resize_(self.bytes)
        distributed.all_gather_single(self._whole, self.own)

    def release(self) -> None:
        self._whole.untyped_storage().resize_(0)


def _move_rest(causal_lm: Any, cut_up: Any, device: torch.device) -> None:
    """Bring what is not cut up to the device: norms, biases, buffers, and what 4-bit weights are read by."""
    for parameter in causal_lm.parameters():
        if parameter not in cut_up:
            parameter.data = parameter.data.to(device, copy=True)  # no view of a file that is mapped
        if state := getattr(parameter, "quant_state", None):
            state.to(device)
    for module in causal_lm.modules():
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else buffer.to(device)
