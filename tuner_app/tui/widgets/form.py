"""Fields of a dataclass as lines of a form: name, value, help."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input, Select, Static

from engine.errors import UserError
from engine.spec import build
from tuner_app import words
from tuner_app.clean import one_line
from tuner_app.tui.widgets.line_field import LineField


class Row(Horizontal):
    """One line: a label, a control, and what it means; of the line with the focus all of that is shown."""

    DEFAULT_CSS = """
    Row { height: auto; }
    Row .label { width: 15; text-align: right; padding: 0 1 0 0; }
    Row .help {
        width: 1fr; height: 1; padding: 0 0 0 2; color: $foreground-muted;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    Row:focus-within .help, Row.-wrong .help { height: auto; text-wrap: wrap; color: $foreground; }
    Row:focus-within .label { text-style: bold; }
    """

    def __init__(self, label: str, control: "Input | Select[str]", help: str) -> None:
        super().__init__()
        self._label = label
        self._help = help
        self.control = control

    def compose(self) -> ComposeResult:
        yield Static(Content(self._label), markup=False, classes="label")
        yield self.control
        yield Static(Content(self._help), markup=False, classes="help")

    def help(self, text: str) -> None:
        """Change what is said about it; nothing is wrong with it."""
        self._help = text
        self.right()

    def wrong(self, why: str) -> None:
        """Show what is wrong with the value in place of the help."""
        self.add_class("-wrong")
        self._say(Content.styled(f"✗ {one_line(why, 300)}", "$text-error"))

    def right(self) -> None:
        """Show the help again."""
        self.remove_class("-wrong")
        self._say(Content(self._help))

    @property
    def is_wrong(self) -> bool:
        """Whether something was found wrong with its value."""
        return self.has_class("-wrong")

    def _say(self, text: Content) -> None:
        for shown in self.query(".help").results(Static):
            shown.update(text)

    def offer(self, choices: Mapping[str, str], value: str) -> None:
        """Offer other choices, with `value` chosen where it is one of them, else the first."""
        assert isinstance(self.control, Select)
        self.control.set_options(_options(choices))
        self.control.value = value if value in choices else next(iter(choices))


def text_row(
    label: str, value: str, help: str, *, id: str, placeholder: str = "", suggester: Suggester | None = None
) -> Row:
    """A line with a text field."""
    field = LineField(value, id=id, placeholder=placeholder, suggester=suggester, compact=True)
    return Row(label, field, help)


def choice_row(label: str, choices: Mapping[str, str], value: str, help: str, *, id: str) -> Row:
    """A line with a choice; `choices` maps values to what is shown."""
    return Row(label, Select(_options(choices), value=value, allow_blank=False, id=id, compact=True), help)


def _options(choices: Mapping[str, str]) -> list[tuple[Text, str]]:
    """As `Text`, which is no markup: in a `Content` no letter typed into the open list is looked for."""
    return [(Text(text), key) for key, text in choices.items()]


class Fields(Vertical):
    """The simple fields of a dataclass, with the values given, else their defaults; a wrong value is told of
    as soon as it is typed. Those that are not common have the class `-rare`."""

    DEFAULT_CSS = "Fields { height: auto; }"

    def __init__(
        self, cls: type[Any], what: str, *, id: str, values: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(id=id)
        self.of = cls
        self._what = what
        self._given = dict(values or {})
        self._suggested: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        in_order = sorted(fields(self.of), key=lambda spec: not spec.metadata.get("common"))
        for spec in in_order:
            row = self._row(spec)
            row.set_class(not spec.metadata.get("common"), "-rare")
            yield row

    def _row(self, spec: "Field[Any]") -> Row:
        help, label = spec.metadata.get("help", ""), spec.name.replace("_", " ")
        id, value = f"{self.id}-{spec.name}", words.typed(self._given.get(spec.name, spec.default))
        if choices := spec.metadata.get("choices"):
            return choice_row(label, {choice: choice for choice in choices}, value, help, id=id)
        if isinstance(spec.default, bool):
            return choice_row(label, {"no": "no", "yes": "yes"}, value, help, id=id)
        return text_row(label, value, help, id=id)

    def _spec(self, control: "Input | Select[Any]") -> "Field[Any]":
        name = str(control.id).removeprefix(f"{self.id}-")
        return next(spec for spec in fields(self.of) if spec.name == name)

    @on(Select.Changed)
    def _chosen(self, event: Select.Changed) -> None:
        choices = self._spec(event.select).metadata.get("choices")
        if isinstance(choices, Mapping):
            event.select.query_ancestor(Row).help(choices[str(event.value)])

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        row = event.input.query_ancestor(Row)
        try:
            self._value(row)
        except UserError as error:
            row.wrong(str(error))
        else:
            row.right()

    def _value(self, row: Row) -> Any:
        spec = self._spec(row.control)
        return getattr(build(self.of, {spec.name: row.control.value}, self._what), spec.name)

    def suggest(self, name: str, value: Any, why: str) -> None:
        """Put a value that suits better than the default into a field, unless a person has changed it."""
        row = self.query_one(f"#{self.id}-{name}", Input).query_ancestor(Row)
        spec = self._spec(row.control)
        if name not in self._given and row.control.value == self._suggested.get(
            name, words.typed(spec.default)
        ):
            self._suggested[name] = row.control.value = words.typed(value)
            row.help(f"{spec.metadata['help']}; {why}")

    @property
    def changed(self) -> dict[str, str]:
        """The values, as typed, that differ from the defaults and from what was suggested."""
        found = {}
        for row in self.query(Row):
            spec, value = self._spec(row.control), str(row.control.value)
            if value not in (words.typed(spec.default), self._suggested.get(spec.name)):
                found[spec.name] = value
        return found

    def values(self) -> dict[str, Any]:
        """The values, checked; a UserError, shown at its field too."""
        given, wrong = self._checked()
        if wrong:
            row, error = wrong[0]
            row.control.focus()
            raise error
        return given

    def right_values(self) -> dict[str, Any]:
        """Those values that can be; what is wrong with others is shown at their fields."""
        return self._checked()[0]

    def _checked(self) -> tuple[dict[str, Any], list[tuple[Row, UserError]]]:
        given: dict[str, Any] = {}
        wrong = []
        for row in self.query(Row):
            try:
                given[self._spec(row.control).name] = self._value(row)
                if row.is_wrong:
                    row.right()
            except UserError as error:
                row.wrong(str(error))
                wrong.append((row, error))
        return given, wrong
