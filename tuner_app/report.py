"""What a check found, in words and in marked tokens: the same in every interface."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Literal

from engine.findings import Findings, Part
from tuner_app import words
from tuner_app.clean import visible

OPEN, CLOSE = "⟦", "⟧"
LEGEND = f"{OPEN}…{CLOSE} is trained on, the rest is only read; the shade changes from token to token."
TIGHT = 0.9  # of the available memory

# A stretch of text, and how it is to be shown; the two kinds of trained and of read text take turns.
Kind = Literal["mark", "trained", "trained too", "read", "read too"]


def lines(found: Findings) -> list[str]:
    """The findings in words, a line each; what needs a second look begins with “! ”."""
    step, run = found.step, found.run
    told = [words.used(found.data)]
    if found.template:
        told.append("! " + found.template)
    told += ["! " + warning for warning in found.warnings]
    shared = f", shared by {step.processes} processes" if step.processes > 1 else ""
    told.append(
        f"One step on the longest {step.rows} rows ({step.tokens:,} tokens){shared}: {_time(step.seconds)}, "
        f"{_size(step.memory)} of memory."
    )
    first = (
        f", {_time(run.reference_seconds)} of it for the reference log-probs of {run.reference_rows:,} rows"
    )
    told.append(
        f"The run, at that speed: {run.steps:,} steps, {run.tokens:,} tokens, about {_time(run.seconds)}"
        f"{first if run.reference_rows else ''}."
    )
    share = f"{_size(run.memory)} of {_size(run.available)}"
    if shared:
        share += ", all processes together" if found.plan["device"] == "cpu" else ", on the fullest GPU"
    if run.memory > TIGHT * run.available:
        told.append(
            f"! Memory will be tight: {share}. Lower micro_tokens or max_length, or use precision nf4."
        )
    else:
        told.append(f"Memory: at most {share}.")
    told.append(
        f"{words.counted(found.plan['trainable'])} numbers are trained, on a base of "
        f"{words.counted(found.plan['parameters'])} in {found.plan['precision']} on {found.plan['device']}; "
        f"attention: {attention(found.attention)}."
    )
    return told


def attention(data: Mapping[str, Any]) -> str:
    """An `attention` event in words: “flash kernel, tree layout”."""
    return f"{data['kernel']} kernel, {data['layout']} layout"


def marked(part: Part) -> list[tuple[str, Kind]]:
    """A part of a row as stretches of text that are safe to show, trained ones between brackets."""
    shown: list[tuple[str, Kind]] = []
    turn = False
    for trained, pieces in groupby(part.pieces, key=lambda piece: piece[1]):
        shown += [(OPEN, "mark")] if trained else []
        for text, _ in pieces:
            turn = not turn
            shown.append((_safe(text), _kind(trained, turn)))
        shown += [(CLOSE, "mark")] if trained else []
    return shown


def _kind(trained: bool, turn: bool) -> Kind:
    if trained:
        return "trained" if turn else "trained too"
    return "read" if turn else "read too"


def _safe(text: str) -> str:
    """Visible, line ends too; brackets of the text's own cannot be taken for ours."""
    for bracket in (OPEN, CLOSE):
        text = text.replace(bracket, f"⟨U+{ord(bracket):04X}⟩")
    return visible(text).replace("\n", "↵\n")


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _size(bytes: int) -> str:
    return f"{bytes / 1e9:.1f} GB" if bytes >= 1e9 else f"{bytes / 1e6:.0f} MB"
