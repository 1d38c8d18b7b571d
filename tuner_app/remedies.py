"""What helps a run that failed: told from what it said, and put into a plan where it takes another run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.errors import UserError
from tuner_app.launch import Plan
from tuner_app.store.run_rows import Run

FEWEST_TOKENS = 64  # rows shorter than this are hardly worth training on


@dataclass(frozen=True)
class Remedy:
    """What to do, in words, and the settings of the run to do it with; without any the run itself goes on.

    `in_vain`: going on would end the run as before, for certain.
    """

    text: str
    options: Mapping[str, Any] = field(default_factory=dict)
    precision: str = ""
    in_vain: bool = False

    @property
    def is_another_run(self) -> bool:
        """Whether it takes a new run: what a run has learnt belongs to its settings."""
        return bool(self.options or self.precision)


def refuse_in_vain(run: Run, do: str = "") -> None:
    """Raise a UserError for a failed run that would end as before, with what to `do` instead."""
    offered = remedy(run)
    if offered and offered.in_vain:
        raise UserError(f"{run.name} would end as before.", kept=run.error, do=do or f"{offered.text}.")


def remedy(run: Run) -> Remedy | None:
    """What to offer for a run that has failed; None when nothing but its log can help."""
    if run.status != "failed":
        return None
    said, options = run.error, run.spec["options"]
    if said.startswith("The loss is no longer a number"):
        rate = float(f"{options['learning_rate'] / 10:.3g}")
        return Remedy(
            f"train again with a tenth of the learning rate, {rate:g}", {"learning_rate": rate}, in_vain=True
        )
    if said.startswith("The loss is no number") and run.spec["precision"] != "fp32":
        return Remedy("train again in fp32", precision="fp32", in_vain=True)
    if said.startswith("Memory ran out"):
        return _in_less_memory(run)
    if said.startswith("It was killed"):
        return Remedy("go on from its last checkpoint; if memory was short, end other programs first")
    if "the disk is full" in said:
        return Remedy("go on once there is room")
    return None


def _in_less_memory(run: Run) -> Remedy | None:
    """The next of what gives another result, from what costs least; a run has tried all else by itself."""
    if run.spec["precision"] != "nf4" and run.spec["adapter"]["kind"] != "full":
        return Remedy("train again on a 4-bit base: precision nf4", precision="nf4")
    shorter = int(run.spec["options"]["max_length"]) // 2
    if shorter < FEWEST_TOKENS:
        return None
    return Remedy(
        f"train again without rows longer than {shorter} tokens: max_length {shorter}",
        {"max_length": shorter},
    )


def applied(plan: Plan, change: Remedy) -> Plan:
    """The plan with what helps in it."""
    return replace(
        plan, options={**plan.options, **change.options}, precision=change.precision or plan.precision
    )
