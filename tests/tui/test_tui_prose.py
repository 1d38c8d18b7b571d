"""Lines that stay are not drawn again, and look as if they were."""

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.strip import Strip
from textual.theme import Theme

from tuner_app.tui.widgets.prose import Prose

TEXT = "# Title\n\nSome *prose* with `code`.\n\n- one\n- two\n\n```python\nx = 1\n```\n\nand the end"


class Page(App[None]):
    """A text that comes in pieces."""

    def compose(self) -> ComposeResult:
        self.grown = Prose()
        with VerticalScroll():
            yield self.grown

    async def check(self, pilot: Pilot[None]) -> Strip:
        """That it looks like the same text made anew; its first line."""
        anew = Prose(self.grown.text)
        await self.query_one(VerticalScroll).mount(anew)
        await pilot.pause()
        assert drawn(self.grown) == drawn(anew)
        await anew.remove()
        return self.grown.render_line(0)


def drawn(prose: Prose) -> list[Strip]:
    assert prose.size.height > 10
    return [prose.render_line(y).apply_offsets(0, 0) for y in range(prose.size.height)]


async def test_what_grew_looks_like_what_came_whole_in_every_theme_and_width() -> None:
    app = Page()
    async with app.run_test(size=(40, 60)) as pilot:
        for end in range(1, len(TEXT) + 1, 3):
            app.grown.show(TEXT[:end])
            await pilot.pause()
        title = await app.check(pilot)
        app.grown.show(TEXT + "!")
        await pilot.pause()
        assert app.grown.render_line(0) is title
        for colour in ("#ff0000", "#00ff00"):  # nothing else differs
            app.register_theme(Theme(colour, primary=colour))
            app.theme = colour
            title, before = await app.check(pilot), title
            assert title != before
        await pilot.resize_terminal(30, 60)
        assert (await app.check(pilot)).cell_length < title.cell_length
