"""A disk that is full: nothing is called saved that is not, and it goes on when there is space again."""

import asyncio
from collections.abc import Callable
from typing import Any

import gate
from labelling import Page, expect, saved, sees
from served import Served, pairs

from tuner_app.store import batches, labels, new_uid, sharing


def label(task: dict[str, Any], verb: str, comment: str = "") -> dict[str, Any]:
    named = {key: task[key] for key in ("batch", "item", "shown")}
    return {
        "uid": new_uid(),
        "verb": verb,
        "value": {},
        "tags": [],
        "comment": comment,
        "undoes": None,
    } | named


def limit(page: gate.Gate, pages: int | None) -> None:
    """Let the database have so many pages more than it has; None: as many as it wants."""

    def set_to(store: Any) -> None:
        (now,) = store.db.execute("PRAGMA page_count").fetchone()
        store.db.execute(f"PRAGMA max_page_count={2**31 if pages is None else now + pages}")

    write = page.app.state.database.write(set_to)
    asyncio.run_coroutine_threadsafe(write, page.loop).result(10)


def test_what_is_acknowledged_is_there_and_the_rest_is_told(tmp_path: Any) -> None:
    with gate.gate(tmp_path) as page, page.client("ann") as ann:
        batch = batches.make(page.store, pairs(40), name="a", kind="pair", uid=new_uid())
        sharing.configure(page.store, batch.id, shared=True)
        tasks = ann.get("/api/work?person=ann&count=40").json()["items"]
        limit(page, 6)
        sent, statuses = [], []
        for task in tasks:
            sent.append({"person": "ann", "labels": [label(task, "tie", "x" * 2_000)]})
            answer = ann.post("/api/labels", json=sent[-1])
            statuses.append(answer.status_code)
            (standing,) = labels.standing(page.store, task["item"]) or [None]
            assert bool(standing) == (answer.status_code == 200), "saved is what is there, and nothing else"
            if answer.status_code != 200:
                told = answer.json()
                assert "the disk is full" in told["error"]
                assert "not saved" in told["kept"]
                assert str(tmp_path) not in answer.text
                assert int(answer.headers["retry-after"]) >= 1
        assert set(statuses) == {200, 507}
        limit(page, None)
        again = [ann.post("/api/labels", json=one).json()["results"][0]["state"] for one in sent]
        assert again == ["saved"] * 40
        assert labels.counts(page.store, "ann") == {"tie": 40}


def test_the_page_says_so_and_goes_on(join: Callable[..., Page], served: Served, name: str) -> None:
    page = join(name)
    page.keyboard.press("1")
    sees(page, "Question 1")
    saved(page)
    page.wait_for_load_state("networkidle")
    served.room(1)
    for n in range(1, 4):
        sees(page, f"Question {n}")
        page.keyboard.press("2")
    expect(page.locator("#state")).to_have_text(
        "Not saved: 3 · the server's disk is full; kept here, tried again"
    )
    page.reload()
    expect(page.locator("#state")).to_contain_text("Not saved: 3 · the server's disk is full")
    assert served.verbs(name) == ["choose"]
    served.room()
    sees(page, "Question 4")
    expect(page.locator("#state")).to_have_text("Saved", timeout=40_000)
    assert served.verbs(name) == ["choose"] * 4
