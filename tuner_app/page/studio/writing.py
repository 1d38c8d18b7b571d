"""What the tab for writing asks of the store: demonstrations that a person has written, changed, removed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, from_json, prompt_of
from tuner_app.clean import one_line
from tuner_app.page.studio.chatting import LONGEST, check_length
from tuner_app.store import Store, edits, example_tags, examples
from tuner_app.store.edits import Edit

MOST_LISTED = 500
MOST_TURNS = 6


@dataclass(frozen=True)
class Written:
    """One of a person's demonstrations, with its tags and what was changed on it, the latest first."""

    id: int
    example: Demonstration
    tags: tuple[str, ...]
    history: tuple[Edit, ...]


def source_of(person: str) -> str:
    """Under which name a person's own demonstrations are among the imports."""
    return f"written by {person}"


def demonstration(system: str, turns: Sequence[str]) -> Demonstration:
    """An example from a system prompt ("" for none) and prompts and answers in turn; empty ones at the end
    are left out. A UserError where one is missing."""
    said = [text.strip() for text in turns]
    while said and not said[-1]:
        said.pop()
    for text in (system, *said):
        check_length(text)
    if not said or len(said) % 2 or not all(said):
        raise UserError(
            "Each prompt needs an answer, and each answer a prompt.",
            kept="Nothing was saved yet.",
            do="Fill in what is missing.",
        )
    start = [Message("system", system.strip())] if system.strip() else []
    turns_of = [Message("assistant" if place % 2 else "user", text) for place, text in enumerate(said)]
    return Demonstration((*start, *turns_of))


def draft(text: str) -> tuple[int | None, list[str]] | None:
    """The example that was open and the texts of the form, as a browser has kept them: system prompt, prompts
    and answers in turn, tags. None where they are not of that kind."""
    try:
        kept = json.loads(text)
        open, form = kept["open"], kept["form"]
        whole = [str(one)[:LONGEST] for one in form]
    except (TypeError, ValueError, KeyError, RecursionError):
        return None
    if not isinstance(form, list) or len(form) % 2 or not 4 <= len(form) <= 2 + 2 * MOST_TURNS:
        return None
    return int(open) if str(open).isdecimal() and len(str(open)) < 19 else None, whole


def save(store: Store, person: str, example: Demonstration, tags: str, changes: int | None) -> int:
    """Keep a new example, or what one of the person's own becomes; its id."""
    wanted = {example_tags.checked(tag) for tag in tags.split(",") if tag.strip()}
    with store.write():
        if changes is not None:
            id = examples.insert(store, example)
            if _became(store, changes, id):  # sent again, because the answer was lost on the way
                own(store, person, id)
            else:
                own(store, person, changes)
                edits.change(store, changes, example, person=person)
        else:
            id = examples.bring(store, example, _written(store, person) + 1, source=source_of(person))
            edits.restore(store, [id], person=person)
        has = set(_tags(store, id))
        for tag in wanted - has:
            example_tags.add(store, [id], tag)
        for tag in has - wanted:
            example_tags.remove(store, [id], tag)
    return id


def remove(store: Store, person: str, id: int) -> None:
    """Take one of the person's own out of use; it stays in the history."""
    with store.write():
        own(store, person, id)
        edits.remove(store, [id], person=person)


def own(store: Store, person: str, id: int) -> Written:
    """One of the person's own; a UserError where it is somebody else's, or there is none."""
    row = store.one(
        """SELECT x.body FROM examples x JOIN imports i ON i.example_id = x.id
           JOIN sources s ON s.id = i.source_id
           WHERE x.id = ? AND s.name = ? AND x.kind = 'demonstration'
             AND x.id NOT IN (SELECT example_id FROM withdrawn)""",
        (id, source_of(person)),
    )
    if row is None:
        raise UserError(f"There is no example {id} of yours.", kept="Nothing was changed.")
    example = from_json(json.loads(row["body"]))
    assert isinstance(example, Demonstration)
    return Written(id, example, tuple(_tags(store, id)), tuple(edits.history(store, id)))


def listed(store: Store, person: str) -> list[tuple[str, int]]:
    """The person's own in use, the latest first: the start of each, and its id."""
    rows = store.query(
        """SELECT x.id, x.body FROM sources s JOIN imports i ON i.source_id = s.id
           JOIN examples x ON x.id = i.example_id
           WHERE s.name = ? AND i.kind = 'demonstration'
             AND x.id NOT IN (SELECT example_id FROM withdrawn)
           ORDER BY x.id DESC LIMIT ?""",
        (source_of(person), MOST_LISTED),
    )
    return [(start_of(from_json(json.loads(row["body"]))), row["id"]) for row in rows]


def start_of(example: Example) -> str:
    """The start of what an example asks."""
    asked = [message.content for message in prompt_of(example).prompt if message.role == "user"]
    return one_line(asked[0]) if asked else "…"


def _became(store: Store, id: int, other: int) -> bool:
    row = store.one(
        """SELECT 1 FROM withdrawn w JOIN example_edits d ON d.id = w.edit_id
           WHERE w.example_id = ? AND d.becomes_id = ?""",
        (id, other),
    )
    return row is not None


def _written(store: Store, person: str) -> int:
    row = store.one(
        "SELECT count(*) AS n FROM imports WHERE source_id = (SELECT id FROM sources WHERE name = ?)",
        (source_of(person),),
    )
    return int(row["n"]) if row else 0


def _tags(store: Store, id: int) -> list[str]:
    rows = store.query("SELECT tag FROM example_tags WHERE example_id = ? ORDER BY tag", (id,))
    return [row["tag"] for row in rows]
