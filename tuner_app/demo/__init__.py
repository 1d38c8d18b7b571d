"""`tuner demo`: the whole loop without a person, through the store and the workers that people use.

Chat over prompts, let a scripted annotator judge the answers, and train SFT on the corrections. Judge the new
model's answers too; train on top of it DPO on the pairs, KTO on the thumbs that they come to, and PPO, led by
a reward model of all pairs. Measure every model on questions that none has seen.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
from engine.examples import Message
from tuner_app import console as progress
from tuner_app import launch, paths
from tuner_app.client import ChatClient
from tuner_app.demo import annotator
from tuner_app.demo.report import Answers, Report, score, show, win_rate
from tuner_app.paths import Home
from tuner_app.settings import Decoding
from tuner_app.store import Store, chats, runs
from tuner_app.store.rows import Reply, Verb
from tuner_app.store.selection import Selection
from tuner_app.workers import seat, supervisor

NEW = ("camel", "penguin", "owl", "mango", "kiwi")  # left out of the base, and taught here
TEACH, TEACH_NEW = 200, 60  # prompts that are labelled: about the known world, about what is new
AGAIN = 2  # pairs of the SFT model's answers to each of these prompts that are labelled
TEST, TEST_NEW = 120, 40  # held-out questions
SAMPLES = 4  # replies to each held-out question
TOGETHER = 8  # questions that the chat worker is asked at a time
TEXTS = 150  # held-out dialogues for perplexity
BASE = "builtin"
LABEL = Decoding(temperature=1.0, max_tokens=80)  # two answers that differ, so that there is a choice
CHAT = Decoding(max_tokens=80)  # as the app draws an answer when nothing is set


def run(*, seed: int, folder: Path | None, as_json: bool) -> int:
    """Run the loop; returns 0 when every model got better: `Report.shortfalls`."""
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
    shortfalls = report.shortfalls()
    for shortfall in shortfalls:
        click.secho(shortfall, fg="red", err=True)
    return 1 if shortfalls else 0


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
        """The parts, timed. A model is measured while the next is trained; on a GPU they take turns."""
        began = time.perf_counter()
        with self.part("start"):
            self.connect()
        answers: dict[str, Future[Answers]] = {}
        with ThreadPoolExecutor(1) as beside:

            def add(name: str, adapter: str, start: str = "") -> None:
                for measured in answers.values():
                    if measured.done():
                        measured.result()  # a fault is told now, not when all is trained
                answers[name] = beside.submit(self.measure, name, adapter, start)
                if seat.chat_needs_it():
                    wait([answers[name]])

            self.label("base", "", pairs=1)
            add("base", "")
            sft = self.train("sft", precision="nf4")
            seen = datetime.now(UTC)
            self.label("SFT", sft, pairs=AGAIN)
            add("SFT", sft)
            reward = self.train("reward", parent=sft)
            add("DPO", self.train("dpo", parent=sft, since=seen), sft)
            add("KTO", self.train("kto", parent=sft, since=seen), sft)
            add("PPO", self.train("ppo", parent=sft, reward=reward), sft)
        replies = {name: measured.result() for name, measured in answers.items()}
        for name in list(replies)[1:]:
            self.report.win_rates[name] = win_rate(self.test, replies[name], replies["base"])
        self.report.reward = self.held_out(reward)
        self.report.seconds["all"] = round(time.perf_counter() - began, 1)
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

    def measure(self, name: str, adapter: str, start: str) -> Answers:
        """Answer the held-out questions and judge the replies; see how far it went from where it started."""
        with self.part(f"measure: {name}, {len(self.test)} held-out questions"):
            answers = self.ask(self.test, adapter, SAMPLES, CHAT)
            row = score(name, self.test, answers)
            self.report.scores.append(
                replace(row, perplexity=self.perplexity(adapter), kl=self.kl(adapter, start, answers))
            )
        return answers

    def ask(self, questions: Sequence[Question], adapter: str, samples: int, decoding: Decoding) -> Answers:
        """`samples` replies to each question from the chat worker."""
        client = self.connect()  # on a GPU, a run has ended the worker that there was
        return asyncio.run(self._ask(client, questions, adapter, samples, decoding))

    async def _ask(
        self,
        client: ChatClient,
        questions: Sequence[Question],
        adapter: str,
        samples: int,
        decoding: Decoding,
    ) -> Answers:
        turns = asyncio.Semaphore(TOGETHER)

        async def reply_to(number: int, question: Question) -> list[str]:
            async with turns:
                replies = await client.complete(
                    [{"role": message.role, "content": message.content} for message in question.prompt],
                    model=adapter or "base",
                    n=samples,
                    **decoding.to_json() | {"seed": self.seed * 10_000 + number},
                )
            return [reply.text for reply in replies]

        return await asyncio.gather(*(reply_to(*numbered) for numbered in enumerate(questions)))

    def label(self, name: str, adapter: str, *, pairs: int) -> None:
        """Chat over the questions, keep the conversations, and have pairs of answers labelled."""
        with self.part(f"label: {name}, {pairs * len(self.teach)} pairs"):
            verbs: Counter[Verb] = Counter()
            answers = self.ask(self.teach, adapter, 2 * pairs, LABEL)
            for question, texts in zip(self.teach, answers, strict=True):
                replies = self.keep(question, texts, adapter)
                for first in range(0, len(replies), 2):
                    two = replies[first : first + 2]
                    verbs[annotator.label(self.store, question, two, self.rng)] += 1
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
        self,
        method: str,
        *,
        parent: str = "",
        reward: str = "",
        precision: str = "auto",
        since: datetime | None = None,
    ) -> str:
        """Run a training method on the labels (since a moment); returns the run's name."""
        with self.part(f"train: {method}" + (" (QLoRA)" if precision == "nf4" else "")):
            if method in WHY:
                self.console.print(f"  {WHY[method]}")
            plan = launch.Plan(
                method=method,
                base=BASE,
                parent=parent,
                reward=reward,
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

    def held_out(self, reward: str) -> tuple[float, float, float]:
        """How often a reward model is right on held-out pairs, with its interval, as its run reported."""
        run = runs.get(self.store, reward)
        assert run is not None
        (event,) = runs.events(self.store, run.id, kinds=["evaluation"])
        return event.data["accuracy"], event.data["low"], event.data["high"]

    def perplexity(self, adapter: str) -> float:
        """That of held-out text of the world: forgetting shows here."""
        from tuner_app.workers import measure

        texts = list(islice(world.dialogues(self.seed + 1, TEXTS, split="held_out"), TEXTS))
        folder = self.home.adapter(adapter) if adapter else None
        return measure.perplexity(str(paths.builtin_base()), folder, texts)

    def kl(self, adapter: str, start: str, answers: Answers) -> float | None:
        """KL in nats a reply from the adapter that it started from, over its own answers."""
        from tuner_app.workers import measure

        if not start:
            return None
        told = [
            (*question.prompt, Message("assistant", reply))
            for question, replies in zip(self.test, answers, strict=True)
            for reply in replies
        ]
        folders = self.home.adapter(adapter), self.home.adapter(start)
        return measure.divergence(str(paths.builtin_base()), *folders, told, CHAT.temperature)


def about_new(n: int, seed: int, split: world.Split) -> list[Question]:
    """`n` questions about the things in `NEW`."""
    found = (
        question
        for batch in count()
        for question in world.questions(200, seed + 1000 * batch, split)
        if any(name in question.prompt[-1].content.lower() for name in NEW)
    )
    return list(islice(found, n))


WHY = {
    "kto": "A good reply counts 20 times a bad one here, far more than the paper's balance: "
    "a base as small as this one forgets how to write when replies are made unlikely."
}

# The earlier turns of a conversation were nobody's correction: SFT learns from the last reply alone. A model
# as small as this one soon writes broken sentences when replies are made unlikely: DPO holds the chosen one
# up, and for KTO a good one counts more. PPO has few phases here: its value function may learn all of one at
# once, and its many samples make up for what the reward model of so small a base does not know.
OPTIONS: dict[str, dict[str, float]] = {
    "sft": {"epochs": 3, "learning_rate": 3e-3, "batch_size": 8, "last_turn_only": True},
    "reward": {"epochs": 2, "learning_rate": 7e-4, "batch_size": 16, "held_out": 0.15},
    "dpo": {"epochs": 2, "learning_rate": 1e-3, "batch_size": 16, "beta": 0.1, "rpo_alpha": 10.0},
    "kto": {"epochs": 1, "learning_rate": 5e-4, "batch_size": 16, "good_weight": 20.0, "bad_weight": 1.0},
    "ppo": {
        "epochs": 1,
        "learning_rate": 5e-4,
        "rollout_batch": 64,
        "batch_size": 16,
        "samples": 8,
        "max_new_tokens": 64,
        "kl_coefficient": 0.1,
        "value_clip_range": 10.0,
    },
}
