"""The card beside an adapter: what was noted when it was made, read without torch."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.chance import by_guessing
from engine.errors import UserError

CARD = "tuner.json"
CHANCE = 0.025  # a reward model that guessing does as well as with this probability knows nothing for sure


@dataclass(frozen=True)
class Measured:
    """What was measured of a reward model: see `engine.heads.RewardHead`."""

    mean: float
    std: float
    held_out: Mapping[str, float] | None


def card(folder: Path) -> dict[str, Any]:
    """What was noted beside the adapter: kind, base, fingerprint, spec, template; {} for one of others."""
    try:
        data = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / CARD} is broken.", do="Delete it, or train the adapter again.") from error
    return data if isinstance(data, dict) else {}


def measured(folder: Path) -> Measured:
    """What was measured of the reward model in `folder`; UserError where there is none, or no figures."""
    facts = card(folder).get("reward")
    if not isinstance(facts, dict):
        raise UserError(
            f"The adapter in {folder} is no reward model.",
            do="Train one: tuner train reward. Or name another adapter.",
        )
    try:
        held_out = facts["held_out"]
        if held_out is not None:
            names = ("accuracy", "low", "high", "pairs", "prompts")
            held_out = {name: float(held_out[name]) for name in names}
        return Measured(float(facts["mean"]), float(facts["std"]), held_out)
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"The reward model in {folder} cannot be used: its {CARD} lacks what was measured of it.",
            do="Train it again, or get another copy of its files.",
        ) from error


def refuse_guessing(folder: Path, *, trusted: bool) -> None:
    """Raise UserError for a reward model that tells no replies apart, or, unless it is `trusted`, is not
    known to do so better than chance."""
    found = measured(folder)
    if not 0 < found.std < math.inf or not math.isfinite(found.mean):
        raise UserError(
            f"The reward model in {folder} gives every reply the same score.", do="Train another."
        )
    share, guessed = found.held_out, 1.0
    if share:
        hits = round(2 * share["accuracy"] * share["pairs"]) / 2  # a share is rounded; ties are halves
        guessed = by_guessing(hits, round(share["pairs"]))
    if trusted or guessed < CHANCE:
        return
    raise UserError(
        f"The reward model in {folder} is not known to be better than chance: "
        + (
            f"right on {share['accuracy']:.0%} of {share['pairs']:.0f} held-out pairs, as guessing would be "
            f"{guessed:.1%} of the time."
            if share
            else "no pairs were held out to measure it on."
        ),
        do="Train it on more labels; or set trust_reward to go on all the same.",
    )
