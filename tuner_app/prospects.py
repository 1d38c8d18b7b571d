"""What a selection would give to training, before anything starts. No torch."""

from dataclasses import dataclass

from engine.examples import Demonstration, Example, Pair, Rated
from tuner_app import words
from tuner_app.store import Selection, Store, example_tags, people, picking, snapshots
from tuner_app.store.rows import Summary

SAMPLE = 100  # rows whose length is looked at
BYTES = 4  # of UTF-8 to a token, about: one or two Chinese characters, a short English word


@dataclass(frozen=True)
class Prospect:
    """How much there is of one kind, and about how many tokens a row of it has."""

    kind: str
    found: Summary
    tokens_each: float

    def __str__(self) -> str:
        """“12 pairs: 4 from labels, 8 from imports. About 1,400 tokens (…).”"""
        tokens = int(float(f"{self.tokens_each * self.found.examples:.2g}"))
        return (
            f"{words.selected(self.kind, self.found)}. "
            f"About {tokens:,} tokens (an estimate: {BYTES} bytes each)."
        )


def prospect(store: Store, kind: str, selection: Selection) -> Prospect:
    """What `selection` holds of one kind of example, or of prompts. It may take seconds on a million rows."""
    sample = picking.sample(store, kind, selection, SAMPLE)
    size = sum(map(_bytes, sample)) / max(1, len(sample))
    return Prospect(kind, picking.available(store, kind, selection), size / BYTES)


def selection_words(store: Store) -> list[str]:
    """All words that a selection can be made of here, the imports' newest first."""
    sources = [f"source:{name}" for name in snapshots.sources(store)]
    persons = [f"person:{person.name}" for person in people.listed(store)]
    tags = [f"tag:{name}" for name in example_tags.known(store)]
    return ["all", "labels", "imports", *sources, *persons, *tags, "last:100", "since:2026-01-31"]


def _bytes(example: Example) -> int:
    messages = example.messages if isinstance(example, Demonstration) else example.prompt
    texts = [message.content for message in messages]
    if isinstance(example, Pair):
        texts += [example.chosen, example.rejected]
    elif isinstance(example, Rated):
        texts.append(example.reply)
    return sum(len(text.encode(errors="surrogatepass")) for text in texts)
