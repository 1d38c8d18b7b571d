"""Several runs laid over each other."""

from string import ascii_uppercase
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import one_line
from tuner_app.run_facts import STATUS, RunFacts, progress
from tuner_app.store.run_rows import Run
from tuner_app.tui.following import follow
from tuner_app.tui.screens.figures import FIGURE_KEYS, FiguresScreen
from tuner_app.tui.widgets.chart import MARKS
from tuner_app.tui.widgets.figures import Figures
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar


class CompareScreen(FiguresScreen):
    """What sets the runs apart, a line each, and their figures in the same charts, live."""

    DEFAULT_CSS = """
    CompareScreen #apart { height: auto; max-height: 40%; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *FIGURE_KEYS,
        Binding("escape", "app.pop_screen", "back", key_display="esc"),
    ]

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._facts = {name: RunFacts() for name in names}
        self._runs: dict[str, Run] = {}

    def compose(self) -> ComposeResult:
        yield TopBar(f"{len(self._facts)} runs")
        yield Static(markup=False, id="apart")
        yield Figures()
        yield Notice()
        yield KeyBar()

    async def look(self) -> None:
        for name, facts in self._facts.items():
            async for run in follow(self.tuner.database, name, facts):
                self._runs[name] = run
                if self.is_attached:
                    self._show()

    def _show(self) -> None:
        self.query_one("#apart", Static).update(self._apart(list(self._runs.values())))
        self.figures.show([(run.title, self._facts[name]) for name, run in self._runs.items()])

    def _apart(self, found: list[Run]) -> Content:
        data = list(dict.fromkeys(run.snapshot_hash for run in found))
        settings = [
            _settings(run) | {"data": ascii_uppercase[data.index(run.snapshot_hash)]} for run in found
        ]
        differing = [
            name
            for name in dict.fromkeys(name for each in settings for name in each)
            if len({each.get(name) for each in settings}) > 1
        ]
        lines = []
        for mark, run, each in zip(MARKS, found, settings, strict=False):
            facts = self._facts[run.name]
            parts = [f"{STATUS[run.status]} {progress(facts.step)}".strip()]
            parts += [f"{name.replace('_', ' ')} {each[name]}" for name in differing if name in each]
            parts += [f"{facts.data['rows']:,} rows"] if "data" in differing and facts.data else []
            text = one_line(" · ".join(parts), 400)
            lines.append(Content.assemble(f"{mark} ", (one_line(run.title, 24), "bold"), "  ", text))
        return Content("\n").join(lines)


def _settings(run: Run) -> dict[str, Any]:
    spec = run.spec
    return {
        "method": run.method,
        "base": spec["base"],
        "from": run.source if run.parent_id else "the base",
        "precision": spec["precision"],
        **spec["adapter"],
        **spec["options"],
        "seed": spec["seed"],
    }
