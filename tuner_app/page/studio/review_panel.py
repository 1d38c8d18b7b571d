"""A disagreement as the studio shows it: the replies side by side, and who said what of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

from tuner_app import agreement
from tuner_app.agreement import Disagreement
from tuner_app.page.studio.markup import Safe, block, joined, said, short, table, text
from tuner_app.page.studio.words import Words
from tuner_app.store import Store, batches, comments, gold, tags
from tuner_app.store.gold import Gold
from tuner_app.store.rows import Batch, Item, LabelEvent, Verb
from tuner_app.store.stamps import new_uid

PAGE = 50
VERBS: Mapping[str, tuple[Verb, ...]] = {
    "pair": ("choose", "tie", "both_bad"),
    "single": ("good", "bad"),
}


@dataclass(frozen=True)
class Place:
    """Which disagreement a browser shows, as it sends it along: what is sent again, because its answer was
    lost on the way, is of the same one and has the same `ticket`."""

    batch: int
    position: int
    item: str
    ticket: str

    @property
    def text(self) -> str:
        """For the browser."""
        return json.dumps(asdict(self))

    @staticmethod
    def of(text: str | None) -> "Place | None":
        """What a browser has sent; None where it shows none, or nothing that it was given."""
        try:
            place = Place(**json.loads(text or "null"))
        except (TypeError, ValueError, RecursionError):
            return None
        kinds = [type(getattr(place, name)) for name in ("batch", "position", "item", "ticket")]
        return place if kinds == [int, int, str, str] else None

    def uid(self, person: str, choice: str) -> str:
        """The uid of the label by which a person decides so."""
        return sha256(json.dumps([self.ticket, self.item, person, choice]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Case:
    """A disagreement that is to be shown, and how many are left."""

    batch: Batch
    found: Disagreement
    place: Place
    left: int
    gold: bool


def following(store: Store, name: str, person: str, after: int = -1) -> Case | None:
    """The next disagreement of a batch that `person` has not judged, from the position `after` on, and from
    its beginning where there is none any more; None where all are decided."""
    batch = next((one for one in batches.listed(store) if one.name == name), None)
    if batch is None:
        return None
    open = [one for one in _all(store, batch.id) if all(label.person != person for label in one.labels)]
    if not open:
        return None
    found = next((one for one in open if one.position > after), open[0])
    known = any(answer.position == found.position for answer in gold.answers(store, batch.id))
    place = Place(batch.id, found.position, found.item.hash, new_uid())
    return Case(batch, found, place, len(open), known)


def answer_of(choice: str) -> tuple[Verb, dict[str, int]]:
    """A verb and its value from “choose 1”, “tie”, …"""
    verb, _, reply = choice.partition(" ")
    kind: Verb = next(one for ones in VERBS.values() for one in ones if one == verb)
    return kind, {"reply": int(reply)} if reply else {}


def case_page(store: Store, case: Case, words: Words) -> Safe:
    """The prompt, the replies side by side, the labels with comments and tags."""
    item, labels = case.found.item, case.found.labels
    uids = [label.uid for label in labels]
    said_of, tagged = comments.of_labels(store, uids), tags.of_labels(store, uids)
    head = words("review_where", position=case.found.position + 1, left=case.left)
    parts = [said(head, "quiet")]
    if case.gold:
        parts.append(said(words("review_is_gold"), "good"))
    parts += [block(turn.content, words.of_program(turn.role)) for turn in item.prompt]
    replies = [
        block(reply.content, letter(place) if item.kind == "pair" else words("review_answer"))
        for place, reply in enumerate(item.replies)
    ]
    parts.append(Safe(f'<div class="t-sides">{"".join(replies)}</div>'))
    rows = [
        (
            short(label.person, 40),
            spoken(label, words),
            text("\n".join(said_of.get(label.uid, ()))),
            short(", ".join(tagged.get(label.uid, ())), 200),
        )
        for label in labels
    ]
    names = [words(f"review_{name}") for name in ("person", "label", "comment", "tags")]
    parts.append(table(names, rows, caption=words("review_labels")))
    for label in labels:
        if label.verb == "correct":
            who = words("review_corrected", person=label.person)
            parts.append(block(str(label.value["text"]), who))
    return joined(parts)


def spoken(label: LabelEvent | Gold, words: Words) -> str:
    """What a label says: “A is better”, “a tie”."""
    reply = label.value.get("reply")
    which = letter(int(reply)) if isinstance(reply, int) else ""
    return words(f"review_said_{label.verb}", reply=which)


def letter(place: int) -> str:
    """What a reply is called."""
    return "AB"[place]


def choices(item: Item) -> Sequence[str]:
    """What a reviewer can say of an item, for `answer_of`."""
    if item.kind == "single":
        return VERBS["single"]
    return ["choose 0", "choose 1", "tie", "both_bad"]


def _all(store: Store, batch_id: int) -> list[Disagreement]:
    found: list[Disagreement] = []
    while page := agreement.disagreements(
        store, batch_id, after=found[-1].position if found else -1, limit=PAGE
    ):
        found += page
    return found
