"""Markdown from models and people as HTML that can do nothing: no raw HTML, no pictures, no script.

What cannot be seen (control characters, escape sequences, bidi controls) is shown as `tuner_app.clean` shows
it at the terminal. Line breaks stay, as chats have them.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tuner_app.clean import visible
from tuner_app.page.formulas import mathml

LONGEST = 20_000  # characters read as Markdown; what is longer is shown as it is, all of it
_KEPT = 2_000  # characters of a text whose HTML is kept: several people are shown the same one
_BRACKETS = {"\\(": "\\)", "\\[": "\\]"}
_DEEPEST = 16  # levels of nesting; the parser leaves out what is below its twentieth


def html(text: str) -> str:
    """`text` as HTML of our own making alone. It may take a second for the worst: not for the event loop."""
    return _short(text) if len(text) <= _KEPT else _rendered(text)


@lru_cache(maxsize=2_000)
def _short(text: str) -> str:
    return _rendered(text)


def _rendered(text: str) -> str:
    text = visible(text)
    if len(text) > LONGEST:
        return _plain(text)
    parser = _parser()
    tokens = parser.parse(text)
    if any(token.level > _DEEPEST for token in tokens):
        return _plain(text)
    rendered: str = parser.renderer.render(tokens, parser.options, {})
    return rendered


def _plain(text: str) -> str:
    return f'<p class="plain">{escape(text)}</p>\n'


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    parser.disable("reference")  # a definition would not be shown
    # Money is no formula: no space inside the dollars and no digit outside.
    dollarmath_plugin(parser, allow_space=False, allow_digits=False, allow_labels=False, double_inline=True)
    renderer = parser.renderer
    assert isinstance(renderer, _Renderer)
    for name in ("math_inline", "math_inline_double", "math_block"):  # the plugin has put its own there
        renderer.rules[name] = getattr(renderer, name)
    parser.inline.ruler.before("escape", "math_brackets", _bracketed)
    return parser


def _bracketed(state: StateInline, silent: bool) -> bool:
    r"""The rule for \( … \) and \[ … \], as models like to write formulas."""
    opening = state.src[state.pos : state.pos + 2]
    if opening not in _BRACKETS or state.env.get(opening, -1) >= state.pos:
        return False
    end = state.src.find(_BRACKETS[opening], state.pos + 2)
    if end < 0:
        state.env[opening] = len(state.src)  # so that a text full of openings is searched once
        return False
    if not silent:
        token = state.push("math_inline" if opening == "\\(" else "math_block", "math", 0)
        token.content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


class _Renderer(RendererHTML):
    """Tokens as HTML. Entities and addresses were decoded by the parser: they are cleaned once more."""

    def math_inline(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return mathml(tokens[at].content.strip())

    def math_block(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return mathml(tokens[at].content.strip(), display=True)

    def math_inline_double(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return self.math_block(tokens, at, options, env)

    def text(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return escape(visible(tokens[at].content))

    def code_inline(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return f"<code>{escape(visible(tokens[at].content))}</code>"

    def code_block(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return f'<pre tabindex="0"><code>{escape(visible(tokens[at].content))}</code></pre>\n'

    def fence(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        named = visible(tokens[at].info).split()[:1]
        language = f'<span class="language">{escape(named[0][:40])}</span>' if named else ""
        return f'<div class="code">{language}{self.code_block(tokens, at, options, env)}</div>\n'

    def image(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        """Its words and its address, so that nothing is asked of anybody."""
        said = visible(tokens[at].content)
        return f'<span class="image">{escape(said)} ‹{escape(_address(tokens[at], "src"))}›</span>'

    def link_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        address = escape(_address(tokens[at], "href"))
        return f'<a href="{address}" title="{address}" target="_blank" rel="noopener noreferrer nofollow">'

    def th_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return f"<th{_aligned(tokens[at])}>"

    def td_open(self, tokens: Sequence[Token], at: int, options: OptionsDict, env: EnvType) -> str:
        return f"<td{_aligned(tokens[at])}>"


def _address(token: Token, name: str) -> str:
    return visible(str(token.attrs.get(name, "")))


def _aligned(token: Token) -> str:
    """A class, because the page's policy forbids styles in place."""
    side = str(token.attrs.get("style", "")).rpartition(":")[2]
    return f' class="{side}"' if side in ("left", "center", "right") else ""
