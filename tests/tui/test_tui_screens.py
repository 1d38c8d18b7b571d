"""What holds for every screen: nothing is cut off, nothing is obeyed that was only to be shown."""

import subprocess
import sys

import pytest
from person import opened
from scripted_server import ScriptedServer
from textual.screen import Screen

from engine.errors import UserError
from tuner_app import settings
from tuner_app.clean import one_line, visible
from tuner_app.paths import Home
from tuner_app.run_facts import RunFacts
from tuner_app.store import Store, chat_search, chats, labels
from tuner_app.times import ago, lasting
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar

HOSTILE = "[bold red]x[/] [/nope] \x1b[2J\x1b]0;title\x07 \u202egnirts\u202c \x9b31m {0} $x a\x00b"
SIZES = [(80, 24), (120, 40), (200, 60)]


def test_visible_shows_what_cannot_be_seen() -> None:
    assert visible("a\x1b[31mb\x07\x7f\x9b") == "a␛[31mb␇⟨U+007F⟩⟨U+009B⟩"
    assert visible("\u202eabc\u2066\u200f\ufeff\U000e0041") == "⟨U+202E⟩abc⟨U+2066⟩⟨U+200F⟩⟨U+FEFF⟩⟨U+E0041⟩"
    assert visible("line\r\nnext\rover\u2028") == "line\nnext␍over⟨U+2028⟩"
    assert visible("\ud800") == "⟨U+D800⟩"
    kept = "Grüße, 日本語, 👩\u200d👩\u200d👧 e\u0301, naïve\n"
    assert visible(kept) == kept


def test_one_line_is_short() -> None:
    assert one_line("a\n b\tc") == "a b c"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"


def test_times() -> None:
    assert lasting(41.6) == "42 s"
    assert lasting(185) == "3 min 05 s"
    assert lasting(7800) == "2 h 10 min"
    assert ago(None) == "never"
    assert ago("2001-01-01T00:00:00.000000+00:00").endswith(" d ago")


def test_a_run_without_events_is_starting() -> None:
    facts = RunFacts()
    assert facts.progress(running=True) == "starting the worker …"
    assert (facts.progress(running=False), facts.lines) == ("", [])


