"""Answers under way: each is written to its end and kept, whether anybody still looks on or not."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from engine.errors import UserError
from tuner_app.conversing import asking, dialogue
from tuner_app.conversing.link import ModelLink, State
from tuner_app.page.studio.chatting import Pair
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store.asked import Asked
from tuner_app.store.rows import Message
from tuner_app.store.stamps import new_uid

if TYPE_CHECKING:
    from tuner_app.page.database import Database

MOST = 32  # answers under way at once
MOST_EACH = 2  # of one person's
MOST_REMEMBERED = 1000  # conversations whose latest answer is told apart
SECONDS_BETWEEN = 0.1  # looks at an answer that grows
TRIES = 4  # at a second answer that differs from the first
KEEP_TRIES = 60  # one a second, while the disk is full or too much waits for the database


@dataclass
class Writing:
    """An answer under way: `text` so far; `ended` when it is kept, as `answer`, or there is nothing to keep.

    `beside` is the answer that it is to be held against, and `order` how the two are to be shown, under
    `name`.
    """

    person: str
    question: Message
    by: Settings
    beside: Message | None = None
    text: str = ""
    finish: str = ""
    seed: int = 0
    sent: Asked = field(default_factory=Asked)
    answer: Message | None = None
    error: UserError | None = None
    order: tuple[int, ...] = ()
    ended: bool = False
    task: asyncio.Task[None] | None = None
    name: str = field(default_factory=new_uid)

    @property
    def pair(self) -> Pair | None:
        """The two answers to choose between, once both are there."""
        if self.beside is None or self.answer is None:
            return None
        return Pair(self.name, self.beside, self.answer, self.order)


class Answers:
    """The answers that are being written for the page's people, one in a conversation at a time."""

    def __init__(self, database: "Database", home: Home) -> None:
        self._database = database
        self._link = ModelLink(home, self._changed)
        self._latest: dict[int, Writing] = {}
        self.state: tuple[State, str] = ("off", "")

    def of(self, conversation_id: int | None) -> Writing | None:
        """The latest answer in a conversation, under way or ended, since it was last forgotten."""
        return self._latest.get(conversation_id) if conversation_id is not None else None

    def is_writing(self, question: Message) -> bool:
        """Whether this prompt is being answered."""
        latest = self.of(question.conversation_id)
        return latest is not None and not latest.ended and latest.question.id == question.id

    def forget(self, conversation_id: int) -> None:
        """Let an answer that has ended be an answer like any other."""
        latest = self.of(conversation_id)
        if latest and latest.ended:
            del self._latest[conversation_id]

    def others(self, writing: Writing) -> int:
        """How many other answers are under way."""
        return sum(other is not writing for other in self._under_way)

    @property
    def _under_way(self) -> list[Writing]:
        return [writing for writing in self._latest.values() if not writing.ended]

    def begin(
        self, person: str, question: Message, by: Settings, *, beside: Message | None = None
    ) -> Writing:
        """Have `question` answered; a UserError where that cannot begin now. Nothing waits for its end."""
        here, under_way = self.of(question.conversation_id), self._under_way
        mine = sum(other.person == person for other in under_way)
        if (here and not here.ended) or mine >= MOST_EACH:
            raise UserError(
                "An answer is still being written for you.",
                kept="Your prompt is kept.",
                do="Stop it, or wait.",
            )
        if len(under_way) >= MOST:
            raise UserError(
                f"{MOST} answers are being written for others.",
                kept="Your prompt is kept.",
                do="Try again in a moment.",
            )
        writing = Writing(person, question, asking.second(by) if beside else by, beside)
        if beside:
            writing.order = (0, 1) if random.SystemRandom().random() < 0.5 else (1, 0)
        if len(self._latest) >= MOST_REMEMBERED:
            self._latest = {other.question.conversation_id: other for other in under_way}
        self._latest[question.conversation_id] = writing
        writing.task = asyncio.create_task(self._write(writing))
        return writing

    async def follow(self, writing: Writing) -> AsyncIterator[Writing]:
        """The answer each time that there is more of it, until it has ended."""
        seen = None
        while not writing.ended:
            now = (writing.text, self.state, self.others(writing))
            if now != seen:
                seen = now
                yield writing
            await asyncio.sleep(SECONDS_BETWEEN)

    async def stop(self, conversation_id: int) -> None:
        """End the answer of a conversation; what there is of it is kept when this returns."""
        writing = self.of(conversation_id)
        if writing and writing.task and not writing.ended:
            writing.task.cancel()
            await asyncio.wait({writing.task})

    async def close(self) -> None:
        """End all answers, and wait until what there is of them is kept."""
        tasks = [writing.task for writing in self._under_way if writing.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, state: State, detail: str) -> None:
        self.state = (state, detail)

    async def _write(self, writing: Writing) -> None:
        try:
            try:
                await self._until_it_differs(writing)
            except asyncio.CancelledError:
                writing.finish = "stopped"
            except UserError as error:
                writing.finish, writing.error = "failed", self._link.lost(writing.by) or error
            whole = writing.finish not in ("stopped", "failed")
            if whole and not writing.text:
                writing.error = UserError("The model's answer was empty.", do="Have it written again.")
            if writing.text and (whole or not writing.beside):
                await asyncio.shield(asyncio.create_task(self._keep(writing)))
        except UserError as error:
            writing.error = error
        finally:
            writing.ended = True

    async def _until_it_differs(self, writing: Writing) -> None:
        first = writing.beside.content.strip() if writing.beside else None
        for _ in range(TRIES):
            writing.text, writing.seed = "", writing.by.decoding.draw()
            await self._stream(writing)
            if writing.text.strip() != first:
                return
        writing.text = ""
        raise UserError(f"{TRIES} second answers were word for word the first: there is nothing to choose.")

    async def _stream(self, writing: Writing) -> None:
        prompt = await self._database.read(dialogue.prompt_to, writing.question, writing.beside)
        client = await self._link.client(writing.by)
        by = writing.by = self._link.named(writing.by)
        if not writing.beside:
            prompt = (await asking.fitted(client, prompt, by)).prompt
        writing.sent = prompt.asked
        decoding = by.decoding.to_json() | {"seed": writing.seed}
        async for delta in client.stream(prompt.wire, model=by.adapter or "base", **decoding):
            writing.text += delta.text
            writing.finish = delta.finish or writing.finish

    async def _keep(self, writing: Writing) -> None:
        keep = partial(
            dialogue.keep_answer,
            question=writing.question,
            sent=writing.sent,
            text=writing.text,
            finish=writing.finish,
            by=writing.by,
            seed=writing.seed,
            tip=writing.beside is None,
            uid=new_uid(),
        )
        from tuner_app.page.database import NotNowError

        for tried in range(1, KEEP_TRIES + 1):
            try:
                writing.answer = await self._database.write(keep)
                return
            except NotNowError as error:
                if tried == KEEP_TRIES:
                    raise error.error from error
                await asyncio.sleep(1)
