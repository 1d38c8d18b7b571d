"""What a check finds before a run, and that it leaves nothing."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import killing
import pytest
import tiny
import torch
from small_run import OPTIONS, Cache, Reports, rows_for, run
from test_processes import PROCESSES, together

from engine import check, checkpoints, losses, models, reference, usage
from engine.batches import Branch, Tree
from engine.census import classes, contradictory
from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair, Rated
from engine.findings import Findings, Step
from engine.processes import Place, meet
from engine.spec import Spec

FEW = {"micro_tokens": 60}  # two rows or three in a micro-batch
ASKED = (Message("user", "the quick brown fox"),)


def checked(
    model: Path, method: str, rows: list[Example] | None = None, cache: Any = None, **spec: Any
) -> Findings:
    options = OPTIONS | spec.pop("options", {})
    found = check.check(
        Spec(method=method, base=str(model), options=options, **spec),
        rows_for(method) if rows is None else rows,
        emit=Reports(),
        reference_cache=cache,
    )
    assert Findings.from_json(found.to_json()) == found
    return found


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_a_check_foretells_the_run(method: str, model: Path, tmp_path: Path) -> None:
    found, reports = checked(model, method), Reports()
    run(tmp_path, model, method, reports=reports)
    assert found.data == reports.of("data")[0]
    assert found.run.steps == len(reports.of("step")) == 6
    for name in ("trainable", "parameters", "precision", "device"):
        assert found.plan[name] == reports.of("plan")[0][name]
    assert found.run.tokens >= sum(step["tokens"] for step in reports.of("step"))
    assert found.run.reference_rows == (0 if method == "sft" else 12)
    assert (found.run.reference_seconds > 0) == (method != "sft")
    assert found.step.seconds > 0
    assert found.run.memory < found.run.available
    assert found.warnings == []
    assert found.template == ""


def one_of_two(number: int, meeting: Path, _: Path, model: Path, method: str, spec: Any, *__: Any) -> None:
    """A child: one of the processes of a check; writes what it found."""
    meet(Place(number, PROCESSES, number, PROCESSES, f"file://{meeting}"))
    asked = Spec(method=method, base=str(model), options=OPTIONS | FEW)
    found = check.check(asked, rows_for(method), emit=Reports(), **spec)
    meeting.with_name(f"{meeting.name}-{number}.json").write_text(json.dumps(found.to_json()))


@pytest.mark.parametrize(("method", "sharded"), [("dpo", False), ("sft", True)])
def test_of_several_processes_each_has_a_micro_batch(
    method: str, sharded: bool, model: Path, tmp_path: Path
) -> None:
    killing.start_server()
    alone = checked(model, method, options=FEW)
    codes, wrote = together((tmp_path, tmp_path), model, method, child=one_of_two, sharded=sharded)
    assert codes == [0, 0]
    for found in (Findings.from_json(json.loads(text)) for text in wrote):
        assert found.step.processes == 2
        assert found.step.rows > alone.step.rows
        assert (found.run.steps, found.run.tokens) == (alone.run.steps, alone.run.tokens)
        assert found.data == alone.data


def test_processes_share_a_machine_s_memory_and_each_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    other = (100, 10, 40, 50)  # peak, taken, held, free
    monkeypatch.setattr(usage, "gather_object", lambda own: [(110, 20, 80, 40), other])
    monkeypatch.setattr(usage, "_held", lambda device: 80)
    monkeypatch.setattr(usage, "available", lambda device: 120)
    gauge = usage.Gauge(torch.device("cpu"))
    assert gauge.of_all() == usage.Used(peak=210, taken=30, available=160)
    monkeypatch.setattr(gauge, "device", torch.device("cuda"))
    monkeypatch.setattr(gauge, "peak", lambda: 110)
    assert gauge.of_all() == usage.Used(peak=100, taken=10, available=90)


def test_reference_log_probs_that_are_known_are_not_counted(model: Path, tmp_path: Path) -> None:
    cache = Cache()
    run(tmp_path, model, "dpo", rows=rows_for("dpo")[:9], cache=cache)
    puts = cache.puts
    found = checked(model, "dpo", cache=cache)
    assert found.run.reference_rows == 3
    assert cache.puts == puts, "a check leaves no trace"


def test_kto_s_mismatched_replies_of_every_epoch_are_counted(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reference pass is foretold by what it will compute, at a second a token here."""
    monkeypatch.setattr(check.Rehearsal, "_reference_seconds", lambda rehearsal: rehearsal.rehearsed[1])
    computed: list[int] = []
    real = reference.branch_log_probs

    def counted(causal_lm: Any, batch: Any) -> Any:
        computed.append(int((batch.ids != 0).sum()))
        return real(causal_lm, batch)

    monkeypatch.setattr(reference, "branch_log_probs", counted)
    cache = Cache()
    options = {"epochs": 3, "micro_tokens": 10**6}
    found = checked(model, "kto", options=options)
    computed.clear()
    run(tmp_path, model, "kto", cache=cache, options=options)
    assert found.run.reference_rows == 12
    assert found.run.reference_seconds == sum(computed) > 0
    assert checked(model, "kto", options=options, cache=cache).run.reference_rows == 0


