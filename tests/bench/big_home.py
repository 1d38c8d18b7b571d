"""A home whose database holds very many labels, as labelling would have left it, made by bulk inserts.

    python tests/bench/big_home.py FOLDER [--labels 1000000]

A home of that size that is in FOLDER already is used again. Every second label is a thumb on one reply,
every fourth a choice between two, the rest are ties and skips: a million labels feed 1,250,000 examples.
Of a hundred labels one took the place of an earlier one. To a thousand labels there is a conversation.
"""

import argparse
import hashlib
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from engine.examples import Example, Message, Pair, Rated, canonical, digest, kind_of, to_json
from tuner_app.paths import Home
from tuner_app.store import Store, chats, people
from tuner_app.store.keys import judged, prompt_key

BATCH = 10_000
START = datetime(2025, 1, 1, tzinfo=UTC)
SUBJECTS = ("cow", "river", "clock", "window", "poem", "train", "number", "garden", "letter", "storm")
VERBS = ("like", "need", "fear", "know", "find", "hear", "draw", "paint", "count", "lose")
WORDS = ("the", "a", "of", "and", "to", "in", "it", "is", "that", "was", "for", "on", "are", "with")


def make(folder: Path, labels: int) -> Home:
    """The home in `folder` with this many labels, made where it is not there yet."""
    home = Home(folder)
    done = folder / f"{labels}-labels"
    if done.exists():
        Store.open(home.database, migrate=True).close()  # it may be of an earlier version
        return home
    if home.database.exists():
        raise SystemExit(f"{folder} holds another home: give an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    store = Store.open(home.database, migrate=True)
    try:
        store.db.execute("PRAGMA synchronous=OFF")
        store.db.execute("PRAGMA cache_size=-1000000")  # hashes come in no order: the indexes stay in memory
        fill(store, labels)
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        store.close()
    done.touch()
    return home


def fill(store: Store, labels: int) -> None:
    """Put `labels` labels with their items and examples into an empty store."""
    person = people.me(store).id
    random_words = random.Random(0)
    for first in range(1, labels + 1, BATCH):
        given = [_judged(n, random_words) for n in range(first, min(first + BATCH, labels + 1))]
        with store.write():
            _insert(store, person, given)
    for number in range(labels // 1000):
        _converse(store, number)


def _judged(number: int, words: random.Random) -> dict[str, Any]:
    """One item, the label on it and what that feeds."""
    subject, verb = SUBJECTS[number % 10], VERBS[number // 10 % 10]
    prompt = (Message("user", f"Question {number}: what does a {subject} {verb}?"),)
    count = 1 if number % 2 else 2
    replies = [" ".join(words.choices(WORDS, k=words.randint(8, 40))) + f" {number}." for _ in range(count)]
    body = {
        "kind": "single" if count == 1 else "pair",
        "prompt": [{"role": "user", "content": prompt[0].content}],
        "replies": [{"content": reply, "model": "builtin", "adapter": ""} for reply in replies],
    }
    fed: list[Example] = []
    value: dict[str, int] = {}
    if count == 1:
        label = "bad" if number % 3 else "good"
        fed = [Rated(prompt, replies[0], label == "good")]
    elif number % 4 == 0:
        label, better = "choose", number // 4 % 2
        value = {"reply": better}
        chosen, rejected = replies[better], replies[1 - better]
        fed = [Pair(prompt, chosen, rejected), Rated(prompt, chosen, True), Rated(prompt, rejected, False)]
    else:
        label = "skip" if number % 5 else "tie"
    created = (START + timedelta(seconds=5 * number)).isoformat(timespec="microseconds")
    return {"number": number, "body": body, "verb": label, "value": value, "fed": fed, "created": created}


def _insert(store: Store, person: int, given: list[dict[str, Any]]) -> None:
    store.execute_many(
        "INSERT INTO items (id, hash, kind, body, created) VALUES (?, ?, ?, ?, ?)",
        [
            (j["number"], digest(j["body"]), j["body"]["kind"], canonical(j["body"]), j["created"])
            for j in given
        ],
    )
    events = [
        (2 * j["number"], UUID(int=j["number"]).hex, j["number"], j["verb"], canonical(j["value"]), j)
        for j in given
    ]
    insert = (
        "INSERT INTO label_events (id, uid, item_id, person_id, verb, value, shown, undoes, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)"
    )
    store.execute_many(
        insert,
        [
            (id, uid, item, person, verb, value, "[0]" if item % 2 else "[1,0]", j["created"])
            for id, uid, item, verb, value, j in events
        ],
    )
    store.execute_many(  # what was said first, and then another thing
        insert,
        [
            (id - 1, UUID(int=item + (1 << 64)).hex, item, person, "skip", "{}", "[]", START.isoformat())
            for id, _, item, _, _, _ in events
            if item % 100 == 0
        ],
    )
    store.execute_many(
        "INSERT INTO heads (person_id, item_id, event_id, verb) VALUES (?, ?, ?, ?)",
        [(person, item, id, verb) for id, _, item, verb, _, _ in events],
    )
    _feed(store, [(id, example) for id, _, _, _, _, j in events for example in j["fed"]])


def _feed(store: Store, fed: list[tuple[int, Example]]) -> None:
    """Keep what labels gave; none of it is there before, because every reply ends in a number of its own."""
    row = store.one("SELECT coalesce(max(id), 0) AS last FROM examples")
    assert row is not None
    kept = []
    for id, (event, example) in enumerate(fed, row["last"] + 1):
        body = canonical(to_json(example))
        hash = hashlib.sha256(body.encode()).hexdigest()
        kept.append((id, event, hash, kind_of(example), *judged(example), body, prompt_key(example)))
    store.execute_many(
        "INSERT INTO examples (id, hash, kind, question, answer, body, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(id, *values, START.isoformat()) for id, _, *values, _ in kept],
    )
    store.execute_many(
        "INSERT INTO example_prompts (example_id, prompt) VALUES (?, ?)", [(row[0], row[-1]) for row in kept]
    )
    store.execute_many(
        "INSERT INTO label_examples (event_id, kind, example_id) VALUES (?, ?, ?)",
        [(event, kind, id) for id, event, _, kind, *_ in kept],
    )


def _converse(store: Store, number: int) -> None:
    with store.write():
        talk = chats.start(store, title=f"Talk {number}")
        asked = chats.add(store, talk.id, role="user", content=f"What is {number}?")
        chats.add(store, talk.id, role="assistant", content="A number.", parent_id=asked.id, model="builtin")


def main() -> None:
    """Make it, and say how long that took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, default=1_000_000)
    args = parser.parse_args()
    began = time.perf_counter()
    home = make(args.folder, args.labels)
    size = home.database.stat().st_size / 1e6
    print(f"{home.database}: {size:,.0f} MB, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
