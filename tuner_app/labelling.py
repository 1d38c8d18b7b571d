"""A new batch: where its prompts come from, which a person types, asked before, has stored or has in a file,
and who answers them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from engine.errors import UserError
from engine.examples import Example, Message, Pair, Rated, from_json, prompt_of
from engine.spec import build
from tuner_app import formats
from tuner_app.clean import one_line
from tuner_app.formats import source as files
from tuner_app.settings import Decoding, Settings
from tuner_app.store import Store, batches, chats, examples, models
from tuner_app.store.rows import Asked, Batch, BatchKind, Maker, Reply

From = Literal["typed", "conversations", "examples", "file", "stored"]
PLAIN = (".txt", ".text", ".md")  # one prompt a line; every other file is read in the formats of examples
KINDS = ("demonstration", "pair", "rated", "prompt")
_PAGE = 500
_REPEATS = 20  # so many times what is wanted is looked at, in search of prompts that differ


@dataclass(frozen=True)
class Wish:
    """What a batch is to be made of: at most `limit` prompts.

    `text` are lines typed (`typed`), `file` a path (`file`), `source` an import ("" for all that is stored:
    `examples`, whose prompts are answered anew, and `stored`, whose replies are judged). `system` is said
    first in prompts that have no system prompt of their own.
    """

    kind: BatchKind
    origin: From
    limit: int = 200
    text: str = ""
    file: str = ""
    source: str = ""
    system: str = ""


def gather(store: Store, wish: Wish) -> list[Asked]:
    """What there is for a wish, each once. It may read much: not for the thread that saves labels."""
    match wish.origin:
        case "typed":
            found = _lines(wish.text)
        case "file":
            found = _file(Path(wish.file).expanduser()) if wish.file else iter(())
        case "conversations":
            found = _conversations(store)
        case "examples":
            found = (_asked(example) for example in _stored(store, KINDS, wish.source))
        case "stored":
            kind = "pair" if wish.kind == "pair" else "rated"
            found = (_judged(example) for example in _stored(store, (kind,), wish.source))
    usable = (asked for asked in islice(found, wish.limit * _REPEATS) if asked.prompt)
    return list(islice(_distinct(_with_system(asked, wish.system) for asked in usable), wish.limit))


def sources(store: Store) -> list[str]:
    """The names of the imports, the newest first."""
    return [row["name"] for row in store.query("SELECT name FROM sources ORDER BY id DESC LIMIT 100")]


def summed_up(found: Sequence[Asked]) -> str:
    """How many prompts there are, and how the first one begins."""
    if not found:
        return "✗ No prompts here yet."
    first = one_line(found[0].prompt[-1].content, 50)
    return f"1 prompt: “{first}”" if len(found) == 1 else f"{len(found):,} prompts: “{first}” …"


def offered(
    store: Store, chosen: Settings, served: Sequence[str] = ()
) -> tuple[str, From, list[str], dict[str, str]]:
    """A free name, where there are prompts, the imports, and who can answer: adapter to what is shown.

    `served` are the models of a foreign server that answers in place of this machine's.
    """
    origins: tuple[From, ...] = ("conversations", "examples", "typed")
    origin: From = next((one for one in origins if gather(store, Wish("pair", one, limit=1))), "typed")
    base = models.base(store, chosen.base)
    known = models.adapters(store, base.id) if base else []
    answer = {row.name: one_line(row.name, 40) for row in reversed(known) if not row.is_reward}
    if chosen.adapter:
        answer.setdefault(chosen.adapter, one_line(chosen.adapter, 40))
    answer = {"": "the base"} | answer if not served else {name: one_line(name, 40) for name in served}
    return batches.free_name(store), origin, sources(store), answer


def makers(wish: Wish, base: str, first: str, second: str) -> list[Maker]:
    """Who answers: an adapter ("" for the base alone), and for pairs another one, or the same again."""
    if wish.origin == "stored":
        return []
    adapters = [first] if wish.kind == "single" or second == first else [first, second]
    return [Maker(base, adapter) for adapter in adapters]


def decoding(wish: Wish, makers: Sequence[Maker], kept: Decoding, given: Mapping[str, Any]) -> Decoding:
    """How answers are drawn: as is usual here, but for what is given; a UserError where nothing could come
    of it."""
    drawn = build(Decoding, {**kept.to_json(), **given, "beams": 1}, "setting")
    if wish.kind == "pair" and len(makers) == 1 and not drawn.temperature:
        raise UserError(
            "At temperature 0 a model says the same twice: there would be nothing to choose.",
            do="Give a temperature above 0, or a second model.",
        )
    return drawn


def make(
    store: Store,
    wish: Wish,
    asked: Sequence[Asked],
    *,
    makers: Sequence[Maker],
    decoding: Decoding,
    name: str,
    uid: str,
) -> Batch:
    """The batch, as `batches.make` does it; without a name it gets a free one."""
    return batches.make(
        store,
        asked,
        name=name or batches.free_name(store),
        kind=wish.kind,
        makers=makers,
        decoding=decoding.to_json(),
        uid=uid,
    )


def _distinct(asked: Iterable[Asked]) -> Iterator[Asked]:
    seen = set()
    for one in asked:
        if one not in seen:
            seen.add(one)
            yield one


def _with_system(asked: Asked, system: str) -> Asked:
    if not system.strip() or asked.replies or asked.prompt[0].role == "system":
        return asked
    return Asked((Message("system", system), *asked.prompt))


def _lines(text: str) -> Iterator[Asked]:
    for line in text.splitlines():
        if line.strip():
            yield Asked((Message("user", line.strip()),))


def _file(path: Path) -> Iterator[Asked]:
    if path.name.removesuffix(".gz").endswith(PLAIN):
        head, _ = files.sample(path)
        with files.text(path, files.encoding_of(path, head, None)) as lines:
            for line in lines:
                yield from _lines(line)
        return
    for row in formats.read(path):
        if isinstance(row, formats.Refusal):
            raise UserError(
                f"{path}, line {row.line}: {row.reason}.",
                kept="Nothing was taken from it.",
                do="Mend the file; `tuner import --dry-run` lists all such lines.",
            )
        yield _asked(row.example)


def _conversations(store: Store) -> Iterator[Asked]:
    """What was asked in conversations that are not put away, with all that came before it, newest first."""
    before = 1 << 62
    while page := store.query(
        """SELECT m.id, m.conversation_id, c.system FROM messages m JOIN conversations c
             ON c.id = m.conversation_id WHERE m.id < ? AND m.role = 'user' AND NOT c.archived
           ORDER BY m.id DESC LIMIT ?""",
        (before, _PAGE),
    ):
        for row in page:
            said = chats.path(store, row["conversation_id"], row["id"])
            system = (Message("system", row["system"]),) if row["system"] else ()
            yield Asked((*system, *(Message(turn.role, turn.content) for turn in said)))
        before = page[-1]["id"]


def _stored(store: Store, kinds: tuple[str, ...], source: str) -> Iterator[Example]:
    for kind in kinds:
        offset = 0
        while page := _page(store, kind, source, offset):
            yield from page
            offset += len(page)


def _page(store: Store, kind: str, source: str, offset: int) -> list[Example]:
    if not source:
        return [row.example for row in examples.listed(store, kind, limit=_PAGE, offset=offset)]
    rows = store.query(
        """SELECT x.body FROM imports i JOIN examples x ON x.id = i.example_id
           WHERE i.source_id = (SELECT id FROM sources WHERE name = ?) AND i.kind = ?
             AND NOT EXISTS (SELECT 1 FROM withdrawn w WHERE w.example_id = x.id)
           ORDER BY i.example_id LIMIT ? OFFSET ?""",
        (source, kind, _PAGE, offset),
    )
    return [from_json(json.loads(row["body"])) for row in rows]


def _asked(example: Example) -> Asked:
    """The prompt of an example; none where it takes tools, which no model here is given."""
    prompt = prompt_of(example)
    return Asked(() if prompt.tools else prompt.prompt)


def _judged(example: Example) -> Asked:
    """An example's replies, to be judged again: in one order, whichever was preferred."""
    match example:
        case Pair(prompt=prompt, chosen=chosen, rejected=rejected) if chosen != rejected:
            return Asked(prompt, tuple(Reply(text) for text in sorted((chosen, rejected))))
        case Rated(prompt=prompt, reply=reply):
            return Asked(prompt, (Reply(reply),))
    return Asked(())
