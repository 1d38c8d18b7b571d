"""Markdown as lines that fit a width. No widgets: an answer of a thousand blocks is one list of lines.

Textual's own widget makes a widget of every block and of every cell of a table, which is too slow for a
transcript of long answers, and makes a growing list anew for each word that comes. Line breaks stay, as chats
have them; raw HTML is text; a link is its text and its address, and nothing that can be pressed.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode as Node
from rich.cells import cell_len
from textual.content import Content
from textual.highlight import highlight

from tuner_app.clean import visible

_MUTED = "$foreground-muted"
_HEADINGS = {"h1": "bold underline $text-primary", "h2": "bold $text-primary"}
_STYLES = {"strong": "bold", "em": "italic", "s": "strike", "code_inline": "$text-warning on $panel"}
_BULLETS = "•▪‣"
_NARROWEST = 12  # columns; what is nested deeper than they allow is no longer indented
_HIGHLIGHTED = 4_000  # characters of code; some lexers take long for more
_DEEPEST = 16  # levels of nesting; the parser leaves out what is below its twentieth


class Markdown:
    """A text in Markdown, to which more may be added at its end.

    Only its last block is read again then: a heading, a paragraph or a list is over when the next one begins.
    """

    def __init__(self, text: str = "") -> None:
        self._over: list[Node] = []
        self._open: list[Node] = []
        self._tail = ""
        self._lines: list[Content] = []  # of `_over`, at `_width`
        self._width = 0
        self._laid = 0
        self.add(text)

    def add(self, text: str) -> None:
        """More text; it is to be `visible` already."""
        self._tail += text
        blocks = _blocks(self._tail)
        if len(blocks) > 1 and blocks[-1].map:
            self._over += blocks[:-1]
            start = blocks[-1].map[0]
            self._tail = "".join(self._tail.splitlines(keepends=True)[start:])
            blocks = blocks[-1:]
        self._open = blocks

    def lines(self, width: int) -> list[Content]:
        """The text in lines of at most `width` cells."""
        if width != self._width:
            self._lines, self._laid, self._width = [], 0, width
        self._lines += _stacked(self._over[self._laid :], width, self._lines)
        self._laid = len(self._over)
        return self._lines + _stacked(self._open, width, self._lines)


def code_blocks(text: str) -> list[str]:
    """The code in a text's fences, as it is."""
    tokens = _parser().parse(text)
    return [token.content for token in tokens if token.type in ("fence", "code_block")]


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return parser.disable("reference")  # a definition would not be shown


def _blocks(text: str) -> list[Node]:
    tokens = _parser().parse(text)
    if any(token.level > _DEEPEST for token in tokens):
        tokens = MarkdownIt("zero").parse(text)  # paragraphs, and all that they say
    return list(Node(tokens).children)


def _stacked(blocks: Iterable[Node], width: int, above: list[Content]) -> list[Content]:
    """Blocks one below the other, a blank line between two."""
    lines: list[Content] = []
    for block in blocks:
        if above or lines:
            lines.append(Content())
        lines += _block(block, width)
    return lines


def _block(node: Node, width: int) -> list[Content]:
    kind = _KINDS.get(node.type)
    if kind:
        return kind(node, width)
    return _wrapped(_inline(node), width) if node.type == "inline" else _within(node, width)


def _within(node: Node, width: int) -> list[Content]:
    """What a block holds, close together where it is the item of a tight list."""
    lines: list[Content] = []
    for child in node.children:
        tight = child.type == "inline" or child.hidden or child.type.endswith("_list")
        if lines and not tight:
            lines.append(Content())
        lines += _block(child, width)
    return lines


def _heading(node: Node, width: int) -> list[Content]:
    style = _HEADINGS.get(node.tag, "bold")
    return [line.stylize(style) for child in node.children for line in _wrapped(_inline(child), width)]


