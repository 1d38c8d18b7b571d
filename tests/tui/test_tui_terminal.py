"""In a real terminal: what reaches it, and what the app survives."""

import json
import os
import re
import resource
import signal
from functools import partial
from pathlib import Path

import pysqlite3 as sqlite3
import pytest
from scripted_server import ScriptedServer
from terminal import Terminal, escapes

from engine.examples import Message
from tuner_app.paths import Home
from tuner_app.store import Store, batches, chats, labels
from tuner_app.store.rows import Asked, Reply

HOSTILE = [
    "\x1b]0;owned\x07 \x1b[2J \x1b[6n \x1b]52;c;aGk=\x07 \x1bP+q\x1b\\ \x9b31m \x07\x08\x0e \x1b[?1049l",
    "[bold]x[/] [/nope] [@click=app.quit]quit[/] [link=file:///etc/passwd]y[/]",
    "\u202eright to left\u202c \u2066isolate\u2069 a\u0300\u0301\u0302 👩‍👩‍👧 漢字 مرحبا",
    "```\n\x1b[31mcode\x1b[0m\n```\n\n| a | \x1b]8;;http://x\x07b |\n|---|---|\n| 1 | 2 |\n\n<b>x</b>",
    "long " + "x" * 200_000,
]


@pytest.fixture
def strings() -> list[str]:
    """Strings that break programs; the known list of them as well, where it is."""
    folder = os.environ.get("TUNER_CONFORMANCE_DATA")
    known = Path(folder, "data", "nasty", "blns.json") if folder else None
    more = json.loads(known.read_text(encoding="utf-8")) if known else []
    lines = [text for text in more if text.strip()]
    return [*HOSTILE, *("\n\n".join(lines[at : at + 40]) for at in range(0, len(lines), 40))]


@pytest.mark.slow
def test_no_escape_but_the_apps_own_reaches_the_terminal(
    home: Home, server: ScriptedServer, store: Store, strings: list[str]
) -> None:
    with Terminal(home, (100, 30)) as terminal:  # what it sends when there is nothing to fear
        terminal.sees("● ready")
        terminal.press("harmless", "enter")
        terminal.sees("ok")
        terminal.press("tab", "m", "e", "escape", "escape", "ctrl+l", "escape", "ctrl+q")
        assert terminal.ended() == 0
        own = escapes(terminal.sent)
    for text in strings:
        conversation = chats.start(store, title=text)
        asked = chats.add(store, conversation.id, role="user", content=text)
        chats.add(store, conversation.id, role="assistant", content=text, parent_id=asked.id, model=text)
    server.answers = list(strings)
    with Terminal(home, (100, 30)) as terminal:
        terminal.sees("● ready")
        terminal.press("ctrl+l", "escape", "ctrl+n")
        for text in strings:
            terminal.press("go", "enter")
            terminal.until(lambda text=text: _kept(store, text) > 1, "the answer to be kept")
            terminal.press("tab", "m", "m", "escape")
        for _ in strings[:3]:
            terminal.press("ctrl+l", "down", "enter", "escape")
        terminal.press("ctrl+q")
        assert terminal.ended() == 0
    assert escapes(terminal.sent) <= own, escapes(terminal.sent) - own
    assert b"owned" not in b"".join(re.findall(rb"\x1b\].*?\x07", terminal.sent))
    assert not (home.folder / "fault.log").exists()


def whole(terminal: Terminal, since: int) -> bool:
    """Whether all of the chat has been drawn since that many bytes, from its first line to its last."""
    sent = terminal.sent[since:]
    return b"tuner" in sent and b"half" in sent and b"help" in sent


def written(terminal: Terminal) -> None:
    """Wait until the answer that is coming is kept: before, Tab goes to the prompt before it."""
    terminal.until(lambda: "esc stop" not in terminal.shown, "the answer to be kept")


def _kept(store: Store, text: str) -> int:
    row = store.one("SELECT count(*) AS n FROM messages WHERE role = 'assistant' AND content = ?", (text,))
    return int(row["n"]) if row else 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, "closed"], ids=str)
def test_half_an_answer_is_kept_when_the_app_is_ended(
    home: Home, server: ScriptedServer, store: Store, how: signal.Signals | str
) -> None:
    server.answers = ["half of it was there"]
    server.gate.clear()
    with Terminal(home) as terminal:
        terminal.sees("● ready")
        terminal.press("go on", "enter")
        terminal.sees("half")
        if how == "closed":
            terminal.close()
        else:
            os.kill(terminal.pid, how)  # type: ignore[arg-type]
        terminal.ended()
    messages = [row["content"] for row in store.query("SELECT content FROM messages ORDER BY id")]
    assert [text.strip() for text in messages] == ["go on", "half"]
    if how != "closed":
        assert b"\x1b[?1049l" in terminal.sent[-400:]  # the screen of before is given back
    assert not (home.folder / "fault.log").exists()


