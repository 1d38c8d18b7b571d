"""The shared batches' next answers, written by the chat worker while people label."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner_app import settings
from tuner_app.client import ChatClient
from tuner_app.conversing.link import ModelLink
from tuner_app.filling import AHEAD, Filling
from tuner_app.paths import Home
from tuner_app.store import Store, batches
from tuner_app.store.rows import Batch, Maker

if TYPE_CHECKING:
    from tuner_app.page.database import Database

LOOK_SECONDS = 1.0
PAUSE_SECONDS = 30.0  # after a model could not answer
WRITES = "the model writes the next answers"
ENOUGH = "enough answers are ready"
TURN = "waits until another model has written what others need"


@dataclass(frozen=True)
class Need:
    """A shared batch whose prompts are not all answered; `open` items can be taken now, up to `AHEAD`."""

    batch: Batch
    open: int

    @property
    def base(self) -> str:
        """Whose answers it waits for."""
        return self.batch.makers[0].base

    @property
    def urgent(self) -> bool:
        """Whether fewer items are ready than should be."""
        return self.open < AHEAD


def needs(store: Store) -> list[Need]:
    """The shared batches with prompts that nobody has answered, those of high priority first."""
    rows = store.query(
        """SELECT b.id, (SELECT count(*) FROM (SELECT 1 FROM slots s WHERE s.batch_id = b.id AND s.room > 0
             AND s.gold_verb IS NULL LIMIT ?)) AS open
           FROM batches b WHERE shared AND NOT archived AND EXISTS
             (SELECT 1 FROM batch_prompts p WHERE p.batch_id = b.id AND p.item_id IS NULL AND p.failure = '')
           ORDER BY priority DESC, b.id""",
        (AHEAD,),
    )
    found = [Need(batches.get(store, row["id"]), row["open"]) for row in rows]
    return [need for need in found if need.batch.makers]


def chosen(found: Sequence[Need], base: str) -> str:
    """The base that answers now: one is in memory at a time, and `base` is. It goes on as long as a batch of
    its own needs more; then comes that of the first batch that does."""
    urgent = [need for need in found if need.urgent]
    if any(need.base == base for need in urgent) or not urgent:
        return base
    return urgent[0].base


class Answering:
    """`async with` it in the server's lifespan. `states` says what becomes of each batch, by id."""

    def __init__(self, home: Home, database: "Database") -> None:
        self._home, self._database = home, database
        self._base = ""
        self._open: dict[int, int] = {}
        self._filling: dict[int, tuple[Filling, asyncio.Task[None]]] = {}
        self._failed: dict[int, tuple[str, float]] = {}
        self._link = ModelLink(home, lambda state, why: None)
        self._loop: asyncio.Task[None] | None = None
        self.states: dict[int, str] = {}

    async def __aenter__(self) -> "Answering":
        self._loop = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for _, task in self._filling.values()]
        for task in [*([self._loop] if self._loop else []), *tasks]:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def try_again(self, batch_id: int) -> None:
        """Forget that a batch's model could not answer."""
        self._failed.pop(batch_id, None)

    async def _run(self) -> None:
        while True:
            # A database that cannot answer now may do so in a second; others tell what is wrong with it.
            with suppress(Exception):
                await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        found = await self._database.read(needs)
        self._open = {need.batch.id: need.open for need in found}
        self._base = chosen([need for need in found if need.batch.id not in self._pausing()], self._base)
        wanted = {need.batch.id: need for need in found if need.base == self._base}
        for id, (filling, task) in list(self._filling.items()):
            if task.done():
                self._ended(id, task)
            elif id not in wanted:
                task.cancel()
                del self._filling[id]
            else:
                filling.changed()
        for id, need in wanted.items():
            if id not in self._filling and id not in self._pausing():
                self._start(need.batch)
        self.states = {need.batch.id: self._state(need) for need in found}

    def _start(self, batch: Batch) -> None:
        filling = Filling(
            self._home,
            batch,
            self._database.write,
            self._client,
            ready=lambda: self._open.get(batch.id, 0),
            filled=lambda: self._count(batch.id),
        )
        self._filling[batch.id] = filling, asyncio.create_task(filling.run())

    def _count(self, batch_id: int) -> None:
        self._open[batch_id] = self._open.get(batch_id, 0) + 1

    def _ended(self, batch_id: int, task: "asyncio.Task[None]") -> None:
        del self._filling[batch_id]
        error = None if task.cancelled() else task.exception()
        if error:
            now = asyncio.get_running_loop().time()
            self._failed[batch_id] = str(error), now + PAUSE_SECONDS

    def _pausing(self) -> set[int]:
        now = asyncio.get_running_loop().time()
        return {id for id, (_, until) in self._failed.items() if now < until}

    def _state(self, need: Need) -> str:
        if need.batch.id in self._pausing():
            return self._failed[need.batch.id][0]
        if not need.urgent:
            return ENOUGH
        return WRITES if need.base == self._base else TURN

    async def _client(self, maker: Maker) -> ChatClient:
        return await self._link.maker(await asyncio.to_thread(settings.load, self._home), maker)
