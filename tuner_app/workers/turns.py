"""Whose turn it is to be answered: first come first served, requests for one model together."""

import asyncio
import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from engine.answers import Delta, Request
from engine.generate import Batch
from tuner_app.store.run_rows import AdapterRow
from tuner_app.workers.model import ChatModel
from tuner_app.workers.openai_api import ChatRequest, Reply

News = list[Delta] | BaseException


@dataclass(eq=False)
class Ticket:
    """A request that waits or is answered; `tell` passes on what there is, or why there will be no more.

    An answer that is not streamed is told as a whole, which spares the server's thread a call for each token.
    """

    asked: ChatRequest
    adapter: AdapterRow | None
    reply: Reply
    tell: Callable[[News], None]
    left: threading.Event = field(default_factory=threading.Event)
    prompt: list[int] = field(default_factory=list)
    _held: list[Delta] = field(default_factory=list)
    _ended: int = 0

    def add(self, deltas: list[Delta]) -> None:
        """More of the answers."""
        self._held += deltas
        self._ended += sum(bool(delta.finish) for delta in deltas)
        if self.asked.stream or self.ended:
            self.tell(self._held)
            self._held = []

    @property
    def ended(self) -> bool:
        """Whether all answers are."""
        return self._ended == self.asked.sampling.n


class Turns:
    """Answers requests on one thread: those for the model that is answering join in, others wait for it."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="generate")
        self.waiting = 0  # requests that are answered or wait for their turn
        self.idle_since = time.monotonic()
        self._tickets: deque[Ticket] = deque()

    async def stream(
        self, asked: ChatRequest, adapter: AdapterRow | None, reply: Reply
    ) -> AsyncGenerator[list[Delta]]:
        """The answers, a few deltas at a time; closing this iterator stops them at the next token."""
        loop, items = asyncio.get_running_loop(), asyncio.Queue[News]()

        def tell(news: News) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone when the worker ends
                loop.call_soon_threadsafe(items.put_nowait, news)

        ticket = Ticket(asked, adapter, reply, tell)
        self.waiting += 1
        try:
            self._tickets.append(ticket)
            self.thread.submit(self._answer)
            ended = 0
            while ended < asked.sampling.n:
                news = await items.get()
                if isinstance(news, BaseException):
                    raise news
                ended += sum(bool(delta.finish) for delta in news)
                yield news
        finally:
            ticket.left.set()
            self.waiting -= 1
            self.idle_since = time.monotonic()

    @property
    def idle(self) -> float:
        """Seconds since the last request was answered; 0 while one is."""
        return 0.0 if self.waiting else time.monotonic() - self.idle_since

    def _answer(self) -> None:
        """Answer all who wait, and who come meanwhile."""
        while self._tickets:
            batch, answered = self.model.batch(), dict[Request, Ticket]()
            adapter = self._tickets[0].adapter
            self._admit(adapter, batch, answered)
            while batch:
                try:
                    self._step(batch, answered)
                except BaseException as error:  # raised again where the requests wait
                    for ticket in answered.values():
                        ticket.tell(self.model.explained(error))
                    break
                self._admit(adapter, batch, answered)

    def _step(self, batch: Batch, answered: dict[Request, Ticket]) -> None:
        """One token more of every answer, told to those who wait for it; or why there is none."""
        more = defaultdict[Request, list[Delta]](list)
        for request, news in batch.step():
            if isinstance(news, Exception):
                answered.pop(request).tell(self.model.explained(news))
            else:
                more[request].append(news)
        for request, deltas in more.items():
            answered[request].add(deltas)
            if answered[request].ended:
                del answered[request]

    def _admit(self, adapter: AdapterRow | None, batch: Batch, answered: dict[Request, Ticket]) -> None:
        """Let those who are next join, as long as they want this adapter and there is room."""
        while self._tickets and self._tickets[0].adapter == adapter:
            ticket = self._tickets[0]
            try:
                if not ticket.left.is_set():
                    ticket.prompt = ticket.prompt or self.model.prompt(adapter, ticket.asked.messages)
                    ticket.reply.prompt_tokens = len(ticket.prompt)
                    if not batch.takes(len(ticket.prompt), ticket.asked.sampling):
                        return
                    request = batch.join(ticket.prompt, ticket.asked.sampling, ticket.left.is_set)
                    answered[request] = ticket
            except BaseException as error:
                ticket.tell(self.model.explained(error))
            self._tickets.popleft()
