"""`tuner demo`: the whole loop without a person, through the store and the workers that people use.

Chat over prompts, let a scripted annotator judge the answers, train SFT on the corrections, judge the
new model's answers, train DPO on top, and measure all three models on questions that none has seen.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path

import click
from rich.console import Console

from assets import world
from assets.world import Question
from engine.errors import UserError
from tuner_app import console as progress
from tuner_app import launch, paths
from tuner_app.client import ChatClient
from tuner_app.demo import annotator
from tuner_app.demo.report import Answers, Report, score, show, win_rate
from tuner_app.paths import Home
from tuner_app.settings import Decoding
from tuner_app.store import Store, chats
from tuner_app.store.rows import Reply, Verb
from tuner_app.store.snapshots import Selection
from tuner_app.workers import supervisor

NEW = ("camel", "penguin", "owl", "mango", "kiwi")  # left out of the base, and taught here
TEACH, TEACH_NEW = 240, 80  # prompts that are labelled: about the known world, about what is new
AGAIN = 2  # pairs of answers to each of these prompts that are labelled after SFT
TEST, TEST_NEW = 80, 30  # held-out questions
SAMPLES = 3  # replies to each held-out question
TEXTS = 150  # held-out dialogues for perplexity
BASE = "builtin"
LABEL = Decoding(temperature=1.0, max_tokens=80)  # two answers that differ, so that there is a choice
CHAT = Decoding(max_tokens=80)  # as the app draws an answer when nothing is set


def run(*, seed: int, folder: Path | None, as_json: bool) -> int:
    """Run the loop; returns 0 when the trained model is better than the base."""
    home = paths.home(folder or tempfile.mkdtemp(prefix="tuner-demo-"))
    if home.database.exists():
        raise UserError(
            f"{home.folder} holds a database already.",
            kept="It was left as it is.",
            do="Give an empty folder: the demo fills one of its own.",
        )
    home.create()
    store = Store.open(home.database, migrate=True)
    try:
        report = Loop(home, store, seed, Console(stderr=True, highlight=False)).run()
    finally:
        supervisor.stop_chat(home)
        store.close()
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        show(report, Console(highlight=False))
        click.echo(f"\nOpen the app on what it made:  tuner --home {home.folder}")
    if not report.better():
        click.secho("The trained model is not better than the base.", fg="red", err=True)
        return 1
    return 0


class Loop:
    """One pass from chat to a better model."""

    def __init__(self, home: Home, store: Store, seed: int, console: Console) -> None:
        self.home, self.store, self.seed, self.console = home, store, seed, console
        self.rng = random.Random(seed)
        self.report = Report(seed=seed, home=str(home.folder))
        self.teach = world.questions(TEACH, seed, "train") + about_new(TEACH_NEW, seed, "lessons")
        self.rng.shuffle(self.teach)
        self.test = world.questions(TEST, seed, "held_out") + about_new(TEST_NEW, seed, "lessons_held_out")

    def run(self) -> Report:
        """Every part in turn, timed."""
        with self.part("start"):
            self.client = self.connect()
        base = self.measure("base", "")
        self.label("base", "", self.teach, corrects=True)
        sft = self.train("sft", precision="nf4")
        after_sft = self.measure("SFT", sft)
        seen = datetime.now(UTC)
        self.label("SFT", sft, self.teach, corrects=False, pairs=AGAIN)
        dpo = self.train("dpo", parent=sft, since=seen)
        after_dpo = self.measure("DPO", dpo)
        for name, answers in (("SFT", after_sft), ("DPO", after_dpo)):
            self.report.win_rates[name] = win_rate(self.test, answers, base)
        with self.part("perplexity"):
            self.add_perplexity(["", sft, dpo])
        return self.report

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Say what is going on, and keep how long it took."""
        self.console.print(f"· {name}")
        start = time.perf_counter()
        yield
        self.report.seconds[name] = round(time.perf_counter() - start, 1)

    def connect(self) -> ChatClient:
        """A client of the chat worker, started for the built-in base."""
        endpoint = supervisor.ensure_chat(self.home, BASE)
        return ChatClient(endpoint.url, endpoint.key)

    def measure(self, name: str, adapter: str) -> Answers:
        """Answer the held-out questions and judge the replies."""
        with self.part(f"chat: {name}, {len(self.test)} held-out questions"):
            answers = self.ask(self.test, adapter, SAMPLES, CHAT)
        self.report.scores.append(score(name, self.test, answers))
        return answers

    def ask(self, questions: Sequence[Question], adapter: str, samples: int, decoding: Decoding) -> Answers:
        """`samples` replies to each question from the chat worker."""
        self.client = self.connect()  # on a GPU, a run has ended the worker that there was
        return asyncio.run(self._ask(questions, adapter, samples, decoding))

    async def _ask(
        self, questions: Sequence[Question], adapter: str, samples: int, decoding: Decoding
    ) -> Answers:
        answers = []
        for number, question in enumerate(questions):
            replies = await self.client.complete(
                [{"role": message.role, "content": message.content} for message in question.prompt],
                model=adapter or "base",
                n=samples,
                seed=self.seed * 10_000 + number,
                **decoding.to_json(),
            )
            answers.append([reply.text for reply in replies])
        return answers

    def label(
        self, name: str, adapter: str, questions: Sequence[Question], *, corrects: bool, pairs: int = 1
    ) -> None:
        """Chat over the questions, keep the conversations, and have pairs of answers labelled."""
        with self.part(f"label: {name}, {pairs * len(questions)} pairs"):
            verbs: Counter[Verb] = Counter()
            answers = self.ask(questions, adapter, 2 * pairs, LABEL)
            for question, texts in zip(questions, answers, strict=True):
                replies = self.keep(question, texts, adapter)
                for first in range(0, len(replies), 2):
                    two = replies[first : first + 2]
                    verbs[annotator.label(self.store, question, two, self.rng, corrects=corrects)] += 1
        self.report.labels[name] = annotator.summary(verbs)
        self.console.print(f"  {self.report.labels[name]}")

    def keep(self, question: Question, texts: Sequence[str], adapter: str) -> list[Reply]:
        """A conversation of the store that ends in several answers to the question."""
        with self.store.write():
            conversation = chats.start(self.store, title=question.prompt[-1].content)
            asked = None
            for message in question.prompt:
                asked = chats.add(
                    self.store,
                    conversation.id,
                    role=message.role,
                    content=message.content,
                    parent_id=asked.id if asked else None,
                )
            assert asked is not None
            kept = [
                chats.add(
                    self.store,
                    conversation.id,
                    role="assistant",
                    content=text,
                    parent_id=asked.id,
                    model=BASE,
                    adapter=adapter,
                    decoding=LABEL.to_json(),
                    seed=self.seed,
                    finish="stop",
                )
                for text in texts
            ]
        return [Reply(m.content, model=BASE, adapter=adapter, message_id=m.id) for m in kept]

    def train(
        self, method: str, *, parent: str = "", precision: str = "auto", since: datetime | None = None
    ) -> str:
        """Run a training method on the labels (since a moment); returns the run's name."""
        with self.part(f"train: {method}" + (" (QLoRA)" if precision == "nf4" else "")):
            plan = launch.Plan(
                method=method,
                base=BASE,
                parent=parent,
                selection=Selection.parse("labels" + (f",since:{since.isoformat()}" if since else "")),
                precision=precision,
                options=OPTIONS[method],
                seed=self.seed,
            )
            run = launch.prepare(self.store, self.home, plan)
            supervisor.start_run(self.home, self.store, run)
            ended = progress.wait(self.home, self.store, run, quiet=not sys.stderr.isatty())
        if ended.status != "done":
            raise UserError(f"The {method} run ended as {ended.status}. {ended.error}")
        return ended.name

    def add_perplexity(self, adapters: Sequence[str]) -> None:
        """Perplexity of held-out text of the world under each model: forgetting shows here."""
        from tuner_app.workers.measure import perplexities

        texts = list(islice(world.dialogues(self.seed + 1, TEXTS, split="held_out"), TEXTS))
        folders = [self.home.adapter(name) if name else None for name in adapters]
        values = perplexities(str(paths.builtin_base()), folders, texts)
        self.report.scores = [
            replace(row, perplexity=value) for row, value in zip(self.report.scores, values, strict=True)
        ]


def about_new(n: int, seed: int, split: world.Split) -> list[Question]:
    """`n` questions about the things in `NEW`."""
    found = (
        question
        for batch in count()
        for question in world.questions(200, seed + 1000 * batch, split)
        if any(name in question.prompt[-1].content.lower() for name in NEW)
    )
    return list(islice(found, n))


# The earlier turns of a conversation were nobody's correction: SFT learns from the last reply alone.
OPTIONS: dict[str, dict[str, float]] = {
    "sft": {"epochs": 4, "learning_rate": 3e-3, "batch_size": 8, "last_turn_only": True},
    "dpo": {"epochs": 2, "learning_rate": 1e-3, "batch_size": 16, "beta": 0.1, "rpo_alpha": 10.0},
}
