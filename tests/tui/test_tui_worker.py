"""Our own chat worker: starting, failing, dying, and starting again."""

import threading
from collections.abc import Callable

import pytest
from person import opened
from scripted_server import ScriptedServer

from engine.errors import UserError
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.workers import supervisor
from tuner_app.workers.supervisor import Endpoint


class Workers:
    """Stands in for the supervisor's processes; the scripted server answers for them."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.alive: Endpoint | None = None
        self.started: list[str] = []
        self.may_start = threading.Event()
        self.may_start.set()
        self.error: UserError | None = None

    def endpoint(self, home: Home) -> Endpoint | None:
        return self.alive

    def ensure(self, home: Home, base: str, *, on_line: Callable[[str], None], **_: object) -> Endpoint:
        if self.alive is None or self.alive.base != base:
            on_line("Loading weights.")
            self.may_start.wait(10)
            if self.error:
                raise self.error
            self.started.append(base)
            self.alive = Endpoint(self.server.url, "key", 1, base)
        return self.alive


@pytest.fixture
def workers(home: Home, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Workers:
    settings.save(home, Settings())
    made = Workers(server)
    monkeypatch.setattr(supervisor, "chat_endpoint", made.endpoint)
    monkeypatch.setattr(supervisor, "ensure_chat", made.ensure)
    return made


async def test_it_starts_with_the_app_and_a_prompt_waits_for_it(home: Home, workers: Workers) -> None:
    workers.may_start.clear()
    async with opened(home, ready="◌ starting") as person:
        await person.type("hi")
        await person.press("enter")
        await person.sees("the model is starting … Loading weights.")
        workers.may_start.set()
        await person.sees("● ready", "ok")
    assert workers.started == ["builtin"]


async def test_quitting_does_not_wait_for_it(home: Home, workers: Workers) -> None:
    workers.may_start.clear()
    async with opened(home, ready="◌ starting") as person:
        await person.press("ctrl+q")
    assert workers.started == []
    workers.may_start.set()


async def test_a_start_that_fails_says_why_and_what_to_do(home: Home, workers: Workers) -> None:
    workers.error = UserError("The chat worker for builtin ended.", do="Mend what it says.")
    async with opened(home, ready="✗ failed") as person:
        await person.sees("The chat worker for builtin ended.", "Mend what it says.")
        await person.type("hi")
        await person.press("enter")
        await person.sees("Your prompt is kept.", "Enter in the empty prompt box asks again.")
        await person.sees("The chat worker for builtin ended.", "Mend what it says.")
        workers.error = None
        await person.press("enter")
        await person.sees("● ready", "ok")


async def test_a_killed_worker_is_named_and_started_again(home: Home, workers: Workers) -> None:
    workers.server.answers = [ConnectionError(), "Whole."]
    workers.server.gate.clear()
    async with opened(home) as person:
        await person.type("hi")
        await person.press("enter")
        await person.sees("Half")
        workers.alive = None
        workers.server.gate.set()
        await person.sees("✗ failed", "The chat worker has ended.", "What it had written is kept.")
        await person.kept()
        await person.press("tab", "r")
        await person.sees("● ready", "Whole.")
    assert workers.started == ["builtin", "builtin"]
    assert workers.server.keys == ["Bearer key"] * 2
