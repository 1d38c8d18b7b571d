"""What a selection picks of the stored examples: how much that is, and the examples in their order.

Prompts are picked as well: of several examples that answer one prompt, the one whose hash is least.

SQLite keeps what it sorts and groups in memory, and a million rows would fill it: so ids are marked in a
bytearray, and read back in the order of an index.
"""

import json
from array import array
from collections.abc import Iterator
from typing import Any

from engine.errors import UserError
from engine.examples import Example, Prompt, from_json, name_of, prompt_of
from tuner_app.store import people
from tuner_app.store.database import Store
from tuner_app.store.example_tags import tagged
from tuner_app.store.rows import Summary
from tuner_app.store.selection import Selection

PROMPT = name_of(Prompt)
_ALL = Selection()
_PAGE = 1000
# How many examples, of those that meet a condition, say the opposite of another such one.
_OPPOSED = """WITH asked AS (SELECT question FROM examples WHERE kind = :kind AND question IS NOT NULL
    GROUP BY question HAVING min(answer) <> max(answer))
  SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM asked CROSS JOIN examples x USING (question)
    WHERE %s GROUP BY question HAVING min(answer) <> max(answer))"""


def available(store: Store, kind: str, selection: Selection = _ALL) -> Summary:
    """What the selection holds of one kind of example, or of prompts, without freezing it."""
    met, parameters = _conditions(store, kind, selection)
    labelled = f"EXISTS (SELECT 1 {_labels(selection)})" if selection.has_labels else "false"
    times = " + ".join(f"(SELECT count(*) {way})" for way in _ways(selection))
    key, distinct = ("p.prompt", "DISTINCT") if kind == PROMPT else ("x.id", "")
    row = store.one(
        f"""SELECT count({distinct} {key}) AS examples,
              count({distinct} CASE WHEN {labelled} THEN {key} END) AS labelled,
              coalesce(sum({times}), 0) AS times,
              {"coalesce(sum(x.answer = 1), 0)" if kind == "rated" else "0"} AS good,
              {"0" if kind == PROMPT else f"({_OPPOSED % met})"} AS contradictory
            FROM {_tables(kind)} WHERE {met}""",
        parameters,
    )
    assert row is not None
    return Summary(
        examples=row["examples"],
        from_labels=row["labelled"],
        from_imports=row["examples"] - row["labelled"],
        repeated=row["times"] - row["examples"],
        contradictory=row["contradictory"],
        good=row["good"],
    )


def select(store: Store, kind: str, selection: Selection = _ALL) -> Iterator[Example]:
    """The examples that a snapshot of the selection would have, in its order."""
    with store.read():
        picked = array("q", (id for _, id in members(store, kind, selection)))
    for start in range(0, len(picked), _PAGE):  # their texts may be more than memory holds
        for row in store.query(
            "SELECT body FROM examples WHERE id IN (SELECT value FROM json_each(?)) ORDER BY hash",
            (json.dumps(list(picked[start : start + _PAGE])),),
        ):
            yield read(kind, row["body"])


def sample(store: Store, kind: str, selection: Selection, limit: int) -> list[Example]:
    """At most `limit` of the selection's examples, to get an idea of them."""
    met, parameters = _conditions(store, kind, selection)
    key = "p.prompt" if kind == PROMPT else "x.id"
    ids: dict[int, int] = {}
    for one, id in store.each(f"SELECT {key}, x.id FROM {_tables(kind)} WHERE {met}", parameters):
        ids.setdefault(one, id)
        if len(ids) == limit:
            break
    rows = store.query(
        "SELECT body FROM examples WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps([*ids.values()]),),
    )
    return [read(kind, row["body"]) for row in rows]


def members(store: Store, kind: str, selection: Selection) -> Iterator[tuple[str, int]]:
    """(hash, id) of the examples picked, in the order of hashes. Inside of `store.read`."""
    met, parameters = _conditions(store, kind, selection)
    picked = _marked(store, "examples", f"SELECT x.id FROM {_tables(kind)} WHERE {met}", parameters)
    if kind == PROMPT:
        yield from _each_prompt_once(store, picked)
        return
    for hash, id in store.each("SELECT hash, id FROM examples ORDER BY hash"):
        if picked[id]:
            yield hash, id


def labels_behind(store: Store, kind: str, selection: Selection) -> Iterator[tuple[str, int]]:
    """(uid, id) of the labels that gave what was picked, in the order of uids. Inside of `store.read`."""
    if not selection.has_labels:
        return
    met, parameters = _conditions(store, kind, selection)
    prompts = "CROSS JOIN example_prompts p ON p.example_id = x.id" if kind == PROMPT else ""
    since = "JOIN label_events t ON t.id = h.event_id AND t.created >= :since" if selection.since else ""
    person = "AND h.person_id = :person" if selection.person else ""
    gave = f"""SELECT h.event_id FROM heads h {since} CROSS JOIN label_examples le ON le.event_id = h.event_id
               CROSS JOIN examples x ON x.id = le.example_id {prompts} WHERE {met} {person}"""
    marked = _marked(store, "label_events", gave, parameters)
    for uid, id in store.each("SELECT uid, id FROM label_events ORDER BY uid"):
        if marked[id]:
            yield uid, id


