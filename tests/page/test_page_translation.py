"""What the program says reaches a Chinese browser in Chinese: every error, and what is said of runs."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import engine
import tuner_app
from engine.findings import Findings, Run, Step
from tuner_app import agreement, launch, report, run_facts
from tuner_app.formats import FORMATS
from tuner_app.page import answering, translation
from tuner_app.page.studio import new_run
from tuner_app.page.translation import translate, translate_error, translated
from tuner_app.prospects import Prospect
from tuner_app.store.rows import Summary

# Whose errors are for a terminal alone.
ELSEWHERE = (
    *(
        "tui/",
        "demo/",
        "cli/",
        "console.py",
        "doctor.py",
        "library.py",
        "machines.py",
        "roster.py",
        "talk.py",
    ),
    *("transfer.py", "page/serve.py", "store/table.py", "store/table_rows.py", "workers/helper.py"),
    *("workers/helpers.py", "workers/merge.py", "workers/seat.py"),
    *("engine/bench.py", "engine/export.py", "engine/merging.py", "engine/processes.py", "engine/shards.py"),
)
STANDS_FOR = ("7", "of at least 7", "cannot be reached")  # what may stand in a place of a sentence
PLACE = "\ufffc"


def sentences(node: ast.expr) -> list[str]:
    """What a text in the source can be, with a mark in the places of what is only known later."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            found = [""]
            for part in parts:
                ends = sentences(part) if isinstance(part, ast.Constant) else [PLACE]
                found = [start + end for start in found for end in ends]
            return found
        case ast.IfExp(body=one, orelse=other):
            return sentences(one) + sentences(other)
        case ast.BinOp(op=ast.Add(), left=one, right=other):
            return [start + end for start in sentences(one) for end in sentences(other)]
    return []


def errors() -> Iterator[tuple[str, str]]:
    """Where a UserError is made, and each sentence of it."""
    for package in (engine, tuner_app):
        top = Path(package.__file__ or "").parent
        for file in sorted(top.rglob("*.py")):
            name = str(file.relative_to(top.parent))
            if name.removeprefix("tuner_app/").startswith(ELSEWHERE):
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id == "UserError"
                ):
                    for given in (*node.args, *(word.value for word in node.keywords)):
                        yield from ((f"{name}:{node.lineno}", text) for text in sentences(given))


def is_known(text: str) -> bool:
    """Whether it has a translation, or nothing to translate."""
    if not re.search(r"[A-Za-z]{2}", text):
        return True
    *places, last = text.rsplit(PLACE, 1)
    said = (f"{places[0]}{one}{last}" if places else last for one in STANDS_FOR)
    return any(translated(one.replace(PLACE, "7"), "zh") is not None for one in said)


def test_every_error_that_can_reach_the_page_has_a_translation() -> None:
    found = list(errors())
    assert len(found) > 400
    assert (
        sorted(
            {f"{where}: {line}" for where, text in found for line in text.split("\n") if not is_known(line)}
        )
        == []
    )


FOUND = Findings(
    method="kto",
    plan={"device": "cpu", "trainable": 2_800_000, "parameters": 17_000_000, "precision": "nf4"},
    attention={"kernel": "flash", "layout": "tree"},
    data={
        "used": 12,
        "rows": 15,
        "trained_tokens": 345,
        "max_length": 64,
        "classes": {"good": 2, "bad": 3, "chosen longer": 1, "rejected longer": 1, "equally long": 1},
        **dict.fromkeys(("too_long", "no_label", "no_end", "repeated", "contradictory"), 1),
    },
    warnings=["All 5 replies are good: KTO learns more from both kinds."],
    template="The run's chat template is not the model's own, but one given for this base: "
    "every prompt reads the same.",
    step=Step(rows=2, tokens=40, seconds=0.5, memory=10**9),
    run=Run(
        steps=3,
        tokens=1200,
        seconds=130.0,
        memory=10**9,
        available=10**9,
        reference_rows=4,
        reference_seconds=2,
    ),
    titles=[],
    rows=[],
)


def said_of_runs() -> list[str]:
    """What the studio shows of runs, checks, data and forms, as the program says it."""
    facts = run_facts.RunFacts(data=FOUND.data, doing="loading base")
    facts.held_out = {"accuracy": 0.9, "pairs": 50, "what": "held-out pairs", "low": 0.8, "high": 0.95}
    metrics = {"accuracy": 0.75, "margin": 0.3, "kl": 0.1, "reward_chosen": 1, "reward_rejected": -1}
    facts._take_step(
        {
            "step": 3,
            "steps": 40,
            "loss": 1.5,
            "seconds": 9,
            "tokens": 512,
            "learning_rate": 1e-4,
            "grad_norm": 2,
        }
        | {"metrics": metrics}
    )
    summary = Summary(examples=12, from_labels=4, from_imports=8, repeated=2, contradictory=1, good=5)
    return [
        *new_run.texts(),
        *run_facts.STATUS.values(),
        *launch.WHERE_FROM.values(),
        *(str(Prospect(kind, summary, 70)) for kind in launch.WHERE_FROM),
        *report.lines(FOUND),
        report.LEGEND,
        facts.progress(running=True),
        *facts.lines,
        *(name.replace("_", " ") for name in facts.figures),
        *(answering.WRITES, answering.ENOUGH, answering.TURN),
        *(agreement._ALONE, agreement._NOBODY, agreement._APART, agreement._SAME),
        *(
            form.description
            for form in FORMATS.values()
            if re.search(r"[a-z] (or|and|of) [a-z]", form.description)
        ),
    ]


def test_what_is_said_of_runs_has_a_translation() -> None:
    texts = said_of_runs()
    assert len(texts) > 100
    assert [text for text in texts if translated(text, "zh") is None] == []


def test_a_translation_says_the_same_values_and_leaves_names_as_they_are() -> None:
    sentences = json.loads(Path(translation.__file__).with_name("translation.zh.json").read_text("utf-8"))
    invented = [
        english
        for english, theirs in sentences.items()
        if not set(re.findall(r"\{([a-z]\w*)\}", theirs)) <= set(re.findall(r"\{([a-z]\w*)\}", english))
    ]
    assert invented == []
    assert translate("There is no run “reward”.\nChoose one of the list.", "zh") == (
        "没有名为“reward”的训练。\n请从列表中选择。"
    )
    assert translate("step 3 of 40 · loss 1.5000", "zh") == "第 3 步，共 40 步 · 损失 1.5000"
    assert translate("x is a list, not text", "zh") == "x 是列表，不是文本"
    assert translate("There is no run “a”.", "en") == "There is no run “a”."


def test_what_has_no_translation_comes_after_a_line_that_says_what_to_do() -> None:
    what, told, do = translate_error("The moon fell.\nReload it.", "zh").split("\n")
    assert (what, told, do) == (translation.LEAD["zh"], "The moon fell.", "请重新加载。")
    assert translate_error("The moon fell.", "en") == "The moon fell."


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de-DE, zh;q=0.7", "en"), ("", "en"), ("ZH", "zh")],
)
def test_the_language_is_the_first_that_a_browser_asks_for(accepted: str, language: str) -> None:
    assert translation.language_of(accepted) == language


def test_a_hostile_line_takes_no_time() -> None:
    assert translated("“a” is " * 5_000, "zh") is None
    assert translated("“a” is , not a list; · " * 80, "zh") is None