def test_a_check_leaves_no_file(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> None:
        raise AssertionError("a checkpoint takes room on the disk, and time")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(checkpoints, "save", save)
    checked(model, "dpo", options={"save_every": 1})
    assert list(tmp_path.iterdir()) == []


def test_every_token_of_a_conversation_is_shown_with_whether_it_is_trained_on(model: Path) -> None:
    turns = [("user", "Hello!"), ("assistant", "Grüße 🙂"), ("user", "a\x1b[31m"), ("assistant", "日本")]
    row = Demonstration(tuple(Message(role, text) for role, text in turns))  # type: ignore[arg-type]
    found = checked(model, "sft", [row, row])
    (part,) = found.rows[0]
    assert part.name == "conversation"
    assert "".join(text for text, _ in part.pieces) == (
        "<s><|user|>Hello!<|end|><|assistant|>Grüße 🙂<|end|><|user|>a\x1b[31m<|end|><|assistant|>日本<|end|>"
    )
    trained = "".join(text for text, on in part.pieces if on)
    assert trained == "Grüße 🙂<|end|>日本<|end|>"
    assert len(found.rows) == 2
    (last,) = checked(model, "sft", [row, row], options={"last_turn_only": True}).rows[0]
    assert "".join(text for text, on in last.pieces if on) == "日本<|end|>"


def test_the_longest_row_and_those_left_out_are_shown_with_the_reason(model: Path) -> None:
    row, long = (
        Demonstration((Message("user", "Hello!"), Message("assistant", "the quick brown fox " * times)))
        for times in (1, 9)
    )
    rows = [*[row] * 14, long]
    titles = checked(model, "sft", rows).titles
    assert len(titles) == 13
    assert titles[0].startswith("row 1, ")
    assert titles[-1].startswith("row 15, ")
    assert titles[-1].endswith(" tokens, the longest")
    tokens = int(titles[-1].split()[2])
    assert checked(model, "sft", rows, options={"max_length": tokens - 1}).titles[-1] == (
        f"a row that is left out: {tokens} tokens, and max_length is {tokens - 1}"
    )


def test_a_pair_is_shown_as_prompt_chosen_and_rejected(model: Path) -> None:
    rows: list[Example] = [Pair(ASKED, "jumps", "a lazy dog"), Pair(ASKED, "yellow", "lemons")]
    prompt, chosen, rejected = checked(model, "dpo", rows).rows[0]
    assert (prompt.name, chosen.name, rejected.name) == ("prompt", "chosen", "rejected")
    assert not any(on for _, on in prompt.pieces)
    assert "".join(text for text, _ in prompt.pieces) == "<s><|user|>the quick brown fox<|end|><|assistant|>"
    assert "".join(text for text, on in chosen.pieces if on) == "jumps<|end|>"
    assert "".join(text for text, on in rejected.pieces if on) == "a lazy dog<|end|>"


def test_rows_are_counted_by_what_is_wrong_with_them(model: Path) -> None:
    rows: list[Example] = [
        Pair(ASKED, "jumps", "a lazy dog"),
        Pair(ASKED, "a lazy dog", "jumps"),
        Pair(ASKED, "fox", "dog"),
        Pair(ASKED, "fox", "dog"),
        Pair(ASKED, "lemon " * 200, "dog"),
    ]
    data = checked(model, "dpo", rows).data
    counts = ("rows", "used", "too_long", "no_label", "no_end", "repeated", "contradictory")
    assert [data[name] for name in counts] == [5, 4, 1, 0, 0, 1, 2]
    assert data["classes"] == {"chosen longer": 1, "equally long": 2, "rejected longer": 1}


def test_replies_without_an_end_are_counted(tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "endless")
    for name in ("tokenizer_config.json", "generation_config.json", "config.json"):
        text = (folder / name).read_text()
        tiny.break_config(folder, eos_token_id=None) if name == "config.json" else None
        if name == "tokenizer_config.json":
            (folder / name).write_text(text.replace('"eos_token": "<|end|>",', ""))
        if name == "generation_config.json":
            (folder / name).write_text("{}")
    assert checked(folder, "sft").data["no_end"] == 12


def test_contradictions_and_classes() -> None:
    good, bad = Rated(ASKED, "jumps", True), Rated(ASKED, "jumps", False)
    other = Rated((Message("user", "else"),), "jumps", False)
    assert contradictory([good, bad, other]) == 2
    assert contradictory([good, good, other]) == 0
    assert classes([good, bad, other]) == {"bad": 2, "good": 1}
    assert classes([good]) == {"bad": 0, "good": 1}, "that there is one kind alone is told"
    assert classes(rows_for("sft")) == {}


def test_a_template_that_chat_does_not_use_is_told(model: Path) -> None:
    text = tiny.TEMPLATE.replace("<|{{ message.role }}|>", "{{ message.role }}:")
    found = checked(model, "sft", template=text)
    assert "not the model's own" in found.template
    assert "12 of 12 prompts read otherwise" in found.template
    only_marks = tiny.TEMPLATE.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    assert "every prompt reads the same" in checked(model, "sft", template=only_marks).template


def test_a_lack_of_memory_shows_before_the_run(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = losses.dpo

    def tight(**tensors: Any) -> Any:
        if len(tensors["chosen"]) > 1:
            raise MemoryError
        return real(**tensors)

    monkeypatch.setattr(losses, "dpo", tight)
    (told,) = set(checked(model, "dpo").warnings)
    assert "Memory ran out: from now on" in told

    def full(**_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(losses, "dpo", full)
    with pytest.raises(UserError, match="Memory ran out") as caught:
        checked(model, "dpo")
    assert caught.value.kept == "Nothing was started."
    assert "nf4" in caught.value.do


def test_the_longest_rows_are_rehearsed() -> None:
    class Job:
        room = type("Room", (), {"micro_tokens": 20})
        spec = type("Spec", (), {"method": "sft"})
        options = type("Options", (), {"batch_size": 3})
        examples: tuple[Example, ...] = tuple(Rated(ASKED, "x", i != 0) for i in range(5))

        def row_tokens(self, tree: Tree) -> int:
            return tree.length

    trees = [Tree([1], [Branch.reply([1] * size)]) for size in (1, 4, 9, 5, 9)]
    job: Any = Job()
    assert check.longest(job, trees) == [2, 4, 0], "and a reply of the other kind, which KTO needs"
    job.room.micro_tokens = 5
    assert check.longest(job, trees)[:2] == [2, 4], "two at least"
    job.room.micro_tokens, job.options.batch_size = 20, 4
    assert check.longest(job, trees) == [2, 4, 0]
    job.spec.method = "kto"
    assert check.longest(job, trees) == [2, 4, 3, 1, 0], "as many micro-batches as are held at once"
    job.options.batch_size = 3
    job.room.micro_tokens = 1000
    assert check.longest(job, trees)[:3] == [2, 4, 3], "no more than an optimiser's batch has"


def test_the_estimate_is_in_proportion_to_padded_tokens() -> None:
    step = Step(rows=2, tokens=100, seconds=2.0, memory=5)
    lengths = [50, 50, 10, 30]
    order = [[0, 2], [1, 3], [3, 0], [1, 2]]
    run = check.estimate(
        step,
        order=order,
        passes=1,
        lengths=lengths,
        budget=64,
        reference_rows=2,
        reference_seconds=0.4,
        ahead=1.0,
        memory=7,
        available=9,
    )
    # one row each but for none: 50 + 10, 50 + 30, 30 + 50, 50 + 10
    assert run.tokens == 280
    assert run.seconds == pytest.approx(2.0 * 2.8 + 0.4 + 1.0)
    assert (run.steps, run.reference_rows, run.memory, run.available) == (4, 2, 7, 9)
    assert check.padded([0, 1, 2, 3], lengths, budget=100) == 2 * 50 + 30 + 10


MEASURED = """
import gc, torch
from engine import usage
def block(): return torch.ones(64 * 2**20, dtype=torch.uint8)
gc.disable()
loop = [block()]
loop.append(loop)
del loop
gauge = usage.Gauge(torch.device("cpu"))
gc.collect()
block()
print(gauge.taken(), usage.Gauge(torch.device("cpu")).taken())
"""


def test_memory_that_was_taken_is_seen() -> None:
    """In a process of its own, where nothing but garbage that waits is given back meanwhile."""
    shown = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    taken, later = map(int, shown.stdout.split())
    assert 50 * 2**20 < taken < 80 * 2**20
    assert later < 20 * 2**20, "an earlier peak is not a later one's"


def test_a_run_that_could_not_start_is_refused_by_the_check(model: Path) -> None:
    with pytest.raises(UserError, match="Too few rows") as caught:
        checked(model, "sft", options={"max_length": 2})
    assert caught.value.kept == "Nothing was started."
    with pytest.raises(UserError, match="no model folder"):
        check.check(replace(Spec("sft", str(model / "nowhere"))), [], emit=Reports())
    assert models.load(str(model)).context == 128


@pytest.mark.parametrize(("longest", "says"), [(3, "Raise max_length"), (0, "reads no more")])
def test_what_would_help_against_rows_that_are_too_long(longest: int, says: str, model: Path) -> None:
    rows: list[Example] = [
        Demonstration((Message("user", "lemon " * 200), Message("assistant", "No."))) for _ in range(2)
    ]
    with pytest.raises(UserError, match="2 longer than") as caught:
        checked(model, "sft", rows=rows, options={"max_length": longest})
    assert says in caught.value.do