def test_it_can_be_resized_while_an_answer_comes_and_put_aside_and_taken_up_again(
    home: Home, server: ScriptedServer
) -> None:
    server.answers = ["half of it was there"]
    server.gate.clear()
    with Terminal(home) as terminal:
        terminal.sees("● ready")
        terminal.press("go on", "enter")
        terminal.sees("half")
        for size in ((40, 12), (200, 60), (80, 24)):
            before = len(terminal.sent)
            terminal.resize(*size)
            terminal.until(partial(whole, terminal, before), f"all of the screen of {size}")
            terminal.settle()
        terminal.press("x")
        terminal.settle()
        before = len(terminal.sent)
        terminal.press("y", "z")
        terminal.sees("xyz")
        terminal.settle()
        assert 0 < len(terminal.sent) - before < 800, "a letter sends the line that it changes"
        before = len(terminal.sent)
        terminal.pause(0.6)
        assert len(terminal.sent) == before, "nothing is sent when nothing happens"
        os.kill(terminal.pid, signal.SIGTSTP)
        terminal.until(lambda: terminal.state() == "T", "it to be put aside")
        given_back = b"\x1b[?1049l"
        terminal.until(lambda: given_back in terminal.sent[-400:], "the screen of before to be given back")
        server.gate.set()
        before = len(terminal.sent)
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.sees("half of it was there", "go on")
        assert b"\x1b[?1049h" in terminal.sent[before:]
        terminal.until(partial(whole, terminal, before), "all of the screen")
        terminal.press(" again", "enter")
        terminal.sees("xyz again", "ok")
        written(terminal)
        terminal.press("tab")
        terminal.sees("a good")
        terminal.press("ctrl+z")
        terminal.until(lambda: terminal.state() == "T", "it to be put aside by its key")
        os.kill(terminal.pid, signal.SIGCONT)
        terminal.press("a")
        terminal.sees("Fed 1 thumb")


def test_a_label_that_cannot_be_written_stays_on_the_screen_until_it_can(home: Home, store: Store) -> None:
    asked = [
        Asked((Message("user", f"Question {n}?"),), (Reply(f"this {n}", "a"), Reply(f"that {n}", "b")))
        for n in range(3)
    ]
    batches.make(store, asked, name="mine", kind="pair", uid="mine")
    with Terminal(home) as terminal:
        terminal.sees("● ready")
        terminal.press("ctrl+g")
        terminal.sees("mine")
        terminal.press("enter")
        terminal.sees("Question 0?", "0/3 judged")

        _, hard = resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (0, hard))  # a full disk
        terminal.press("1")
        terminal.sees("NOT saved", "full", "^s save again", "Question 0?", "0/3 judged")
        assert labels.counts(store) == {}
        resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (hard, hard))
        terminal.press("ctrl+s")
        terminal.sees("Question 1?", "1/3 judged")
        assert labels.counts(store) == {"choose": 1}

        other = sqlite3.connect(str(home.database))
        other.execute("BEGIN IMMEDIATE")  # another process is writing, and does not end
        terminal.press("0")
        terminal.sees("NOT saved", "locked", "Question 1?", "1/3 judged")
        other.execute("COMMIT")
        terminal.press("ctrl+s")
        terminal.sees("Question 2?", "2/3 judged")
        assert labels.counts(store) == {"choose": 1, "tie": 1}
        terminal.quit()


@pytest.mark.parametrize("colours", [{"NO_COLOR": "1"}, {"COLORTERM": "", "TERM": "xterm"}], ids=str)
def test_it_can_be_read_without_colours(home: Home, server: ScriptedServer, colours: dict[str, str]) -> None:
    server.answers = ["one"]
    with Terminal(home, **colours) as terminal:
        terminal.sees("● ready")
        terminal.press("go on", "enter")
        terminal.sees("one")
        written(terminal)
        terminal.press("tab", "a")
        terminal.sees("Fed 1 thumb")
        if "NO_COLOR" in colours:
            codes = {int(n) for n in re.findall(rb"\x1b\[(\d+)m", terminal.sent)}
            assert not any(30 <= code <= 37 or 90 <= code <= 97 for code in codes)
        else:
            assert b"38;2;" not in terminal.sent
