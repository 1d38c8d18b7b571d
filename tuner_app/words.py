"""Runs and their data in words, the same in every interface."""

from collections.abc import Mapping
from typing import Any

from tuner_app.store.rows import Summary

PLURALS = {
    "demonstration": "demonstrations",
    "pair": "pairs",
    "rated": "rated replies",
    "prompt": "prompts",
}
TELLING = ("gold", "reward", "accuracy")  # metrics that say more than the loss, the most telling first
SHOWN_FIRST = (*TELLING, "margin", "kl")
SIDES = ("chosen", "rejected", "good", "bad")
LEFT_OUT = {
    "too_long": "longer than {max_length:,} tokens: left out",
    "no_label": "with nothing to train on: left out",
    "no_end": "without an end token",
    "repeated": "repeated",
    "contradictory": "contradicted by another",
}


def many(count: int, kind: str) -> str:
    """“1 pair”, “1,200 rated replies”."""
    singular = {"rated": "rated reply"}.get(kind, kind)
    return f"{count:,} {singular if count == 1 else PLURALS[kind]}"


def selected(kind: str, found: Summary) -> str:
    """What a selection holds: “12 pairs: 4 from labels, 8 from imports; 2 repeated, used once”."""
    text = f"{many(found.examples, kind)}: "
    text += f"{found.from_labels:,} from labels, {found.from_imports:,} from imports"
    if kind == "rated":
        text += f"; {found.good:,} good, {found.examples - found.good:,} bad"
    if kind == "prompt":
        text += f"; each once, whatever answers it ({found.examples + found.repeated:,} do)"
    elif found.repeated:
        text += f"; {found.repeated:,} repeated, used once"
    if found.contradictory:
        text += f"; {found.contradictory:,} contradict another one"
    return text


def used(data: Mapping[str, Any]) -> str:
    """What a run makes of its rows, by its `data` event: nothing is left out in silence."""
    parts = [f"{data['used']:,} of {data['rows']:,} rows, {data['trained_tokens']:,} trained tokens"]
    parts += [f"{data[key]:,} {text.format(**data)}" for key, text in LEFT_OUT.items() if data.get(key)]
    if classes := data.get("classes"):
        parts.append(", ".join(f"{count:,} {name}" for name, count in classes.items()))
    return "; ".join(parts)


def held_out(data: Mapping[str, Any]) -> str:
    """What an `evaluation` event says."""
    return (
        f"right on {data['accuracy']:.1%} of {data['pairs']:,} {data['what']} "
        f"(95 % interval: {data['low']:.1%} to {data['high']:.1%})"
    )


def headline(step: Mapping[str, Any]) -> str:
    """The most telling figure of a `step` event: “accuracy 0.75”, or the loss."""
    metrics = step.get("metrics", {})
    name = next((name for name in TELLING if name in metrics), "")
    return f"{name} {number(metrics[name])}" if name else f"loss {float(step['loss']):.4f}"


def metrics(step: Mapping[str, Any]) -> list[str]:
    """The method's own figures of a `step` event in at most two lines: “accuracy 0.75 · margin 0.3”, and
    those that it has for each side, “chosen: logp -45, reward 0.2 · rejected: logp -50, reward -0.1”."""
    found = dict(step.get("metrics", {}))
    plain, sides = [], dict[str, list[str]]()
    for name in sorted(found, key=lambda name: SHOWN_FIRST.index(name) if name in SHOWN_FIRST else 99):
        stem, _, side = name.rpartition("_")
        if side in SIDES:
            sides.setdefault(side, []).append(f"{stem} {number(found[name])}")
        else:
            plain.append(f"{name.replace('_', ' ')} {number(found[name])}")
    by_side = [f"{side}: {', '.join(sides[side])}" for side in SIDES if side in sides]
    return [" · ".join(line) for line in (plain, by_side) if line]


def logged(kind: str, data: Mapping[str, Any]) -> str:
    """An event as a line of a log: “warning    Too little memory.”, “step       2 of 37 · loss 7.97”."""
    if "message" in data:
        text = str(data["message"])
    elif kind == "data":
        text = used(data)
    else:
        found = {**data, **data.get("metrics", {})}
        parts = [f"{found.pop('step')} of {found.pop('steps')}"] if kind == "step" else []
        told = {name: value for name, value in found.items() if name != "metrics" and value != ""}
        text = " · ".join(
            [*parts, *(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in told.items())]
        )
    return f"{kind:10} {' '.join(text.split())}"


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def number(value: Any) -> str:
    """Three digits of a figure, more of thousands; it may have come as text, “nan” for one."""
    figure = float(value)
    return f"{figure:,.0f}" if 1000 <= abs(figure) < 1e7 else f"{figure:.3g}".replace("e-0", "e-")


def sized(bytes: int) -> str:
    """“1.2 MB”, “14.5 GB”."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if bytes >= unit:
            return f"{bytes / unit:.1f} {name}"
    return f"{bytes / 1e3:.0f} kB"


def counted(number: int) -> str:
    """“2.8 million”, “7.2 billion”."""
    for unit, name in ((1e9, " billion"), (1e6, " million")):
        if number >= unit:
            return f"{number / unit:.1f}{name}"
    return f"{number:,}"


def typed(value: Any) -> str:
    """The value of a setting as a person types it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
