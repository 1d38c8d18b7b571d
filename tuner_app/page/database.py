"""The page's way to the database: one thread that writes for everybody, some that read."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar

from engine.errors import UserError
from tuner_app.store import Store, sqlite

P = ParamSpec("P")
T = TypeVar("T")
Call = Callable[[], Any]

READERS, BESIDE = 4, 2  # threads: of those beside them one may export a million rows for minutes
MOST_WAITING = 256  # calls in each queue; who comes then is told to come again
MOST_TOGETHER = 64  # writes in one transaction: one sync of the disk for all of them
GAP_SECONDS = 0.005  # between full transactions: other processes ask for the lock every 4 ms


class NotNowError(Exception):
    """The database cannot answer now: too much waits for it, it is locked, or its disk is full.

    Nothing of the call was kept; whoever asked keeps it and asks again.
    """

    def __init__(self, error: UserError, *, full: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.full = full  # there is no room for it; else it is worth trying again soon


class Database:
    """`await database.write(function, …)` runs `function(store, …)` and returns when that is on disk.

    A write that has been made is carried out even when whoever awaits it is cancelled. What waits is written
    in one transaction, in the order in which it came, each call in a savepoint of its own: one that raises
    changes nothing and spoils no other. Raises NotNowError, else what the function raises.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._readers = ThreadPoolExecutor(READERS, "reader", initializer=self._only_read)
        self._beside = ThreadPoolExecutor(BESIDE, "beside", initializer=self._only_read)
        self._reading = 0
        self._writes: SimpleQueue[tuple[Call, Future[Any]] | None] = SimpleQueue()
        self._writer = Thread(target=self._write_all, name="writer")
        self._writer.start()

    async def read(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function` returns, which reads a few rows."""
        return await self._read(self._readers, partial(function, self._store, *args, **kwargs))

    async def beside(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same for what reads long: in threads that no labelling waits for."""
        return await self._read(self._beside, partial(function, self._store, *args, **kwargs))

    async def write(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function` returns, once its transaction is on disk."""
        if self._writes.qsize() >= MOST_WAITING:
            raise _overloaded()
        done: Future[T] = Future()
        self._writes.put((partial(function, self._store, *args, **kwargs), done))
        return await asyncio.shield(asyncio.wrap_future(done))

    async def apart(
        self, function: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `function` returns, in a thread and with transactions of its own: for what waits for other
        processes, as the start of a run does, and for what writes so long that others have to get between."""
        return await asyncio.to_thread(function, self._store, *args, **kwargs)

    def close(self) -> None:
        """Carry out all writes that wait, then end the threads and close the store."""
        self._writes.put(None)
        self._writer.join()
        for pool in (self._readers, self._beside):
            pool.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def _only_read(self) -> None:
        self._store.db.execute("PRAGMA query_only=ON")

    async def _read(self, pool: ThreadPoolExecutor, call: Callable[[], T]) -> T:
        if self._reading >= MOST_WAITING:
            raise _overloaded()
        self._reading += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, call)
        except UserError as error:
            failed = self._of_the_database(error)
            if failed is error:
                raise
            raise failed from error
        finally:
            self._reading -= 1

    def _write_all(self) -> None:
        while (first := self._writes.get()) is not None:
            group, end = [first], False
            while len(group) < MOST_TOGETHER:
                try:
                    following = self._writes.get_nowait()
                except Empty:
                    break
                if following is None:
                    end = True
                    break
                group.append(following)
            _answer(group, self._together([call for call, _ in group]))
            if end:
                return
            if not self._writes.empty():
                time.sleep(GAP_SECONDS)

    def _together(self, calls: list[Call]) -> list[Any]:
        """What each call returned, or the exception that it raised, once all of it is committed."""
        try:
            with self._store.write():
                return [self._alone(call) for call in calls]
        except _UndoneError as undone:
            error: BaseException = undone.__cause__ or undone
        except BaseException as failed:
            error = failed
        return [self._of_the_database(error)] * len(calls)

    def _alone(self, call: Call) -> Any:
        db = self._store.db
        with sqlite.translated(self._store.path):
            db.execute("SAVEPOINT one")
        try:
            result = call()
        except Exception as error:
            if not db.in_transaction:  # a full disk has undone the calls before this one too
                raise _UndoneError from error
            with sqlite.translated(self._store.path):
                db.execute("ROLLBACK TO one")
            result = self._of_the_database(error)
        with sqlite.translated(self._store.path):
            db.execute("RELEASE one")
        return result

    def _of_the_database(self, error: BaseException) -> BaseException:
        """NotNowError for what the database could not do; `error` itself for what the call found wrong.

        Where the database lies on this machine is nothing to tell a browser.
        """
        if not isinstance(error, UserError) or not isinstance(error.__cause__, sqlite.DatabaseError):
            return error
        path = self._store.path
        what, do = (
            text.replace(f" {path}", "").replace(str(path.parent), "its folder")
            for text in (error.what, error.do)
        )
        told = UserError(what, kept=error.kept, do=do)
        return NotNowError(told, full=isinstance(error, sqlite.FullError))


class _UndoneError(Exception):
    """The whole transaction is gone, because of the cause."""


def _answer(group: list[tuple[Call, Future[Any]]], results: list[Any]) -> None:
    for (_, future), result in zip(group, results, strict=True):
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def _overloaded() -> NotNowError:
    return NotNowError(
        UserError(
            "Too many people are asking at once.", kept="Nothing of this was saved.", do="Try again shortly."
        )
    )
