"""Reference log-probs are computed for what is new and for nothing else, through the store's side file."""

import random
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
import tiny

from engine import job, reference
from engine.batches import Batch
from engine.examples import Message, Pair
from engine.spec import Event, Spec
from tuner_app.store.reference import ReferenceFile


def pairs(numbers: range) -> list[Pair]:
    return [Pair((Message("user", f"{i}?"),), f"yes {i}", f"no {-i}") for i in numbers]


@pytest.mark.slow
def test_fifty_more_labels_on_two_thousand_pairs_cost_fifty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.save_model(tmp_path / "model", layers=1)
    computed: list[int] = []
    honest = reference.branch_log_probs

    def counted(causal_lm: object, batch: Batch) -> object:
        computed.append(batch.branches)
        return honest(causal_lm, batch)

    monkeypatch.setattr(reference, "branch_log_probs", counted)

    def train(name: str, rows: list[Pair], epochs: int = 1, beta: float = 0.1) -> list[dict[str, object]]:
        """One run, in a process of its own as far as the file knows; stopped before its first step."""
        computed.clear()
        events: list[Event] = []

        def once_computed() -> Literal["", "stop"]:
            last = [event.data for event in events if event.kind == "reference"][-1:]
            return "stop" if any(data["done"] == data["total"] for data in last) else ""

        spec = Spec("dpo", str(model), options={"micro_tokens": 4096, "epochs": epochs, "beta": beta})
        with closing(ReferenceFile(tmp_path / "reference.db")) as file:
            job.run(
                spec,
                rows,
                tmp_path / name,
                emit=events.append,
                should_stop=once_computed,
                reference_cache=file,
            )
        return [event.data for event in events if event.kind == "reference"]

    first = train("first", pairs(range(2000)))
    assert sum(computed) == 4000
    assert (first[0]["cached"], first[-1]["done"]) == (0, 2000)
    more = pairs(range(2050))
    random.Random(0).shuffle(more)  # found by what they are, not by where they stand
    second = train("second", more)
    assert sum(computed) == 100
    assert (second[0]["cached"], second[-1]["done"], second[-1]["total"]) == (2000, 2050, 2050)
    train("third", more, epochs=2, beta=0.5)
    assert computed == []
