"""Connections: who says nothing, reads nothing or opens too many is cut off."""

import asyncio
import resource
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0  # in which a request's headers have to be there
READ_SECONDS = 30.0  # for which a browser may read nothing of what is sent
MOST_OPEN = 2_000


class Connection(H11Protocol):
    """uvicorn's connection, which itself waits for headers as long as they dribble in."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the headers, or refuse: there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_OPEN:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on; the deadline ends when the headers are there."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop()
        elif self._deadline is None and (before is None or before.response_complete):
            self._wait()  # a kept connection's next request has begun

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._has_read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop()
        self._has_read()
        super().connection_lost(exc)

    def _has_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def allow_many() -> None:
    """Let this process have a file open for each connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MOST_OPEN
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def settings() -> dict[str, Any]:
    """How uvicorn is set up for strangers."""
    return {
        "http": Connection,
        "ws": "none",
        "lifespan": "on",
        "log_level": "critical",  # a fault is kept in fault.log; lines that strangers cause are not wanted
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "h11_max_incomplete_event_size": 32 * 1024,
        "timeout_keep_alive": 30,
        "backlog": 1024,
    }
