"""One key goes round the models that are in use."""

from dataclasses import replace

from person import opened
from scripted_server import ScriptedServer
from textual.widgets import Select

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, chats, models
from tuner_app.tui import answerers


def test_the_round_is_the_base_what_answered_lately_and_the_newest(store: Store) -> None:
    assert answerers.ring(store, Settings(base="new")) == [("new", "")]
    base = models.add_base(store, "builtin", "builtin")
    other = models.add_base(store, "other", "/models/other")
    for name, on in (("one", base), ("two", base), ("three", base), ("else", other)):
        models.add_adapter(store, name=name, base_id=on.id, folder=name, hash=name)
    chat = chats.start(store)
    for model, adapter in (("/models/other", ""), ("builtin", "one"), ("gone", "x"), ("builtin", "")):
        chats.add(store, chat.id, role="assistant", content="hi", model=model, adapter=adapter)
    ring = answerers.ring(store, Settings())
    assert ring == [("builtin", ""), ("builtin", "one"), ("builtin", "three"), ("/models/other", "")]
    assert answerers.following(ring, ("builtin", "three")) == ("/models/other", "")
    assert answerers.following(ring, ("/models/other", "")) == ("builtin", "")
    assert answerers.following(ring, ("gone", "x")) == ("builtin", "")
    assert [answerers.name(one) for one in ring] == ["builtin", "one", "three", "other"]


async def test_a_foreign_server_is_asked_for_a_model_that_it_has_and_its_name_is_kept(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.models, server.context = ["llama", "qwen"], 100
    async with opened(home, ready="llama at 127.0.0.1 ● ready") as person:
        await person.ask("hi", "ok")
        await person.sees("llama", "2/100 tokens")
        await person.press("f2")
        await person.sees("qwen answers from now on. F2 goes round llama, qwen.", "qwen at 127.0.0.1")
        await person.ask("and you?", "ok")
        await person.press("ctrl+g")
        await person.sees("a new batch")
        await person.press("enter")
        await person.until(lambda: person.app.screen.query_one("#first", Select).value == "qwen")
        await person.press("ctrl+o")
        await person.sees("● qwen  answers now")
        person.app.choose_model(base="builtin", adapter="dpo-1")
        await person.press("escape")
        await person.sees("has no model “dpo-1”", "Ctrl+O chooses one of its models")
    assert [request["model"] for request in server.requests] == ["llama", "qwen"]
    answers = store.query("SELECT model, adapter FROM messages WHERE role = 'assistant' ORDER BY id")
    assert [tuple(row) for row in answers] == [(server.url, "llama"), (server.url, "qwen")]


async def test_f2_goes_round_the_models_of_a_server(home: Home, server: ScriptedServer) -> None:
    server.models = ["base", "sft-7"]
    async with opened(home) as person:
        await person.ask("hi", "ok")
        await person.press("f2")
        await person.sees("sft-7 answers from now on. F2 goes round builtin, sft-7.", "sft-7 at 127.0.0.1")
        await person.ask("and you?", "ok")
        assert settings.load(home).adapter == "sft-7"
        await person.press("tab", "f2")
        await person.sees("builtin answers from now on")
        server.models = ["base"]
        await person.press("f2")
        await person.sees("There is no other model yet")
        settings.save(home, replace(settings.load(home), chat_url="http://127.0.0.1:9"))
        person.app.load_settings()
        await person.press("f2")
        await person.sees("cannot be reached")
    assert [request["model"] for request in server.requests] == ["base", "sft-7"]
    assert len(server.requests[1]["messages"]) == 3, "the conversation went on"
