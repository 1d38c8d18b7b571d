"""Nothing that a browser gets tells gold from the rest: with gold and without, an annotator sees the same."""

import random
from pathlib import Path
from typing import Any

import gate
import httpx
import pytest
from served import pairs

from tuner_app.store import Store, batches, gold, new_uid, people, sharing


class Eyes:
    """An annotator who writes down all that the server answers; an item is known by when it came first."""

    def __init__(self, page: gate.Gate, name: str, client: httpx.Client) -> None:
        self.page, self.name, self.client = page, name, client
        self.seen: list[str] = []  # items, in the order in which they came
        self.here: list[dict[str, Any]] = []
        self.given: list[dict[str, Any]] = []
        self.notes: list[object] = []

    def work(self, count: int) -> None:
        have = ",".join(task["item"][:12] for task in self.here)
        found = self.client.get(f"/api/work?person={self.name}&count={count}&have={have}").json()
        self.here += found["items"]
        self.notes.append(self.blurred(found))

    def label(self, verb: str) -> None:
        if self.here:
            task = self.here.pop(0)
            label = {"uid": new_uid(), "verb": verb, "value": {}, "tags": [], "comment": "", "undoes": None}
            self.send(label | {key: task[key] for key in ("batch", "item", "shown")})
            self.given.append({"task": task, "uid": self.last["uid"]})

    def undo(self) -> None:
        if self.given:
            last = self.given.pop()
            undo = {"uid": new_uid(), "verb": "undo", "value": {}, "tags": [], "comment": "", "shown": []}
            named = {key: last["task"][key] for key in ("batch", "item")}
            self.send(undo | named | {"undoes": last["uid"]})
            self.here.insert(0, last["task"])

    def send(self, label: dict[str, Any]) -> None:
        self.last = label
        found = self.client.post("/api/labels", json={"person": self.name, "labels": [label]}).json()
        self.notes.append([(one["state"], one["why"]) for one in found["results"]])

    def look_back(self) -> None:
        self.notes.append(self.blurred(self.client.get(f"/api/history?person={self.name}").json()))

    def lapse(self) -> None:
        """Be away for longer than a lease lives."""
        person = people.get(self.page.store, self.name).id
        with self.page.store.write():
            self.page.store.execute(
                "UPDATE leases SET expires = '2020' WHERE person_id = ? AND lives", (person,)
            )
        self.here.clear()

    def blurred(self, found: Any, key: str = "") -> Any:
        """An answer without what differs between any two batches: texts, and which item it is."""
        if isinstance(found, dict):
            keys = {"N" if part.isdecimal() else part: value for part, value in found.items()}
            return {part: self.blurred(value, part) for part, value in keys.items()}
        if isinstance(found, list):
            return [self.blurred(part, key) for part in found]
        if key == "item":
            if found not in self.seen:
                self.seen.append(found)
            return self.seen.index(found)
        if key == "expires_in":
            return round(found / 60)
        return found if isinstance(found, int) and key not in ("batch", "id", "shown") else type(found)


def share(store: Store, name: str, person: str, size: int, **how: Any) -> int:
    made = batches.make(store, pairs(size), name=name, kind="pair", uid=new_uid())
    return sharing.configure(store, made.id, shared=True, people=[person], **how).id


@pytest.mark.parametrize("rate", [0.1, 0.35, 1.0])
def test_a_batch_with_gold_looks_like_one_without(tmp_path: Path, rate: float) -> None:
    with gate.gate(tmp_path) as page, page.client("ann") as ann, page.client("bea") as bea:
        mixed = share(page.store, "mixed", "ann", 60, gold_rate=rate)
        known = range(40, 60) if rate < 1 else range(20)
        for position in known:
            gold.set_answer(page.store, mixed, position, "tie")
        (offer,) = sharing.offers(page.store, "ann")
        share(page.store, "plain", "bea", offer.total)
        with_gold, without = Eyes(page, "ann", ann), Eyes(page, "bea", bea)
        chance = random.Random(rate)
        for _ in range(120):
            act = chance.choices(("work", "tie", "skip", "undo", "look_back", "lapse"), (6, 9, 2, 2, 1, 1))[0]
            count = chance.randint(1, 12)
            for eyes in (with_gold, without):
                match act:
                    case "work":
                        eyes.work(count)
                    case "tie" | "skip":
                        eyes.label(act)
                    case _:
                        getattr(eyes, act)()
            assert with_gold.notes[-1:] == without.notes[-1:]
        assert with_gold.notes == without.notes
        rows = page.store.query(
            "SELECT hash FROM items i JOIN slots s ON s.item_id = i.id WHERE gold_verb IS NOT NULL"
        )
        golden = {row["hash"] for row in rows}
        came = [item in golden for item in with_gold.seen]
        assert sum(came) >= 2, "there was some"
        assert rate == 1 or not all(came[: len(golden)])
