"""Examples and labels as long tables: which rows a filter finds, and what a row shows.

What a filter finds comes as ids, piece by piece, because a million rows take longer to look through than a
person likes to wait for the first; a page of ids is then turned into rows.
"""

import json
import re
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine.errors import UserError
from engine.examples import ROLES, Demonstration, Message, Pair, Rated, canonical, to_json
from tuner_app.store import people, snapshots, tags
from tuner_app.store.database import Store
from tuner_app.store.example_tags import tagged
from tuner_app.store.picking import brought
from tuner_app.store.repeats import REPEATS, Repeats
from tuner_app.store.selection import Selection

LABEL = "label"
VIEWS = ("demonstration", "pair", "rated", LABEL)
PIECE_SECONDS = 0.06  # of processor time, after which what was found is handed over
FIRST_SPAN, LONGEST_SPAN = 2000, 100_000  # rows that are looked at for a piece; more take memory
LONGEST_TEXT = 10_000
_WORD = re.compile(r'(\w+):"([^"]*)"|(\w+):(\S+)|"([^"]*)"|(\S+)')
_SAID = "'content', 'chosen', 'rejected', 'reply'"
_SELECTED = ("source", "person", "tag", "since", "last")


@dataclass(frozen=True)
class Filter:
    """What a table is to show of one of the `VIEWS`: a selection's rows that hold `text`.

    `removed` asks for the examples that were taken out of use instead of those in use; `repeats` for those
    of them that say the same as another, in one of the senses of `Repeats`; `verb` for labels of one kind.
    `run` asks for all that a run was trained on, whether it is in use or stands by now or not.
    """

    view: str = "demonstration"
    selection: Selection = field(default_factory=Selection)
    text: str = ""
    repeats: Repeats | None = None
    removed: bool = False
    verb: str = ""
    run: str = ""

    @staticmethod
    def parse(line: str, view: str) -> "Filter":
        """From what a person types: words to search for, and terms of a selection (`tag:wrong`,
        `source:"my file.csv"`, `from:labels`), `kind:pair`, `dup:near`, `removed:yes`, `verb:tie`,
        `run:NAME`."""
        words, terms, more = [], [], dict[str, str]()
        for quoted_name, quoted, name, value, phrase, word in _WORD.findall(line):
            name, value = quoted_name or name, quoted or value
            if name in _SELECTED:
                terms.append(f"{name}:{value}")
            elif name == "from":
                terms.append(value)
            elif name in ("kind", "dup", "removed", "verb", "run"):
                more[name] = value
            else:
                words.append(f"{name}:{value}" if name else phrase or word)
        return Filter(
            view=_one_of("kind", more.get("kind", view).rstrip("s"), VIEWS),
            selection=Selection.of(terms),
            text=" ".join(filter(None, words))[:LONGEST_TEXT],
            repeats=_one_of("dup", more["dup"], tuple(REPEATS)) if "dup" in more else None,  # type: ignore[arg-type]
            removed=_one_of("removed", more.get("removed", "no"), ("yes", "no")) == "yes",
            verb=more.get("verb", ""),
            run=more.get("run", ""),
        )


@dataclass(frozen=True)
class Found:
    """Some more ids of what a filter finds, in order; `groups` numbers those that repeat one another."""

    ids: "array[int]"
    groups: "array[int] | None" = None


def find(store: Store, wanted: Filter, *, oldest: bool = False) -> Iterator[Found]:
    """The ids of the rows that a filter finds, the newest first, or the oldest; of examples, or of labels."""
    conditions, parameters = _conditions(store, wanted)
    if wanted.repeats:
        yield from _find_repeats(store, wanted, conditions, parameters)
        return
    column, table = ("h.event_id", "heads h") if wanted.view == LABEL else ("x.id", "examples x")
    if wanted.view == LABEL and wanted.run:  # labels that others have taken the place of since, too
        table = """(SELECT s.event_id, l.person_id, l.verb, l.item_id FROM snapshot_labels s
            JOIN label_events l ON l.id = s.event_id WHERE s.snapshot_id = :run) h"""
    last = store.one(f"SELECT max({column}) AS last FROM {table}", parameters)
    if wanted.view == LABEL and (wanted.text or wanted.selection.since):  # joined where they are looked at
        table += " JOIN label_events e ON e.id = h.event_id JOIN items i ON i.id = e.item_id"
    left, limit = range(1, ((last and last["last"]) or 0) + 1), wanted.selection.limit
    newest = limit > 0 or not oldest  # the last ones are the newest, in whatever order they are shown
    kept, span = array("q"), FIRST_SPAN
    while left and not (limit and len(kept) >= limit):
        piece, left = (left[-span:], left[:-span]) if newest else (left[:span], left[span:])
        began = time.thread_time()
        row = store.one(
            f"""SELECT json_group_array(id) AS ids FROM (SELECT {column} AS id FROM {table}
                WHERE {column} BETWEEN :low AND :high AND {conditions} ORDER BY {column})""",
            parameters | {"low": piece[0], "high": piece[-1]},
        )
        assert row is not None
        ids = array("q", json.loads(row["ids"]))  # upwards: read backwards, a disk reads nothing ahead
        if newest:
            ids.reverse()
        span = int(span * min(4.0, PIECE_SECONDS / (time.thread_time() - began + 1e-6)))
        span = min(max(span, FIRST_SPAN), LONGEST_SPAN)
        if limit:
            kept.extend(ids[: limit - len(kept)])
        elif ids:
            yield Found(ids)
    if kept:
        yield Found(kept[::-1] if oldest else kept)


