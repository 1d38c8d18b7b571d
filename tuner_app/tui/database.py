"""The screens' way to the store: one thread that reads and writes in the order of the keys pressed."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from tuner_app.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """`await database(function, …)` runs `function(store, …)` in the database thread.

    A call that has been made is carried out even when whoever awaits it is cancelled. A call that is made
    while the app closes is cancelled: nobody is left to see what it would give.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._closed = False

    async def __call__(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function` returns; raises what it raises."""
        return await self._run(self._thread, partial(function, self.store, *args, **kwargs))

    async def beside(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same in another thread: for what reads long, so that no key and no label waits for it."""
        return await self._run(self._reader, partial(function, self.store, *args, **kwargs))

    async def _run(self, thread: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        if self._closed:
            raise asyncio.CancelledError
        return await asyncio.get_running_loop().run_in_executor(thread, call)

    def close(self) -> None:
        """Wait for what is being written."""
        self._closed = True
        self._reader.shutdown(wait=True, cancel_futures=True)
        self._thread.shutdown(wait=True)
