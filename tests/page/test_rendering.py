"""Markdown as HTML: what people see of an answer, and what never gets through."""

import pytest

from tuner_app.page.formulas import mathml
from tuner_app.page.rendering import LONGEST, html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n*b* **c**", "<h1>A</h1>\n<p><em>b</em> <strong>c</strong></p>\n"),
        ("~~d~~ `e<`", "<p><s>d</s> <code>e&lt;</code></p>\n"),
        ("one\ntwo", "<p>one<br />\ntwo</p>\n"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"),
        ("![cat](http://e/x.png)", '<p><span class="image">cat ‹http://e/x.png›</span></p>\n'),
        ("[x](javascript:y)", "<p>[x](javascript:y)</p>\n"),
        ("[a]: http://e\n\n[a]", "<p>[a]: http://e</p>\n<p>[a]</p>\n"),
        ("\x1b[31mred\u202e", "<p>␛[31mred⟨U+202E⟩</p>\n"),
        ("&#x202e;", "<p>⟨U+202E⟩</p>\n"),
        ("it costs $5 and $10", "<p>it costs $5 and $10</p>\n"),
        (r"a \(b", "<p>a (b</p>\n"),
    ],
)
def test_what_it_makes(text: str, expected: str) -> None:
    assert html(text) == expected


def test_a_link_says_where_it_leads() -> None:
    assert html('[x](https://e.example/?a="b")') == (
        '<p><a href="https://e.example/?a=%22b%22" title="https://e.example/?a=%22b%22" target="_blank"'
        ' rel="noopener noreferrer nofollow">x</a></p>\n'
    )


def test_code_keeps_its_lines_and_names_its_language() -> None:
    assert html("```py x\nif 1 < 2:\n\tpass\n```") == (
        '<div class="code"><span class="language">py</span><pre tabindex="0"><code>if 1 &lt; 2:\n    pass\n'
        "</code></pre>\n</div>\n"
    )


def test_a_table_is_aligned_without_styles() -> None:
    made = html("| a | b |\n|--:|:-:|\n| 1 | 2 |")
    assert '<td class="right">1</td>' in made
    assert '<td class="center">2</td>' in made
    assert "style" not in made


@pytest.mark.parametrize(
    "text", ["$x^2$", r"so \(x^2\) it is", "$$\nx^2\n$$", "\\[\nx^2\n\\]", "a $$x^2$$ b"]
)
def test_formulas_are_mathml(text: str) -> None:
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html(text)


def test_a_formula_holds_nothing_but_a_formula() -> None:
    assert "&lt;script&gt;" in mathml(r"\text{<script>alert(1)</script>}")
    assert "<script" not in mathml(r"\text{&lt;script&gt;}")
    for refused in (r"\href{javascript:x}{y}", r"\def\x{\x\x}\x", r"\newcommand{\a}{\a}", r"\class{a}{b}"):
        assert "<math" not in mathml(refused)
    assert mathml(r"\frac{1}{") == r'<span class="math inline"><code>\frac{1}{</code></span>'
    assert "9999" not in mathml(r"\hspace{9999em}x")


DEEP = ("> " * 5_000, "- a\n" + "".join(f"{'  ' * n}- a\n" for n in range(60)), "*a " * 5_000)


@pytest.mark.parametrize("text", DEEP)
def test_nothing_is_lost_in_depth(text: str) -> None:
    assert "end" in html(f"{text}end")


def test_a_long_answer_is_whole() -> None:
    text = "**a** " * LONGEST
    assert html(text).count("**a**") == LONGEST