def newest_view(store: Store) -> str:
    """The view that has the example that came last."""
    row = store.one("SELECT kind FROM examples ORDER BY id DESC LIMIT 1")
    return row["kind"] if row else VIEWS[0]


def _conditions(store: Store, wanted: Filter) -> tuple[str, dict[str, Any]]:
    chosen = wanted.selection
    values: dict[str, Any] = {"kind": wanted.view, "verb": wanted.verb}
    values |= {"since": chosen.since, "tag": chosen.tag}
    if chosen.person:
        values["person"] = people.get(store, chosen.person).id
    if chosen.source:
        row = store.one("SELECT id FROM sources WHERE name = ?", (chosen.source,))
        values["source"] = row["id"] if row else None
    found = _label_conditions(wanted) if wanted.view == LABEL else _example_conditions(wanted)
    if wanted.run:
        values["run"], _ = snapshots.of_run(store, wanted.run)
    if wanted.text:
        body = "i.body" if wanted.view == LABEL else "x.body"
        escaped = canonical(wanted.text)[1:-1]  # as the stored JSON has it
        values["like"], values["said"] = _like(escaped), _like(wanted.text)
        holds = rf"{body} LIKE :like ESCAPE '\'"
        closely = rf"""EXISTS (SELECT 1 FROM json_tree({body}) part WHERE part.key IN ({_SAID})
                       AND part.type = 'text' AND part.value LIKE :said ESCAPE '\')"""
        around = wanted.view == LABEL or _may_be_around(escaped)
        found.append(f"CASE WHEN {holds} THEN {closely} END" if around else holds)
    return " AND ".join(found), values


def _label_conditions(wanted: Filter) -> list[str]:
    chosen, found = wanted.selection, ["true"]
    if chosen.source or wanted.removed or wanted.repeats or chosen.origin == "imports":
        raise UserError(
            "Labels have no source; they are neither removed nor repeated.",
            do="Filter them by text, verb:, person:, tag: and since:.",
        )
    if chosen.person:
        found.append("+h.person_id = :person")  # looked for by event: a person has too many
    if chosen.since:
        found.append("e.created >= :since")
    if wanted.verb:
        found.append("+h.verb = :verb")
    if chosen.tag:
        found.append(
            f"""EXISTS (SELECT 1 FROM label_tags t WHERE t.event_id = h.event_id AND t.tag = :tag
                AND {tags.STANDS})"""
        )
    return found


def _example_conditions(wanted: Filter) -> list[str]:
    chosen = wanted.selection
    if wanted.verb:
        raise UserError("Only labels have a verb.", do="Press 4 for the labels, or leave verb: out.")
    if wanted.run:
        trained_on = "SELECT 1 FROM snapshot_examples s WHERE s.example_id = x.id AND s.snapshot_id = :run"
        found = ["x.kind = :kind", f"EXISTS ({trained_on})"]
        if chosen != Selection(tag=chosen.tag):
            raise UserError("run: goes with words, kind: and tag: alone.", do="Leave the rest out.")
        return found + ([tagged("x.id")] if chosen.tag else [])
    withdrawn = (
        "x.id IN (SELECT w.example_id FROM withdrawn w JOIN example_edits d ON d.id = w.edit_id"
        " WHERE d.becomes_id IS NULL)"
        if wanted.removed
        else "x.id NOT IN (SELECT example_id FROM withdrawn)"
    )
    found = ["x.kind = :kind", brought(chosen), withdrawn]
    return found + ([tagged("x.id")] if chosen.tag else [])


def _find_repeats(
    store: Store, wanted: Filter, conditions: str, parameters: dict[str, Any]
) -> Iterator[Found]:
    from tuner_app.store import repeats

    assert wanted.repeats
    rows = repeats.grouped(store, wanted.repeats, conditions, parameters)
    ids, groups = array("q"), array("q")
    for row in rows:
        ids.append(row["id"])
        groups.append(row["number"])
    if ids:
        yield Found(ids, groups)


def _may_be_around(escaped: str) -> bool:
    """Whether a text may be found in the JSON around what examples say; where not, no closer look is due."""
    turns = tuple(Message(role, "") for role in ROLES)
    kinds = (Demonstration(turns), Pair(turns, "", ""), Rated((), "", True), Rated((), "", False))
    parts = {part for one in kinds for part in canonical(to_json(one)).split('"')}
    return escaped[0].isdigit() or any(escaped.lower() in part for part in (*parts, "tools", "margin"))


def _like(text: str) -> str:
    return "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise UserError(f"{name}:{value} is no filter.", do=f"One of: {', '.join(choices)}.")
    return value
