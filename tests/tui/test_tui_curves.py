"""Curves of a run: thinned without losing a peak, smoothed, and drawn."""

from math import nan

import pytest

from tuner_app import words
from tuner_app.curves import MOST, Bucket, Curve, smoothed
from tuner_app.run_facts import RunFacts
from tuner_app.store.run_rows import RunEvent
from tuner_app.tui import plot


def test_a_curve_stays_small_and_keeps_its_peaks() -> None:
    curve = Curve()
    for step in range(1, 20_001):
        curve.add(step, step / 2, {7_777: 50.0, 12_345: -50.0}.get(step, 1.0))
    assert len(curve.buckets) <= MOST
    assert sum(bucket.count for bucket in curve.buckets) == 20_000
    assert (curve.buckets[-1].step, curve.buckets[-1].seconds) == (20_000, 10_000.0)
    assert [round(b.step, -2) for b in curve.buckets if b.high == 50.0] == [7_800]
    assert len([b for b in curve.buckets if b.low == -50.0]) == 1


def test_a_curve_of_few_points_keeps_each_and_leaves_out_what_is_no_number() -> None:
    curve = Curve()
    for step, value in enumerate([3.0, nan, 1.0], start=1):
        curve.add(step, 0.0, value)
    assert [(b.step, b.mean) for b in curve.buckets] == [(1, 3.0), (3, 1.0)]
    curve.add(4, 0.0, nan)
    assert curve.last != curve.last  # and the last one is said to be none


def test_smoothing_takes_the_mean_of_both_sides_and_does_not_lag() -> None:
    line = [Bucket(step, 0.0, step, step, float(step)) for step in range(20)]
    assert smoothed(line, 6)[3:-3] == pytest.approx([float(step) for step in range(3, 17)])
    assert smoothed(line, 6)[0] == 1.5, "at the ends, of those that there are"
    jagged = [Bucket(step, 0.0, 0, 0, float(step % 2)) for step in range(20)]
    assert max(abs(mean - 0.5) for mean in smoothed(jagged, 10)[5:-5]) < 0.1
    assert smoothed([], 10) == []


def drawn(*lines: plot.Line, width: int = 4, height: int = 2) -> list[str]:
    spans = plot.spans(lines)
    assert spans
    return ["".join(text for text, _ in row) for row in plot.cells(lines, *spans, width, height)]


def test_a_line_is_drawn_from_corner_to_corner_without_a_gap() -> None:
    rising = plot.Line([(1, 1, 1), (8, 8, 8)])
    assert drawn(rising) == ["  ⡠⠊", "⡠⠊  "]
    assert "".join(drawn(plot.Line([(1, 5, 5)]))).strip(), "a single point is seen"


def test_what_hardly_changes_is_drawn_flat_and_not_as_its_rounding() -> None:
    spans = plot.spans([plot.Line([(1, 0.1, 0.1), (2, 0.1 + 1e-12, 0.1 + 1e-12)])])
    assert spans
    assert spans[1] == plot.Span(pytest.approx(0.09), pytest.approx(0.11))


def test_a_column_shows_the_lowest_and_the_highest_point_in_it() -> None:
    assert drawn(plot.Line([(0, 0, 8), (1, 4, 4)]), width=1)[0][0] != " "
    assert drawn(plot.Line([(0, 0, 8), (1, 0, 8)]), width=1) == ["⣿", "⣿"]


def test_lines_have_marks_and_owners_so_that_they_are_told_apart() -> None:
    low, high = plot.Line([(0, 0, 0), (40, 0, 0)], "●"), plot.Line([(0, 9, 9), (40, 9, 9)], "▲")
    rows = drawn(low, high, width=40, height=3)
    assert ("▲" in rows[0], "●" in rows[0], "●" in rows[-1]) == (True, False, True)
    spans = plot.spans([low, high])
    assert spans
    owners = {owner for row in plot.cells([low, high], *spans, 40, 3) for _, owner in row}
    assert owners == {-1, 0, 1}


@pytest.mark.parametrize(
    ("value", "span", "text"),
    [
        (0.5, 1.0, "0.50"),
        (2.0, 100.0, "2"),
        (0.00005, 2e-4, "0.00005"),
        (0.00005, 5e-5, "5.0e-5"),
        (1.9e-7, 0.5, "0.000"),
        (3e7, 1e7, "3.0e7"),
        (0, 0, "0.00"),
    ],
)
def test_numbers_of_an_axis(value: float, span: float, text: str) -> None:
    assert plot.number(value, span) == text


def step(number: int, id: int, loss: float) -> RunEvent:
    data = {"step": number, "steps": 9, "loss": loss, "learning_rate": 0.1, "grad_norm": 1.0, "seconds": 2.0}
    return RunEvent(id, 1, "step", data | {"tokens": 10, "metrics": {"kl": 0.1, "accuracy": 0.5}}, "")


def test_an_event_is_a_line_of_the_log_that_a_person_reads() -> None:
    lines = [words.logged(event.kind, event.data) for event in [step(1, 1, 2.34567)]]
    lines.append(words.logged("warning", {"message": "Little\nroom.", "free": 3}))
    assert words.logged("done", {"step": 6, "stopped": ""}) == "done       step 6"  # it was not
    assert lines == [
        "step       1 of 9 · loss 2.346 · learning rate 0.1 · grad norm 1 · seconds 2 · tokens 10"
        " · kl 0.1 · accuracy 0.5",
        "warning    Little room.",
    ]


def test_what_a_run_waits_for_is_said_until_its_turn_comes() -> None:
    facts = RunFacts()
    facts.add([RunEvent(1, 1, "note", {"message": "Queued behind a.", "behind": "a"}, "")])
    assert (facts.progress(running=True), facts.notes) == ("Queued behind a.", [])
    facts.add([RunEvent(2, 1, "loading", {"what": "builtin"}, "")])
    assert (facts.progress(running=True), facts.notes) == ("loading builtin", [])


def test_a_resumed_run_does_its_last_steps_again_and_they_are_drawn_once() -> None:
    facts = RunFacts()
    facts.add([step(number, number, 1.0) for number in (1, 2, 3)])
    facts.add([step(2, 4, 1.0), step(3, 5, 1.0), step(4, 6, 0.5)])
    assert [bucket.step for bucket in facts.curves["loss"].buckets] == [1, 2, 3, 4]
    assert facts.curves["loss"].buckets[-1].seconds == 8.0
    facts.add([step(4, 6, 9.0)])  # seen already
    assert facts.curves["loss"].last == 0.5


def test_the_most_telling_figures_come_first_and_those_of_the_machinery_last() -> None:
    facts = RunFacts()
    facts.add([step(1, 1, 1.0)])
    assert facts.figures == ["accuracy", "loss", "kl", "learning_rate", "grad_norm", "tokens_per_second"]
    assert facts.curves["tokens_per_second"].last == 5.0
