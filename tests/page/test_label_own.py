"""Each annotator has their own items, labels and history: nobody sees or changes another's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gate
import httpx
import pytest
from served import pairs

from tuner_app.store import batches, labels, new_uid, sharing


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gate.Gate]:
    folder: Path = tmp_path_factory.mktemp("own")
    with gate.gate(folder) as served:
        batch = batches.make(served.store, pairs(30), name="a", kind="pair", uid=new_uid())
        sharing.configure(served.store, batch.id, shared=True)
        yield served


@pytest.fixture
def ann(page: gate.Gate) -> Iterator[httpx.Client]:
    with page.client("ann") as client:
        yield client


@pytest.fixture
def beas(page: gate.Gate) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """A label that bea has given, and one that she has not given yet."""
    with page.client("bea") as bea:
        done, next_one, *_ = bea.get("/api/work?person=bea&count=8").json()["items"]
        given = label(done)
        assert send(bea, "bea", given) == "saved"
        yield given, label(next_one)


def label(task: dict[str, Any], verb: str = "tie", **rest: Any) -> dict[str, Any]:
    named = {key: task[key] for key in ("batch", "item", "shown")}
    given = {"uid": new_uid(), "verb": verb, "value": {}, "tags": [], "comment": "", "undoes": None}
    return given | named | rest


def send(client: httpx.Client, person: str, given: dict[str, Any]) -> str:
    answer = client.post("/api/labels", json={"person": person, "labels": [given]})
    return str(answer.json()["results"][0]["state"]) if answer.is_success else str(answer.status_code)


def test_nobody_asks_or_labels_in_anothers_name(page: gate.Gate, ann: httpx.Client, beas: Any) -> None:
    before = labels.counts(page.store, "bea")
    assert ann.get("/api/work?person=bea&count=3").status_code == 409
    assert ann.get("/api/history?person=bea").status_code == 409
    assert send(ann, "bea", beas[1]) == "409"
    assert labels.counts(page.store, "bea") == before


def test_a_label_is_of_who_is_joined(page: gate.Gate, ann: httpx.Client) -> None:
    task = ann.get("/api/work?person=ann&count=1").json()["items"][0]
    assert send(ann, "ann", label(task)) == "saved"
    assert [event.person for event in labels.standing(page.store, task["item"])] == ["ann"]


def test_another_persons_items_labels_and_uids_are_not_to_be_had(
    page: gate.Gate, ann: httpx.Client, beas: Any
) -> None:
    given, to_come = beas
    undo = label(given, "undo", shown=[], undoes=given["uid"])
    for wrong in (given, given | {"uid": new_uid()}, to_come, undo):
        assert send(ann, "ann", wrong) == "refused"
    (standing,) = labels.standing(page.store, given["item"])
    assert (standing.uid, standing.person) == (given["uid"], "bea")
    assert labels.standing(page.store, to_come["item"]) == []
    mine = ann.get("/api/work?person=ann&count=30").json()["items"]
    assert not {given["item"], to_come["item"]} & {task["item"] for task in mine}
    past = ann.get("/api/history?person=ann").json()["labels"]
    assert given["uid"] not in [one["label"]["uid"] for one in past]


def test_what_is_known_of_the_others_is_nothing(ann: httpx.Client, beas: Any) -> None:
    for path in ("/api/me", "/api/work?person=ann&count=30", "/api/history?person=ann"):
        assert '"bea"' not in ann.get(path).text, path