def _bullets(node: Node, width: int) -> list[Content]:
    bullet = _BULLETS[min(node.level // 2, len(_BULLETS) - 1)]
    return _listed(node, [f"{bullet} "] * len(node.children), width)


def _numbers(node: Node, width: int) -> list[Content]:
    start = int(node.attrs.get("start", 1))
    marks = [f"{start + place}. " for place in range(len(node.children))]
    widest = max(map(len, marks), default=0)
    return _listed(node, [mark.rjust(widest) for mark in marks], width)


def _listed(node: Node, marks: list[str], width: int) -> list[Content]:
    lines: list[Content] = []
    for mark, item in zip(marks, node.children, strict=True):
        loose = any(child.type == "paragraph" and not child.hidden for child in item.children)
        if lines and loose:
            lines.append(Content())
        held = _prefixed(item, Content.styled(mark, "$text-primary"), Content(" " * len(mark)), width)
        lines += held or [Content(mark)]
    return lines


def _quote(node: Node, width: int) -> list[Content]:
    bar = Content.styled("│ ", "$text-primary")
    return _prefixed(node, bar, bar, width)


def _prefixed(node: Node, first: Content, rest: Content, width: int) -> list[Content]:
    left = width - first.cell_length
    if left < _NARROWEST:
        return _within(node, width)
    lines = _within(node, left)
    return [(rest if place else first) + line for place, line in enumerate(lines)]


def _code(node: Node, width: int) -> list[Content]:
    code = visible(node.content).rstrip("\n")
    language = visible(node.info).strip().split(" ")[0]
    known = language and len(code) <= _HIGHLIGHTED
    shown = highlight(code, language=language) if known else Content(code)
    inner = max(width - 2, 2)
    lines = [Content.styled(language[:inner], _MUTED)] if language else []
    lines += [row for line in shown.split("\n", allow_blank=True) for row in line.fold(inner)]
    return [_panel(line, inner) for line in lines]


def _panel(line: Content, inner: int) -> Content:
    gap = max(inner - line.cell_length, 0) + 1
    return (Content(" ") + line + Content(" " * gap)).stylize_before("on $panel")


def _rule(_: Node, width: int) -> list[Content]:
    return [Content.styled("─" * width, _MUTED)]


def _table(node: Node, width: int) -> list[Content]:
    rows = [[_inline_of(cell) for cell in row.children] for part in node.children for row in part.children]
    head = node.children[0].children[0]
    aligned = [str(cell.attrs.get("style", "")) for cell in head.children]
    natural = [max(_widest(row[at]) for row in rows) for at in range(len(aligned))]
    widths = _fitted(natural, width - 3 * (len(natural) - 1))
    if not widths:  # more columns than the screen has: each row as a line of its own
        return [line for row in rows for line in _wrapped(Content(" | ").join(row), width)]
    lines: list[Content] = []
    bar = Content.styled(" │ ", _MUTED)
    for place, row in enumerate(rows):
        cells = [_wrapped(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        for line in zip_longest(*cells, fillvalue=Content()):
            padded = [_aligned(*each) for each in zip(line, widths, aligned, strict=True)]
            shown = bar.join(padded)
            lines.append(shown if place else shown.stylize("bold"))
        if not place:
            lines.append(Content.styled("─┼─".join("─" * wide for wide in widths), _MUTED))
    return lines


def _fitted(natural: list[int], room: int) -> list[int]:
    """Widths of columns that fit into `room`: the widest give way first; [] where it cannot be done."""
    if room < 3 * len(natural):
        return []
    widths = [max(wide, 1) for wide in natural]
    while (over := sum(widths) - room) > 0:
        widest = max(widths)
        second = max((wide for wide in widths if wide < widest), default=0)
        many = widths.count(widest)
        less = max(1, min(widest - second, over // many))
        for at in [at for at, wide in enumerate(widths) if wide == widest][: max(over // less, 1)]:
            widths[at] -= less
    return widths


def _aligned(cell: Content, width: int, how: str) -> Content:
    gap = max(width - cell.cell_length, 0)
    left = gap if "right" in how else gap // 2 if "center" in how else 0
    return Content(" " * left) + cell + Content(" " * (gap - left))


def _widest(content: Content) -> int:
    return max((cell_len(line) for line in content.plain.split("\n")), default=0)


def _inline_of(cell: Node) -> Content:
    return _joined(cell.children)


def _joined(nodes: Sequence[Node]) -> Content:
    return _inline(nodes[0]) if len(nodes) == 1 else Content().join(map(_inline, nodes))


def _wrapped(content: Content, width: int) -> list[Content]:
    fits = content.cell_length <= width and "\n" not in content.plain
    return [content] if fits else content.wrap(width)


def _inline(node: Node) -> Content:
    """A run of text with its styles. Entities and addresses were decoded: they are cleaned once more."""
    if node.type in ("softbreak", "hardbreak"):
        return Content("\n")
    text = _joined(node.children) if node.children else Content(visible(node.content))
    if node.type == "link":
        address = visible(str(node.attrs.get("href", "")))
        text = text.stylize("underline")
        return text if text.plain == address else text + Content.styled(f" ‹{address}›", _MUTED)
    if node.type == "image":
        return Content.assemble("image: ", text, (f" ‹{visible(str(node.attrs.get('src', '')))}›", _MUTED))
    style = _STYLES.get(node.type)
    return text.stylize(style) if style else text


_KINDS: dict[str, Callable[[Node, int], list[Content]]] = {
    "heading": _heading,
    "bullet_list": _bullets,
    "ordered_list": _numbers,
    "blockquote": _quote,
    "fence": _code,
    "code_block": _code,
    "hr": _rule,
    "table": _table,
}
