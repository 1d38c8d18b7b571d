"""What a row of a table shows, and all that is known of one."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError
from engine.examples import (
    Demonstration,
    Example,
    Message,
    Pair,
    Rated,
    from_json,
    messages_from_json,
    prompt_of,
)
from tuner_app.store import snapshots, tags
from tuner_app.store.database import Store

SHOWN = 400  # characters of a text that a row shows at most
SHOWN_RUNS = 4  # names that stand for all


@dataclass(frozen=True)
class TableRow:
    """One row: starts of what was asked and said, what was judged, where it came from, its tags, its time."""

    id: int
    prompt: str
    replies: tuple[str, ...]
    verdict: str
    origin: str
    tags: tuple[str, ...]
    created: str


@dataclass(frozen=True)
class Entry:
    """All of one example or one item: its messages and replies whole, and what is told under them."""

    prompt: tuple[Message, ...]
    replies: tuple[tuple[str, str], ...]  # what each is (“chosen”), and its text
    facts: tuple[str, ...]
    example: Example | None = None


_EXAMPLES = f"""SELECT x.id, x.body, x.created,
    (SELECT s.name FROM imports m JOIN sources s ON s.id = m.source_id WHERE m.example_id = x.id
     ORDER BY s.id LIMIT 1) AS source,
    (SELECT count(*) FROM imports m WHERE m.example_id = x.id) AS imports,
    (SELECT p.name FROM label_examples le JOIN heads h ON h.event_id = le.event_id
     JOIN people p ON p.id = h.person_id WHERE le.example_id = x.id LIMIT 1) AS person,
    (SELECT p.name FROM example_edits d JOIN people p ON p.id = d.person_id
     WHERE d.becomes_id = x.id AND d.example_id <> x.id LIMIT 1) AS editor,
    (SELECT json_group_array(tag) FROM (SELECT tag FROM example_tags WHERE example_id = x.id
       UNION SELECT t.tag FROM label_examples le JOIN label_tags t ON t.event_id = le.event_id
       WHERE le.example_id = x.id AND {tags.STANDS})) AS tags
  FROM examples x WHERE x.id IN (SELECT value FROM json_each(?))"""
_LABELS = f"""SELECT e.id, i.body, e.created, e.verb, e.value, e.uid, i.hash, p.name AS person,
    (SELECT json_group_array(tag) FROM label_tags t WHERE t.event_id = e.id AND {tags.STANDS}) AS tags
  FROM label_events e JOIN items i ON i.id = e.item_id JOIN people p ON p.id = e.person_id
  WHERE e.id IN (SELECT value FROM json_each(?))"""


def examples_of(store: Store, ids: Iterable[int]) -> list[TableRow]:
    """The rows of these examples, in any order."""
    return [_example_row(row) for row in store.query(_EXAMPLES, (json.dumps(list(ids)),))]


def labels_of(store: Store, ids: Iterable[int]) -> list[TableRow]:
    """The rows of these label events, in any order."""
    return [_label_row(row) for row in store.query(_LABELS, (json.dumps(list(ids)),))]


def example(store: Store, id: int) -> Entry:
    """All of one example; a UserError where there is none."""
    row = store.one(_EXAMPLES, (json.dumps([id]),))
    if row is None:
        raise UserError(f"There is no example {id}.")
    whole = from_json(json.loads(row["body"]))
    sources = store.query(
        "SELECT s.name, m.line FROM imports m JOIN sources s ON s.id = m.source_id WHERE m.example_id = ?"
        " ORDER BY s.id",
        (id,),
    )
    facts = [f"line {source['line']:,} of {source['name']}" for source in sources]
    facts += [f"a label of {row['person']}"] if row["person"] else []
    facts += [f"edited by {row['editor']}"] if row["editor"] else []
    facts += _learned(snapshots.runs_that_learned(store, id))
    facts += [f"tags: {', '.join(json.loads(row['tags']))}"] if row["tags"] != "[]" else []
    return Entry(prompt_of(whole).prompt, _replies(whole), tuple(facts), whole)


def label(store: Store, id: int) -> Entry:
    """All of one label and of what it judges; a UserError where there is none."""
    row = store.one(_LABELS, (json.dumps([id]),))
    if row is None:
        raise UserError(f"There is no label {id}.")
    body, value = json.loads(row["body"]), json.loads(row["value"])
    replies = [(f"reply {n}", reply["content"]) for n, reply in enumerate(body["replies"], 1)]
    if "text" in value:
        replies.append(("corrected", value["text"]))
    fed = store.query(
        "SELECT kind, count(*) AS n FROM label_examples WHERE event_id = ? GROUP BY kind ORDER BY kind", (id,)
    )
    facts = [_verdict(row["verb"], value), f"by {row['person']}"]
    facts += [f"feeds {one['n']} {one['kind']}" for one in fed] or ["feeds nothing"]
    facts += _learned(snapshots.runs_that_saw(store, row["uid"]))
    facts += [f"tags: {', '.join(json.loads(row['tags']))}"] if row["tags"] != "[]" else []
    return Entry(messages_from_json(body["prompt"]), tuple(replies), tuple(facts))


def _learned(runs: list[str]) -> list[str]:
    more = f" and {len(runs) - SHOWN_RUNS} more" if len(runs) > SHOWN_RUNS else ""
    return [f"learned from by {', '.join(runs[:SHOWN_RUNS])}{more}"] if runs else []


def label_identity(store: Store, id: int) -> tuple[str, str]:
    """(hash of the item, name of the person) of a label event."""
    row = store.one(_LABELS, (json.dumps([id]),))
    if row is None:
        raise UserError(f"There is no label {id}.")
    return row["hash"], row["person"]


def label_uids(store: Store, ids: Iterable[int]) -> list[str]:
    """The uids of these label events."""
    return [row["uid"] for row in store.query(_LABELS, (json.dumps(list(ids)),))]


def _example_row(row: Any) -> TableRow:
    whole = from_json(json.loads(row["body"]))
    prompt = prompt_of(whole).prompt
    more = f" +{row['imports'] - 1}" if row["imports"] > 1 else ""
    origin = f"{row['source']}{more}" if row["source"] else row["person"] or ""
    return TableRow(
        row["id"],
        prompt[-1].content[:SHOWN] if prompt else "",
        tuple(text[:SHOWN] for _, text in _replies(whole)),
        ("good" if whole.good else "bad") if isinstance(whole, Rated) else "",
        f"✎ {origin}" if row["editor"] else origin,
        tuple(json.loads(row["tags"])),
        row["created"],
    )


def _label_row(row: Any) -> TableRow:
    body = json.loads(row["body"])
    value = json.loads(row["value"])
    replies = [reply["content"][:SHOWN] for reply in body["replies"]]
    if "text" in value:
        replies = [value["text"][:SHOWN]]
    elif "reply" in value:
        replies.insert(0, replies.pop(value["reply"]))
    return TableRow(
        row["id"],
        body["prompt"][-1]["content"][:SHOWN] if body["prompt"] else "",
        tuple(replies),
        row["verb"].replace("_", " "),
        row["person"],
        tuple(json.loads(row["tags"])),
        row["created"],
    )


def _verdict(verb: str, value: dict[str, Any]) -> str:
    at = f" reply {value['reply'] + 1}" if "reply" in value else ""
    return f"{verb.replace('_', ' ')}{at}"


def _replies(whole: Example) -> tuple[tuple[str, str], ...]:
    match whole:
        case Demonstration(messages=messages):
            return (("answer", messages[-1].content),)
        case Pair(chosen=chosen, rejected=rejected):
            return (("chosen", chosen), ("rejected", rejected))
        case Rated(reply=reply, good=good):
            return (("good" if good else "bad", reply),)
    return ()
