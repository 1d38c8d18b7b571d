"""Text set in lines: Markdown, plain text, and what changed between two texts. No screen."""

import json
import os
from pathlib import Path

import pytest
from textual.content import Content

from tuner_app.clean import harmless, visible
from tuner_app.tui.changes import changes, shown
from tuner_app.tui.markdown import Markdown, code_blocks
from tuner_app.tui.plain import Rows, wrapped

DATA = os.environ.get("TUNER_CONFORMANCE_DATA")
DOCUMENT = """# Title

Some *prose* with `code`,
on two lines.

- one
  - nested, and long enough that it has to go on in a second line
- two

3. three
4. four

> quoted

```python
x = 1
```

---

| name | right |
|---|--:|
| 日本語 | 12 |
| e\u0301 | 3 |
"""


def lines(text: str, width: int = 40) -> list[str]:
    return [line.plain.rstrip() for line in Markdown(visible(text)).lines(width)]


def test_every_kind_of_block() -> None:
    assert lines(DOCUMENT) == [
        "Title",
        "",
        "Some prose with code,",
        "on two lines.",
        "",
        "• one",
        "  ▪ nested, and long enough that it has",
        "    to go on in a second line",
        "• two",
        "",
        "3. three",
        "4. four",
        "",
        "│ quoted",
        "",
        " python",
        " x = 1",
        "",
        "─" * 40,
        "",
        "name   │ right",
        "───────┼──────",
        "日本語 │    12",
        "e\u0301      │     3",
    ]


def test_styles_and_code_have_their_colours() -> None:
    set_lines = Markdown("**a** ~~b~~\n\n```python\ndef f(): pass\n```").lines(30)
    assert {str(span.style) for span in set_lines[0].spans} == {"bold", "strike"}
    assert len({str(span.style) for span in set_lines[3].spans}) > 2


@pytest.mark.parametrize("piece", [1, 7, 50])
def test_a_text_that_comes_in_pieces_is_the_same_in_the_end(piece: int) -> None:
    growing = Markdown()
    for start in range(0, len(DOCUMENT), piece):
        growing.add(DOCUMENT[start : start + piece])
        growing.lines(40)
    assert [line.plain.rstrip() for line in growing.lines(40)] == lines(DOCUMENT)
    assert [line.plain.rstrip() for line in growing.lines(20)] == lines(DOCUMENT, 20)


@pytest.mark.parametrize("width", [8, 13, 20, 78])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    wide = "| " + " | ".join(["a long cell with 日本語"] * 4) + " |\n" + "|---" * 4 + "|\n"
    for text in (DOCUMENT, wide, "1234567. " + "x" * 99, "> - " * 5 + "word " * 30):
        assert max(line.cell_length for line in Markdown(text).lines(width)) <= width


def test_links_and_html_are_text_and_nothing_to_press() -> None:
    text = "[a](javascript:x) <b onclick=q>b</b> ![pic](http://e/p.png) <http://u/> [@click=app.quit]c[/]"
    (line,) = Markdown(text).lines(200)
    assert line.plain == (
        "[a](javascript:x) <b onclick=q>b</b> image: pic ‹http://e/p.png› http://u/ [@click=app.quit]c[/]"
    )
    assert not any("@click" in str(span.style) for span in line.spans)
    assert lines("[text](http://there)") == ["text ‹http://there›"]
    assert lines("[x]: http://hidden") == ["[x]: http://hidden"]


def test_what_entities_and_addresses_hide_is_made_visible() -> None:
    assert lines("a &#x202e; b &lt;", 60) == ["a ⟨U+202E⟩ b <"]
    assert lines("<http://a/%E2%80%AE>", 60) == ["http://a/⟨U+202E⟩ ‹http://a/%E2%80%AE›"]


@pytest.mark.parametrize("text", ["> " * 500 + "deep", "".join("  " * i + "- a\n" for i in range(100))])
def test_what_is_nested_too_deep_is_shown_as_it_was_written(text: str) -> None:
    said = "".join("".join(lines(text)).split())
    assert said == "".join(text.split())


@pytest.mark.skipif(not DATA, reason="TUNER_CONFORMANCE_DATA is not set")
def test_naughty_strings_are_set_and_nothing_unsafe_is_left() -> None:
    for text in json.loads((Path(str(DATA)) / "data/nasty/blns.json").read_text(encoding="utf-8")):
        for line in [*Markdown(visible(text)).lines(30), *wrapped(text, 30)]:
            assert visible(line.plain) == line.plain
            assert line.cell_length <= 30


def test_code_is_found_as_it_is() -> None:
    assert code_blocks("a\n```py\nx\t= 1\n```\n~~~\ny\n~~~\n") == ["x\t= 1\n", "y\n"]
    assert harmless("x\t= 1\x1b[0m") == "x\t= 1␛[0m"


def test_rows_of_a_long_text() -> None:
    text = "abcdef\n\n" + "日本" * 3 + "\n" + "x" * 4
    rows = Rows(text, 4)
    assert [row.plain for row in rows] == ["abcd", "ef", "", "日本", "日本", "日本", "xxxx"]
    assert (len(rows), rows[-7:][0].plain, [r.plain for r in rows[1:3]]) == (7, "abcd", ["ef", ""])
    with pytest.raises(IndexError):
        rows[7]
    assert len(Rows("line\n" * 100_000, 80)) == 100_001
    assert Rows("x" * 1_000_000, 80)[12_499].plain == "x" * 80


def test_changes_word_by_word() -> None:
    assert shown("Moo.", "Moo. Loudly.").plain == "Moo.{+ Loudly.+}"
    assert shown("The cow says moo", "A cow says: moo").plain == "[-The-]{+A+} cow says{+:+} moo"
    assert shown("same", "same").plain == "same"
    assert shown("a\x1b", "b").plain == "[-a␛-]{+b+}"
    assert "".join(old for old, _ in changes("one two three", "one 2 three 4")) == "one two three"
    assert "".join(new for _, new in changes("one two three", "one 2 three 4")) == "one 2 three 4"


def test_changes_of_long_texts_are_abridged_and_do_not_take_long() -> None:
    text = "word " * 1000
    assert shown(text, text + "end").plain == "word " * 6 + " … " + "word " * 6 + "{+end+}"
    assert list(changes("a b " * 5000, "c d " * 5000))[1] == ("a b " * 4999 + "a b", "c d " * 4999 + "c d")


def test_changes_are_told_without_colour_too() -> None:
    content = shown("old", "new")
    assert isinstance(content, Content)
    assert content.plain == "[-old-]{+new+}"
