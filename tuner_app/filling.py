"""Answers for a batch, written by the chat worker while a person judges those that are there."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import IO, Any, Concatenate, ParamSpec, Protocol, TypeVar

from engine.errors import UserError
from engine.examples import Message as Turn
from tuner_app.client import ChatClient, Refused
from tuner_app.paths import Home
from tuner_app.store import Store, batches
from tuner_app.store.rows import Batch, Maker, Reply
from tuner_app.workers import locks

AHEAD = 20  # so many answered prompts are kept ready
TOGETHER = 8  # so many prompts are answered at a time: the worker computes them in one batch
TRIES = 4  # at a second answer that differs from the first
SAME = "the answers were the same, word for word"
EMPTY = "the answer was empty"
CLAIM_SECONDS = 1.0

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """Runs a function of the store in a thread where that may wait."""

    async def __call__(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function` returns; raises what it raises."""
        ...


class Unusable(Exception):  # noqa: N818 - a verdict on answers, which is kept with their prompt
    """There is nothing to judge in the answers to a prompt; the message says why."""


class Filling:
    """Keeps a batch's next answers ready. One process at a time fills a batch: others wait for their turn.

    `ready` counts the items that wait to be judged; `filled` is called after each prompt that was answered,
    or failed to be. `changed` wakes it up when something was judged.
    """

    def __init__(
        self,
        home: Home,
        batch: Batch,
        database: Database,
        client: Callable[[Maker], Awaitable[ChatClient]],
        *,
        ready: Callable[[], int],
        filled: Callable[[], None],
    ) -> None:
        self._lock = home.workers / f"batch-{batch.uid}.lock"
        self._batch = batch
        self._database = database
        self._client = client
        self._ready = ready
        self._filled = filled
        self._after = -1
        self._changed = asyncio.Event()
        self.in_flight = 0

    def changed(self) -> None:
        """Something was judged: more may be wanted."""
        self._changed.set()

    async def run(self) -> None:
        """Until all prompts have been answered or failed, or this is cancelled; a UserError where the model
        cannot answer."""
        if not await self._database(batches.unanswered, self._batch.id, limit=1):
            return
        held = await self._claim()
        failed: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._fill(tasks)
        except* UserError as errors:
            failed = errors.exceptions[0]  # raised below: here Python 3.11.2 makes a group of it
        finally:
            self.in_flight = 0  # of tasks that were cancelled before they began nothing else tells
            held.close()
        if failed:
            raise failed

    async def _claim(self) -> IO[bytes]:
        while (held := await asyncio.to_thread(locks.hold, self._lock)) is None:
            await asyncio.sleep(CLAIM_SECONDS)
        return held

    async def _fill(self, tasks: asyncio.TaskGroup) -> None:
        self._after = -1
        while True:
            self._changed.clear()
            room = min(AHEAD - self._ready(), TOGETHER) - self.in_flight
            if room > 0:
                found = await self._database(
                    batches.unanswered, self._batch.id, after=self._after, limit=room
                )
                for position, prompt in found:
                    self._after = position
                    self.in_flight += 1
                    tasks.create_task(self._one(position, prompt))
                if len(found) < room:
                    return
            await self._changed.wait()

    async def _one(self, position: int, prompt: tuple[Turn, ...]) -> None:
        try:
            replies = await self._answers(prompt)
            await self._database(batches.answer, self._batch.id, position, replies)
        except (Unusable, Refused) as error:
            why = error.what if isinstance(error, Refused) else str(error)
            await self._database(batches.fail, self._batch.id, position, why)
        finally:
            self.in_flight -= 1
            self._changed.set()
        self._filled()

    async def _answers(self, prompt: tuple[Turn, ...]) -> list[Reply]:
        """One reply of each maker; two that differ, of one or of two, where pairs are judged."""
        makers = self._batch.makers
        if self._batch.kind == "single":
            return await self._draw(prompt, makers[0])
        first, second = makers[0], makers[-1]
        if first == second:
            replies = await self._draw(prompt, first, 2)
        else:
            replies = await self._draw(prompt, first) + await self._draw(prompt, second)
        for _ in range(TRIES - 1):
            if replies[0].content.strip() != replies[1].content.strip():
                return replies
            replies[1:] = await self._draw(prompt, second)
        if replies[0].content.strip() != replies[1].content.strip():
            return replies
        raise Unusable(SAME)

    async def _draw(self, prompt: tuple[Turn, ...], maker: Maker, count: int = 1) -> list[Reply]:
        client = await self._client(maker)
        asked = [{"role": turn.role, "content": turn.content} for turn in prompt]
        decoding: dict[str, Any] = dict(self._batch.decoding) | {"seed": secrets.randbelow(2**31)}
        drawn = await client.complete(asked, model=maker.adapter or "base", n=count, **decoding)
        if not all(reply.text.strip() for reply in drawn):
            raise Unusable(EMPTY)
        return [Reply(reply.text, maker.base, maker.adapter) for reply in drawn]
