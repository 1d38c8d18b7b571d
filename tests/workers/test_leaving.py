"""Who obeys a request to end: a thread until the engine asks by itself, and the engine from then on."""

import threading

import pytest

from tuner_app.store.run_rows import Request
from tuner_app.workers import leaving


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "POLL", 0.001)


def watching() -> list[threading.Thread]:
    found = [thread for thread in threading.enumerate() if "watch" in thread.name]
    assert found
    return found


def test_a_request_before_the_engine_asks_is_obeyed_by_the_thread() -> None:
    left = threading.Event()
    told: list[Request] = []

    def leave(asked: Request) -> None:
        told.append(asked)
        left.set()

    with leaving.until_heeded(lambda: "pause", leave):
        assert left.wait(60)
    assert told == ["pause"]


def test_a_request_after_the_engine_asked_is_the_engines() -> None:
    wish: list[Request] = [""]
    told: list[Request] = []
    with leaving.until_heeded(lambda: wish[0], told.append) as should_stop:
        threads = watching()
        assert should_stop() == ""
        wish[0] = "stop"
        for thread in threads:
            thread.join(60)
        assert should_stop() == "stop"
    assert told == []


def test_nothing_is_obeyed_once_it_is_over() -> None:
    told: list[Request] = []
    wish: list[Request] = [""]
    with leaving.until_heeded(lambda: wish[0], told.append):
        threads = watching()
    wish[0] = "stop"
    for thread in threads:
        thread.join(60)
    assert told == []
