"""The screen of models: what each is, and what is done with it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from person import Person, opened
from scripted_server import ScriptedServer

from engine.errors import UserError
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store, models
from tuner_app.store.run_rows import AdapterRow
from tuner_app.tui.screens import models as screen
from tuner_app.workers import supervisor


@pytest.fixture
def adapters(home: Home, store: Store) -> list[AdapterRow]:
    """Two adapters on the built-in base, the second trained from the first."""
    base = models.add_base(store, "builtin", "builtin", "f")
    made: list[AdapterRow] = []
    for name in ("sft-1", "dpo-1"):
        folder = home.run(name) / "adapter"
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_bytes(b"x" * 2_000_000)
        parent = made[-1].id if made else None
        of = {"base_id": base.id, "parent_id": parent, "folder": f"runs/{name}/adapter", "hash": name}
        made.append(models.add_adapter(store, name=name, **of))  # type: ignore[arg-type]
    return made


async def test_the_models_of_another_server_are_listed_first(
    home: Home, server: ScriptedServer, adapters: list[AdapterRow]
) -> None:
    server.models = ["base", "[red]strange[/]"]
    async with opened(home, ready="base at 127.0.0.1 ● ready") as person:
        await person.press("ctrl+o")
        await person.sees("answers (chat_url)", "● base  answers now", "[red]strange[/]", "└ dpo-1")
        assert person.screen().count("answers now") == 1
        await person.press("down")
        await person.sees("it is asked for as [red]strange[/]")
        await person.press("down", "r")
        await person.sees("2.8 million parameters")  # below the heading are those of this machine
        await person.press("escape", "up", "enter")
        await person.ask("Hello?", "ok")
        assert server.requests[-1]["model"] == "[red]strange[/]"
        server.close()
        await person.press("ctrl+o")
        await person.sees("its models are unknown", "cannot be reached", "└ dpo-1")


async def test_a_model_of_this_machine_answers_in_place_of_a_server_once_that_is_said(
    home: Home, server: ScriptedServer, adapters: list[AdapterRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ensure_chat", none)
    async with opened(home, (120, 40)) as person:
        await looked_at(person)
        await person.press("down", "enter")
        await person.sees(f"{server.url} answers, not this machine. Enter again takes chat_url")
        await person.press("up")
        await person.sees("2.8 million parameters")
        await person.press("enter")  # on another one: nothing is changed yet
        await person.sees("● base  answers now")
        assert settings.load(home).chat_url == server.url
        await person.press("enter")
        await person.sees("builtin ✗ failed", "no worker in this test")
    assert settings.load(home) == settings.Settings()


async def test_a_base_that_is_gone_leaves_one_to_choose_or_none(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = settings.load(home)
    settings.save(home, replace(kept, base="/nowhere/model"))
    with monkeypatch.context() as gone:
        gone.setattr("tuner_app.bases.register", none)
        async with opened(home, (120, 40)) as person:
            await person.press("ctrl+o", "n", "a")
            await person.sees("another base: a folder, or a hub name")
    assert models.bases(store) == []
    settings.save(home, replace(kept, base="/nowhere/model", chat_url=""))
    monkeypatch.setattr(supervisor, "ensure_chat", none)
    async with opened(home, (120, 40), ready="model ✗ failed") as person:
        await person.press("ctrl+o")
        await person.sees("builtin  5.6 MB", "2.8 million parameters")
        await person.press("enter")
        await person.sees("builtin ✗ failed", "no worker in this test")
    assert settings.load(home).base == "builtin"


def none(*_: object, **__: object) -> None:
    raise UserError("no worker in this test")


async def looked_at(person: Person) -> None:
    """Open the screen, and go to the base of this machine."""
    await person.press("ctrl+o")
    await person.sees("● base  answers now")
    await person.press("down")
    await person.sees("2.8 million parameters", "licence: apache-2.0", "chat ✓", "QLoRA ✓", "GiB free")


async def test_a_base_and_its_adapters_are_described(home: Home, adapters: list[AdapterRow]) -> None:
    async with opened(home, (120, 40)) as person:
        await looked_at(person)
        await person.sees("└ sft-1", "   └ dpo-1", "2.0 MB", "answers now")


async def test_a_model_is_renamed_and_noted(home: Home, store: Store, adapters: list[AdapterRow]) -> None:
    settings.save(home, settings.Settings(adapter="dpo-1", chat_url=settings.load(home).chat_url))
    async with opened(home, (120, 40)) as person:
        await person.press("ctrl+o")
        await person.sees("└ dpo-1", "it is asked for as base")
        await person.press("r")
        await person.sees("Nothing but answering can be asked of a server's model.")
        await person.press("down", "down", "down", "r", *(["backspace"] * 5))
        await person.type("sft-1")
        await person.press("enter")
        await person.sees("There is a run or an adapter called “sft-1” already")
        await person.press(*(["backspace"] * 5))
        await person.type("warm")
        await person.press("enter")
        await person.sees("dpo-1 is called warm now.", "└ warm")
        await person.press("n")
        await person.type("[bold]kind[/]")
        await person.press("enter")
        await person.sees("“[bold]kind[/]”", "note: [bold]kind[/]")
    assert settings.load(home).adapter == "warm"
    row = models.adapter(store, "warm")
    assert row is not None
    assert (row.note, row.folder) == ("[bold]kind[/]", "runs/dpo-1/adapter")


async def test_what_others_need_stays_and_what_is_deleted_is_gone(
    home: Home, store: Store, adapters: list[AdapterRow]
) -> None:
    async with opened(home, (120, 40)) as person:
        await looked_at(person)
        await person.press("d")
        await person.sees("“builtin” answers in the chat.")
        await person.press("down", "d")
        await person.sees("“sft-1” cannot be deleted: dpo-1 needs it.")
        await person.press("down", "d")
        await person.sees("Delete dpo-1, 2.0 MB? d again does.")
        await person.press("up", "down", "d")  # looking elsewhere takes the question back
        await person.sees("d again does.")
        assert home.adapter("dpo-1").exists()
        await person.press("delete")
        await person.sees("dpo-1 is deleted: 2.0 MB free.")
        await person.until(lambda: "└ dpo-1" not in person.screen())
    assert not home.adapter("dpo-1").exists()
    assert [row.name for row in models.adapters(store)] == ["sft-1"]


async def test_an_adapter_is_exported_to_a_new_folder(
    home: Home, adapters: list[AdapterRow], tmp_path: Path
) -> None:
    async with opened(home, (120, 40)) as person:
        await looked_at(person)
        await person.press("x")
        await person.sees("A base is a model of its own already")
        await person.press("down", "x")
        await proposed(person)
        await person.paste(str(tmp_path))
        await person.press("enter")
        await person.sees("exists already")
        await person.type("/out")
        await person.press("enter")
        await person.sees("The adapter is in")
        for name in ("sft-1", "sft-1-2"):  # what is proposed is free
            await person.press("x")
            await person.until(lambda name=name: f"exports/{name}" in unbroken(person))
            await person.press("enter")
            await person.until(lambda name=name: f"exports/{name}:peft" in unbroken(person))
            assert (home.exports / name / "adapter_model.safetensors").exists()
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_size == 2_000_000


async def proposed(person: Person) -> None:
    """Wait for a folder to be proposed, which what is typed takes the place of."""
    await person.until(lambda: bool(getattr(person.app.focused, "selected_text", "")))


def unbroken(person: Person) -> str:
    """What is on the screen, without spaces: a long path may go on in the next line."""
    return "".join(person.screen().replace("▌", "").split())


async def test_an_adapter_is_merged_by_a_worker(
    home: Home, adapters: list[AdapterRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Merging:
        def answer(self) -> int:
            return 5_500_000

        def stop(self) -> None:
            pass

    asked = []
    monkeypatch.setattr(screen.library, "merge", lambda *given: asked.append(given[2:]) or Merging())
    async with opened(home, (120, 40)) as person:
        await looked_at(person)
        await person.press("down", "m")
        await proposed(person)
        await person.paste(str(tmp_path / "merged"))
        await person.press("enter")
        await person.sees("has the merged model, 5.5 MB")
    assert [(row.name, target.name) for row, target in asked] == [("sft-1", "merged")]


async def test_another_base_is_looked_at_before_it_is_added(home: Home, store: Store, tmp_path: Path) -> None:
    from tuner_app.paths import builtin_base

    other = tmp_path / "other"
    shutil.copytree(builtin_base(), other)
    async with opened(home, (120, 40)) as person:
        await looked_at(person)
        await person.press("a")
        await person.paste(str(other))
        await person.press("enter")
        await person.sees("Enter adds it; Esc leaves it.", "full fine-tuning ✓")
        assert [base.name for base in models.bases(store)] == ["builtin"]
        await person.press("enter")
        await person.sees("other is added.")
        await person.press("a")
        await person.type("/nowhere")
        await person.press("enter")
        await person.sees("There is no model folder /nowhere")
        await person.press("escape")
        await person.until(lambda: "There is no model folder" not in person.screen())
    assert [base.name for base in models.bases(store)] == ["builtin", "other"]
