"""What was being written when the app ended is there when it begins again."""

import errno
from pathlib import Path

import pytest
from person import opened
from scripted_server import ScriptedServer
from textual.widgets import TextArea

from engine.examples import Message
from tuner_app.paths import Home
from tuner_app.store import Store, batches
from tuner_app.store.rows import Asked, Reply
from tuner_app.tui.drafts import Drafts


async def test_what_was_being_written_comes_back(home: Home, server: ScriptedServer, store: Store) -> None:
    asked = Asked((Message("user", "Question?"),), (Reply("said", "builtin"),))
    batches.make(store, [asked], name="mine", kind="single", uid="mine")
    server.answers = ["Woof."]
    async with opened(home) as person:
        await person.ask("A dog?", "Woof.")
        await person.press("tab", "e")
        await person.sees("no changes yet")
        await person.type(" Wow")
        await person.sees("{+ Wow+}")
        await person.press("ctrl+q")  # in the middle of it
    async with opened(home) as person:
        await person.sees("✎ draft: e goes on with it")
        await person.paste("half a [bold]prompt\nof two lines")
        await person.press("escape", "e")
        assert person.app.screen.query_one("Editor", TextArea).text == "Woof. Wow"
        await person.press("ctrl+s")
        await person.sees("Saved: ✎ corrected", "Woof. Wow")
        assert "draft" not in person.screen()
        await person.press("ctrl+g")
        await person.sees("mine")
        await person.press("enter")
        await person.sees("Question?")
        await person.press("e")
        await person.sees("Ctrl+S saves, Esc leaves")
        await person.type("!")
        await person.sees("said{+!+}")
        await person.press("escape")
        await person.sees("✎ draft: e goes on with the correction")
    async with opened(home) as person:
        await person.sees("half a [bold]prompt", "of two lines")
        await person.press("enter")
        await person.sees("ok")
        await person.press("ctrl+g")
        await person.sees("mine")
        await person.press("enter")
        await person.sees("Question?", "✎ draft: e goes on with the correction")
        await person.press("e")
        await person.sees("said!")
        await person.press("ctrl+s")
        await person.sees("Corrected:")
    assert server.requests[-1]["messages"][-1]["content"] == "half a [bold]prompt\nof two lines"
    assert list(home.drafts.iterdir()) == [], "what was saved or sent is no draft"


async def test_quitting_says_once_that_a_draft_cannot_be_kept(
    home: Home, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tuner_app.tui.drafts.write_atomically", full)
    async with opened(home, notifications=True) as person:
        await person.paste("a long question")
        await person.sees("a long question")
        await person.press("ctrl+q")
        await person.sees("What you are writing cannot be kept:", "No space left on device.")
        assert person.app.return_code is None
        await person.press("ctrl+q")
        await person.until(lambda: person.app.return_code == 0)


def test_a_name_is_no_path_and_a_folder_that_cannot_be_written_no_fault(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts", tmp_path / "locks")
    drafts.put("message-../../x", "text \udc80")
    drafts.write()
    (kept,) = (tmp_path / "drafts").iterdir()
    assert (
        Drafts(tmp_path / "drafts", tmp_path / "locks").get("message-../../x") == kept.read_text() == "text ?"
    )
    assert kept.stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    drafts = Drafts(tmp_path / "file" / "drafts", tmp_path / "locks")
    drafts.put("prompt", "on the screen")
    drafts.write()
    assert drafts.get("prompt") == "on the screen"


def test_each_window_has_a_prompt_box_of_its_own(tmp_path: Path) -> None:
    def window() -> Drafts:
        return Drafts(tmp_path / "drafts", tmp_path / "locks")

    one, two = window(), window()
    for drafts, text in (one, "mine"), (two, "hers"):
        assert drafts.get(drafts.prompt) == ""
        drafts.put(drafts.prompt, text)
        drafts.write()
    three = window()
    assert three.get(three.prompt) == "", "both are open"
    two.put(two.prompt, "")  # it is sent
    two.close()
    assert one.get(one.prompt) == "mine"
    one.close()
    again = window()
    assert again.get(again.prompt) == "mine", "what was left comes before an empty box"
    again.put("message-1", "begun here")
    again.write()
    assert three.get("message-1") == "begun here"
    again.put("message-1", "begun here, and gone on with")
    again.write()
    three.put("message-1", "")  # saved there, as it was
    three.write()
    assert window().get("message-1") == "begun here, and gone on with"


def test_a_draft_is_written_soon_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner_app.tui.drafts.PAUSE", 0.0)
    drafts = Drafts(tmp_path, tmp_path / "locks")
    drafts.put("prompt", "killed the next moment")
    assert drafts._later
    drafts._later.join(20)
    assert Drafts(tmp_path, tmp_path / "locks").get("prompt") == "killed the next moment"
