"""A plain chat in the terminal."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer

from engine.errors import UserError
from tuner_app import settings, talk
from tuner_app.client import Delta
from tuner_app.paths import Home
from tuner_app.settings import Decoding
from tuner_app.store import Store, chats


class Echo:
    """A client that says how many messages it was sent, and with what seed."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.decoding: list[dict[str, Any]] = []

    async def stream(
        self, messages: Sequence[Mapping[str, str]], *, model: str, **decoding: Any
    ) -> AsyncIterator[Delta]:
        self.sent.append([message["content"] for message in messages])
        self.decoding.append(decoding)
        yield Delta(0, f"{len(messages)} messages")
        yield Delta(0, "", "stop")
        yield Delta(0, "", total=9)


def test_it_remembers_what_was_said_and_keeps_how_it_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, echo, lines = Home(tmp_path), Echo(), ["My name is Ada.", "Who am I?", ""]
    store = Store.open(home.database, migrate=True)
    monkeypatch.setattr(talk, "connect", lambda _, by: (echo, by))
    monkeypatch.setattr("builtins.input", lambda _: lines.pop(0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    decoding = Decoding(min_p=0.1, seed=5)
    talk.chat(home, store, None, model="", base="", system="Be brief.", decoding=decoding, as_json=False)
    assert echo.sent == [
        ["Be brief.", "My name is Ada."],
        ["Be brief.", "My name is Ada.", "2 messages", "Who am I?"],
    ]
    assert "4 messages" in capsys.readouterr().out
    assert [(asked["min_p"], asked["seed"]) for asked in echo.decoding] == [(0.1, 5)] * 2
    (conversation,) = chats.conversations(store)
    assert conversation.title == "My name is Ada."
    answer = chats.path(store, conversation.id)[-1]
    assert (answer.seed, answer.finish) == (5, "stop")
    assert answer.decoding == decoding.to_json() | {"asked": {"system": "Be brief."}}
    drawn = Decoding()
    for _ in range(2):
        talk.chat(home, store, "hi", model="", base="", system="", decoding=drawn, as_json=True)
    assert echo.decoding[-1]["seed"] != echo.decoding[-2]["seed"], "a new one each time"
    store.close()


def test_another_server_is_asked_for_a_model_that_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, server = Home(tmp_path), ScriptedServer()
    server.models = ["llama", "qwen"]
    settings.save(home, settings.Settings(chat_url=server.url))
    store = Store.open(home.database, migrate=True)
    for model in ("", "qwen"):
        talk.chat(home, store, "hi", model=model, base="", system="", decoding=Decoding(), as_json=False)
    assert "ok" in capsys.readouterr().out
    assert [request["model"] for request in server.requests] == ["llama", "qwen"]
    with pytest.raises(UserError, match="has no model “gpt”"):
        talk.chat(home, store, "hi", model="gpt", base="", system="", decoding=Decoding(), as_json=False)
    kept = [chats.path(store, one.id)[-1] for one in chats.conversations(store)]
    assert {(answer.model, answer.adapter) for answer in kept} == {
        (server.url, "llama"),
        (server.url, "qwen"),
    }
    server.close()
    store.close()