def read(kind: str, body: str) -> Example:
    """What is stored as `body`, as a snapshot of this kind has it."""
    example = from_json(json.loads(body))
    return prompt_of(example) if kind == PROMPT else example


def brought(selection: Selection) -> str:
    """The condition that an example x has come in a way that is the selection's: an import, or a label that
    stands. Parameters: source, person and since, where it names them."""
    return f"({' OR '.join(f'EXISTS (SELECT 1 {way})' for way in _ways(selection))})"


def _ways(selection: Selection) -> list[str]:
    ways = [_imports(selection)] if selection.has_imports else []
    return ways + ([_labels(selection)] if selection.has_labels else [])


def _imports(selection: Selection) -> str:
    source = "AND m.source_id = :source" if selection.source else ""
    since = "AND x.created >= :since" if selection.since else ""
    return f"FROM imports m WHERE m.example_id = x.id {source} {since}"


def _labels(selection: Selection) -> str:
    since = "JOIN label_events e ON e.id = h.event_id AND e.created >= :since" if selection.since else ""
    person = "AND h.person_id = :person" if selection.person else ""
    return f"""FROM label_examples le JOIN heads h ON h.event_id = le.event_id {since}
               WHERE le.example_id = x.id {person}"""


def _tables(kind: str) -> str:
    return "examples x JOIN example_prompts p ON p.example_id = x.id" if kind == PROMPT else "examples x"


def _conditions(store: Store, kind: str, selection: Selection) -> tuple[str, dict[str, Any]]:
    """What an example x, or its prompt p, is to meet to be picked, and the parameters of that."""
    parameters: dict[str, Any] = {"kind": kind, "limit": selection.limit, "since": selection.since}
    parameters["tag"] = selection.tag
    if selection.person:
        parameters["person"] = people.get(store, selection.person).id
    if selection.source:
        parameters["source"] = _source(store, selection.source)
    met = f"{brought(selection)} AND x.id NOT IN (SELECT example_id FROM withdrawn)"
    if kind != PROMPT:
        met = f"x.kind = :kind AND {met}"
    if selection.tag:
        met += f" AND {tagged('x.id')}"
    if selection.limit:
        newest = f"SELECT %s FROM {_tables(kind)} WHERE {met} %s ORDER BY %s LIMIT :limit"
        came = _came(selection)
        if kind == PROMPT:
            newest %= ("p.prompt", "GROUP BY p.prompt", f"max({came}) DESC, max(x.id) DESC")
            met += f" AND p.prompt IN ({newest})"
        else:
            met += f" AND x.id IN ({newest % ('x.id', '', f'{came} DESC, x.id DESC')})"
    return met, parameters


def _came(selection: Selection) -> str:
    """When an example x came last in a way that is the selection's."""
    imported = f"SELECT x.created {_imports(selection)} LIMIT 1"
    labelled = (
        f"SELECT max(l.created) FROM label_events l WHERE l.id IN (SELECT le.event_id {_labels(selection)})"
    )
    times = [f"coalesce(({imported}), '')"] if selection.has_imports else []
    times += [f"coalesce(({labelled}), '')"] if selection.has_labels else []
    return f"max({', '.join(times)})" if len(times) > 1 else times[0]


def _marked(store: Store, table: str, ids: str, parameters: dict[str, Any]) -> bytearray:
    """1 at each id of a table that the query `ids` gives, else 0."""
    last = store.one(f"SELECT max(id) AS id FROM {table}")
    marked = bytearray(((last and last["id"]) or 0) + 1)
    for (id,) in store.each(ids, parameters):
        marked[id] = 1
    return marked


def _each_prompt_once(store: Store, picked: bytearray) -> Iterator[tuple[str, int]]:
    """Of the examples that are marked in `picked`, one for each prompt."""
    more = store.each("SELECT prompt FROM example_prompts GROUP BY prompt HAVING count(*) > 1")
    repeated, taken = {prompt for (prompt,) in more}, set[int]()
    for hash, id, prompt in store.each(
        """SELECT x.hash, x.id, p.prompt FROM examples x CROSS JOIN example_prompts p ON p.example_id = x.id
           ORDER BY x.hash"""
    ):
        if picked[id] and prompt not in taken:
            if prompt in repeated:
                taken.add(prompt)
            yield hash, id


def _source(store: Store, name: str) -> int:
    row = store.one("SELECT id FROM sources WHERE name = ?", (name,))
    if row is None:
        known = [
            source["name"] for source in store.query("SELECT name FROM sources ORDER BY id DESC LIMIT 20")
        ]
        raise UserError(
            f"There is no import called “{name}”.", do=f"Imports: {', '.join(known) or 'none so far'}."
        )
    return int(row["id"])
