"""What somebody said, as Markdown or as it was written."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual
from textual.widget import Widget

from tuner_app.clean import visible
from tuner_app.tui.plain import Rows, wrapped

if TYPE_CHECKING:
    from tuner_app.tui.markdown import Markdown

MARKDOWN_MOST = 10_000  # characters; what takes longer to set than a key may wait is shown as it was written
WRAPPED_MOST = 20_000  # characters; beyond, lines are broken wherever the width ends
DRAWN_MOST = 500  # lines that are kept as they were drawn
_CARET = "▍"
_MARKED = re.compile(r"[*_`#|~\[\]<>\\&]|^ *([-+]|\d{1,9}[.)]) |^    |^ *(-{3,}|={1,}) *$", re.MULTILINE)


class Prose(Widget):
    """Lines of text. Only those on the screen are drawn, so a text may have a million."""

    DEFAULT_CSS = "Prose { height: auto; width: 1fr; max-width: 120; }"

    def __init__(self, text: str = "", *, markdown: bool = True, caret: bool = False) -> None:
        """With `caret` the place where more text will come is marked."""
        super().__init__()
        self._markdown = markdown
        self._caret = caret
        self._set: Markdown | None = None
        self._lines: Sequence[Content] = []
        self._width = 0
        self._drawn: dict[int, tuple[Content, object, Strip]] = {}
        self.text = visible(text)

    @property
    def is_long(self) -> bool:
        """Whether the text is shown as it was written because it is so long."""
        return len(self.text) > MARKDOWN_MOST

    def show(self, text: str, *, markdown: bool = True) -> None:
        """Show another text, more of the same one, or the same with or without its Markdown."""
        text = visible(text)
        if (text, markdown) == (self.text, self._markdown):
            return
        if self._set and markdown and text.startswith(self.text):
            self._set.add(text[len(self.text) :])
        else:
            self._set = None
        self.text, self._markdown = text, markdown
        self._refresh_changed()

    def _refresh_changed(self) -> None:
        """Paint the lines that are others now; all is laid out anew only where there are more of them, or
        fewer: that takes as long as the painting of a whole screen."""
        before, width, self._width = self._lines, self._width, 0
        self._fit(width)
        if width != self.size.width or len(self._lines) != len(before):
            self.refresh(layout=True)
        elif isinstance(self._lines, Rows):
            self.refresh()
        else:
            pairs = enumerate(zip(before, self._lines, strict=True))
            changed = [y for y, (old, new) in pairs if old is not new]
            if changed:
                self.refresh(Region(0, changed[0], width, changed[-1] + 1 - changed[0]))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        self._fit(width)
        return len(self._lines)

    def render_line(self, y: int) -> Strip:
        self._fit(self.size.width)
        if y >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        line, selection = self._lines[y], self.text_selection
        before = self._drawn.get(y)
        if before and before[0] is line and before[1] == self.visual_style and not selection:
            return before[2]  # as when more has come below it
        strip = self._draw(y, line, selection)
        if not selection:
            if len(self._drawn) > DRAWN_MOST:
                self._drawn.clear()
            self._drawn[y] = line, self.visual_style, strip
        return strip

    def _draw(self, y: int, line: Content, selection: Selection | None) -> Strip:
        if selection and (span := selection.get_span(y)):
            start, end = span
            style = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            line = line.stylize(style, start, len(line) if end == -1 else end)
        width = max(line.cell_length, 1)
        (strip,) = Visual.to_strips(self, line, width, 1, self.visual_style, apply_selection=False)
        return strip.crop_extend(0, self.size.width, self.rich_style).apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        return selection.extract("\n".join(line.plain for line in self._lines)), "\n"

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._drawn.clear()
        self.refresh()

    def _fit(self, width: int) -> None:
        if width and width != self._width:
            self._width = width
            self._lines = self._laid(width)
            if self._caret and isinstance(self._lines, list):
                self._lines[-1:] = _with_caret(self._lines, width)

    def _laid(self, width: int) -> Sequence[Content]:
        if len(self.text) > WRAPPED_MOST:
            return Rows(self.text, width)
        if not self._markdown or self.is_long or not _MARKED.search(self.text):
            return wrapped(self.text, width)
        if self._set is None:
            from tuner_app.tui.markdown import Markdown  # brings the parser: when a text first needs it

            self._set = Markdown(self.text)
        return self._set.lines(width)


def _with_caret(lines: list[Content], width: int) -> list[Content]:
    """The last of the lines, with a caret behind it or below it."""
    last = lines[-1] if lines else Content()
    return [last + _CARET] if last.cell_length < width else [last, Content(_CARET)]
