"""More connections than there is room for: those that are idle give way, those in use stay."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gate
import pytest

from tuner_app.page import connections

MOST = 4


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[gate.Gate]:
    monkeypatch.setattr(connections, "MOST_OF_ONE", MOST)
    with gate.gate(tmp_path) as page:
        yield page


@pytest.fixture
def wires() -> Iterator[ExitStack]:
    with ExitStack() as wires:
        yield wires


def connected(page: gate.Gate, wires: ExitStack, head: str, address: str = "127.0.0.1") -> socket.socket:
    """A connection from an address of the loopback, and what it sends first."""
    wire = wires.enter_context(socket.socket())
    wire.settimeout(20)
    wire.bind((address, 0))
    wire.connect(("127.0.0.1", page.place.port))
    wire.sendall(f"{head}\r\nHost: 127.0.0.1:{page.place.port}\r\nOrigin: {page.url}\r\n".encode())
    return wire


def idle(page: gate.Gate, wires: ExitStack, address: str = "127.0.0.1") -> socket.socket:
    """One whose request is answered."""
    wire = connected(page, wires, "GET /join HTTP/1.1", address)
    wire.sendall(b"\r\n")
    with wire.makefile("rb") as answers:
        assert gate.answer_of(answers)[0] == 200
    return wire


def used(page: gate.Gate, wires: ExitStack) -> socket.socket:
    """One whose request is under way: its body is not whole."""
    wire = connected(page, wires, "POST /api/join HTTP/1.1")
    wire.sendall(b"X-Tuner: 1\r\nContent-Length: 9\r\n\r\n{")
    return wire


def closed(wire: socket.socket) -> bool:
    """Whether the server closes it; of one that it keeps that is seen at once by an answer."""
    try:
        wire.sendall(b"GET /join HTTP/1.1\r\nHost: x\r\n\r\n")
        return wire.recv(1) == b""
    except OSError:
        return True


def test_of_one_address_those_that_are_idle_the_longest_give_way(page: gate.Gate, wires: ExitStack) -> None:
    kept = [idle(page, wires) for _ in range(MOST)]
    kept[0].sendall(f"GET /join HTTP/1.1\r\nHost: 127.0.0.1:{page.place.port}\r\n\r\n".encode())
    with kept[0].makefile("rb") as answers:
        assert gate.answer_of(answers)[0] == 200
    other = idle(page, wires, "127.0.0.2")
    more = [idle(page, wires) for _ in range(2)]  # each has its answer
    assert [closed(wire) for wire in kept] == [False, True, True, False]
    assert not any(closed(wire) for wire in (other, *more))


def test_those_that_come_at_once_take_a_place_each(page: gate.Gate, wires: ExitStack) -> None:
    kept = [idle(page, wires) for _ in range(MOST)]
    page.loop.call_soon_threadsafe(time.sleep, 0.5)  # for as long the server takes none
    new = [connected(page, wires, "GET /join HTTP/1.1") for _ in range(MOST)]
    for wire in new:
        wire.sendall(b"\r\n")
    assert all(wire.recv(12) == b"HTTP/1.1 200" for wire in new)
    assert all(closed(wire) for wire in kept)


def test_those_in_use_stay_and_the_newcomer_goes(page: gate.Gate, wires: ExitStack) -> None:
    busy = [used(page, wires) for _ in range(MOST)]
    end = time.monotonic() + 20
    while page.under_way < MOST and time.monotonic() < end:
        time.sleep(0.01)
    newcomer = wires.enter_context(socket.create_connection(("127.0.0.1", page.place.port), timeout=20))
    assert closed(newcomer)
    for wire in busy:
        wire.sendall(b'"a": 1 }')
        with wire.makefile("rb") as answers:
            assert gate.answer_of(answers)[0] == 422
    assert not closed(idle(page, wires))  # they are idle by now


def test_there_is_a_most_for_all_addresses_together(
    page: gate.Gate, wires: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_OPEN", 2)
    first, *others = (idle(page, wires, f"127.0.0.{n}") for n in (1, 2, 3))
    assert closed(first)
    assert not any(closed(wire) for wire in others)


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_of_an_address_of_six_the_first_half_is_one_persons(address: str, whose: str) -> None:
    assert connections.network(address) == whose
