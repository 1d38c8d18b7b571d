"""Connections: who says nothing, reads nothing or opens too many is cut off."""

import asyncio
import ipaddress
import resource
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0  # in which a request's headers have to be there
READ_SECONDS = 30.0  # for which a browser may read nothing of what is sent
MOST_OPEN = 2_000
MOST_OF_ONE = 1_000  # of one address: a hundred people behind it, with a browser's six each and their streams


class Connection(H11Protocol):
    """uvicorn's connection, which itself waits for headers as long as they dribble in."""

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the headers. Of too many, the one that is idle the longest gives way, and where all are in
        use, this one."""
        super().connection_made(transport)
        self._heard, self._network = self.loop.time(), network(self.client[0] if self.client else "")
        everyone: list[Connection] = [one for one in self.connections if isinstance(one, Connection)]
        crowd = [one for one in everyone if one._network == self._network]
        if len(crowd) <= MOST_OF_ONE:
            crowd = everyone if len(everyone) > MOST_OPEN else []
        self._wait()
        if crowd:
            idle = [one for one in crowd if one is not self and one._is_idle]
            leaving = min(idle, key=lambda one: one._heard, default=self)
            self.connections.discard(leaving)  # at once: the next that comes is not to find it again
            leaving.transport.close()

    def data_received(self, data: bytes) -> None:
        """Read on; the deadline ends when the headers are there."""
        self._heard = self.loop.time()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop()
        elif self._deadline is None and self._is_idle:
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

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

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


def network(address: str) -> str:
    """Whose an address is: of IPv6 the first half, which one person has all of."""
    if ":" in address:
        return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False))
    return address


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