def test_the_interface_imports_nothing_heavy() -> None:
    code = (
        "import sys, tuner_app.tui.app\n"
        "from importlib import import_module\n"
        "from tuner_app.tui.app import _SCREENS\n"
        "first = {'httpx', 'markdown_it', 'pygments'} & set(sys.modules)\n"
        "for module, _ in _SCREENS.values(): import_module(module)\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'bitsandbytes', 'accelerate', 'gradio', 'numpy'}\n"
        "print(sorted(first | heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_keys_are_all_on_the_screen(home: Home, server: ScriptedServer, size: tuple[int, int]) -> None:
    server.answers = ["one", "two"]
    everywhere = "^n new  ^l chats  ^o model  ^g label  ^t train  ^r runs  F4 data  ? help"
    async with opened(home, size) as person:
        await person.sees("⏎ send  ^j new line  tab/esc answers", everywhere)
        await person.ask("hi", "one")
        await person.press("tab")
        await person.sees("a good  x bad  e correct  t why  s second  r again  ⏎ go on here", everywhere)
        await person.sees("m source", "y copy  u undo  ↑↓ select  esc type")
        await person.second()
        await person.sees("1/f first  2/j second  0 tie  b both bad  ←→ e correct  space skip", everywhere)
        await person.press("1")
        await person.sees("t why  u undo  ⏎ go on  m source")
        for key, keys in (
            ("ctrl+l", "⏎ open  / search  r rename  d put away (kept)  v put away ones  esc back"),
            ("ctrl+o", "⏎ let it answer"),
            ("ctrl+t", "tab next field  ^s check, then start  ^e more settings  esc back"),
            ("ctrl+r", "⏎ open: charts, stop, resume, chat with it  esc back"),
        ):
            await person.press(key)
            await person.sees(keys, everywhere)


async def test_keys_wrap_between_words_on_a_narrow_screen(home: Home) -> None:
    async with opened(home, (44, 20)) as person:
        await person.sees(
            "⏎ send  ^j new line  tab/esc answers\n",
            "F2 next model  F3 how to ask\n",
            "^g label\n",
            "^t train  ^r runs  F4 data  ? help",
        )


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_two_answers_stand_side_by_side_where_there_is_room(
    home: Home, server: ScriptedServer, size: tuple[int, int]
) -> None:
    long = "\n".join(f"line {number}" for number in range(100))
    server.answers = [f"**{name}**\n```\n{long}\n```" for name in ("one", "two")]
    async with opened(home, size) as person:
        await person.ask("hi", "line 99")
        await person.press("tab")
        await person.second()
        panels = person.app.screen.query(".panel")
        first, second = (panel.region for panel in panels)
        assert (first.y == second.y) == (size[0] >= 100)
        await person.press("pagedown")
        await person.until(lambda: all(panel.scroll_offset.y > 0 for panel in panels))
        await person.press("pageup")
        await person.until(lambda: all(panel.scroll_offset.y == 0 for panel in panels))
        assert "**" not in person.screen()
        await person.press("m")
        await person.sees("**", "```")
        for key in ("escape", "tab"):
            await person.press(key)
            await person.until(lambda: person.app.screen.query_one("PromptBox").has_focus)
            await person.press("tab")
            await person.until(lambda: person.app.screen.query_one("Comparison").has_focus)


async def test_help_is_there_on_every_screen_and_says_what_its_keys_do(home: Home) -> None:
    async with opened(home, (80, 60)) as person:
        for key, here, close in (
            ("ctrl+n", "send; in an empty box, ask again", "escape"),
            ("ctrl+l", "put away", "f1"),
            ("ctrl+o", "another base", "q"),
            ("ctrl+t", "check, then start", "question_mark"),
            ("ctrl+r", "back", "escape"),
        ):
            await person.press(key, "f1")
            await person.sees("Everywhere", "^t", "train on labels and imports", here)
            await person.press(close)
            await person.until(lambda: "Everywhere" not in person.screen())


async def test_help_knows_the_keys_of_what_is_on_the_screen(home: Home, server: ScriptedServer) -> None:
    server.answers = ["one", "two"]
    async with opened(home, (80, 60)) as person:
        await person.ask("hi", "one")
        await person.press("tab", "question_mark")
        await person.sees("On an answer", "correct it in its place", "←→")
        assert "Between two answers" not in person.screen()
        await person.press("escape")
        await person.second()
        await person.press("question_mark")
        await person.sees("Between two answers", "1/f", "the first shown is better")


async def test_the_command_palette_has_the_actions_of_here_and_everywhere(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["one"]
    async with opened(home) as person:
        await person.ask("hi", "one")
        await person.press("tab", "ctrl+p")
        await person.until(lambda: type(person.app.screen).__name__ == "CommandPalette")
        await person.type("good")
        await person.sees("Good")
        await person.press("enter", "enter")
        await person.until(lambda: labels.counts(store) == {"good": 1})
        await person.press("ctrl+p")
        await person.type("train")
        await person.sees("train on labels and imports")
        await person.press("enter", "enter")
        await person.sees("check, then start")


async def test_hostile_text_is_shown_and_not_obeyed(home: Home, server: ScriptedServer, store: Store) -> None:
    server.answers = [HOSTILE, HOSTILE + " two"]
    unsafe = {"\x1b", "\x07", "\u202e", "\x9b", "\x00"}
    async with opened(home, (120, 40)) as person:
        await person.paste(HOSTILE)
        await person.press("enter")
        await person.sees(
            "[bold red]x[/] [/nope] ␛[2J␛]0;title␇ ⟨U+202E⟩gnirts⟨U+202C⟩ ⟨U+009B⟩31m {0} $x a␀b"
        )
        await person.kept()
        await person.until(lambda: person.screen().count("[bold red]x[/] [/nope] ␛[2J") == 3)  # and the title
        assert not unsafe & set(person.screen())
        await person.press("tab")
        await person.second()
        await person.until(lambda: person.screen().count("[bold red]x[/] [/nope] ␛[2J") == 4)
        assert not unsafe & set(person.screen())
        await person.press("1", "enter", "tab", "e")
        await person.sees("no changes yet", "^s save")
        await person.press("ctrl+s")
        await person.sees("Saved: ✎ corrected")
        assert not unsafe & set(person.screen())
        await person.press("ctrl+l")
        await person.sees("[bold red]x[/] [/nope] ␛[2J")
        assert not unsafe & set(person.screen())
    (conversation,) = chats.conversations(store)
    answers = chats.answers(store, chats.path(store, conversation.id)[0].id)
    assert answers[0].content == HOSTILE, "stored byte for byte"


async def test_no_colour_is_needed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(home) as person:
        await person.ask("hi", "ok")
        await person.press("tab", "x")
        await person.sees("▼ bad", "● ready", "✓ Saved")


async def test_the_bar_can_be_told_a_place_before_it_is_on_the_screen(home: Home) -> None:
    async with opened(home) as person:
        await person.app.push_screen(Screen())
        bar = TopBar("here")
        bar.place("there")
        await person.app.screen.mount(bar)
        await person.sees("tuner  there")


async def test_a_settings_file_that_is_wrong_is_named(home: Home) -> None:
    home.settings.write_text("{nonsense")
    async with opened(home, (160, 24), ready="○ not loaded") as person:  # wide enough for the path
        await person.sees("settings.json", "cannot be read", "delete it to go back to the defaults")
        await person.press("ctrl+o")
        await person.sees("builtin")
        await person.press("enter")
        await person.sees("cannot be read")
    assert home.settings.read_text() == "{nonsense"


async def test_a_database_that_fails_is_said_and_survived(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise UserError("The database cannot be read: disk I/O error.", do="Check the disk.")

    async with opened(home) as person:
        with monkeypatch.context() as failing:
            failing.setattr(chat_search, "count", broken)
            await person.press("ctrl+l")
            await person.sees("disk I/O error", "Check the disk.")
        await person.press("escape")
        await person.ask("hi", "ok")


async def test_the_chosen_server_is_asked_with_its_key(home: Home, server: ScriptedServer) -> None:
    settings.save(home, settings.Settings(chat_url=server.url, chat_key="sesame"))
    async with opened(home) as person:
        await person.ask("hi", "ok")
    assert server.keys == ["Bearer sesame"]


async def test_a_click_on_a_key_of_the_bar_does_what_the_key_does(home: Home) -> None:
    async with opened(home) as person:
        await person.sees("^r runs")
        for word, seen in (
            ("^r runs", "No runs yet"),
            ("esc back", "Type a prompt"),
            ("F4 data", "from:labels"),
        ):
            rows = person.screen().split("\n")
            row = next(at for at, text in enumerate(rows) if word in text)
            await person.pilot.click(offset=(rows[row].index(word) + 4, row))
            await person.sees(seen)


async def test_a_screen_that_is_left_is_not_written_to_while_it_is_taken_down(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = []
    async with opened(home) as person:
        await person.press("ctrl+r")
        left = person.app.screen
        assert left.is_attached
        taken = lambda _: there.append(left.is_attached)  # noqa: E731
        monkeypatch.setattr(Notice, "on_unmount", taken, raising=False)
        await person.press("escape")
        await person.until(lambda: bool(there))
        monkeypatch.undo()
    assert there[0] is False
