"""Fields of a dataclass as lines of a form: name, value, help."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Select, Static

from engine.errors import UserError
from engine.spec import build


class Row(Horizontal):
    """One line: a label, a control, and what it means."""

    def __init__(self, label: str, control: "Input | Select[str]", help: str) -> None:
        super().__init__()
        self._label = label
        self._help = help
        self.is_wrong = False
        self.control = control

    def compose(self) -> ComposeResult:
        yield Static(Content(self._label), markup=False, classes="label")
        yield self.control
        yield Static(Content(self._help), markup=False, classes="help")

    def help(self, text: str) -> None:
        """Change what is said about it."""
        self._help = text
        self.is_wrong = False
        self.query_one(".help", Static).update(Content(text))

    def wrong(self, why: str) -> None:
        """Show what is wrong with the value in place of the help."""
        self.is_wrong = True
        self.query_one(".help", Static).update(Content.styled(f"✗ {why}", "$text-error"))

    def right(self) -> None:
        """Show the help again."""
        self.help(self._help)

    def offer(self, choices: dict[str, str], value: str) -> None:
        """Offer other choices, with `value` chosen where it is one of them, else the first."""
        assert isinstance(self.control, Select)
        self.control.set_options([(Content(text), key) for key, text in choices.items()])
        self.control.value = value if value in choices else next(iter(choices))


def text_row(label: str, value: str, help: str, *, id: str, placeholder: str = "") -> Row:
    """A line with a text field."""
    return Row(label, Input(value, id=id, placeholder=placeholder, compact=True), help)


def choice_row(label: str, choices: dict[str, str], value: str, help: str, *, id: str) -> Row:
    """A line with a choice; `choices` maps values to what is shown."""
    options = [(Content(text), key) for key, text in choices.items()]
    return Row(label, Select(options, value=value, allow_blank=False, id=id, compact=True), help)


class Fields(Vertical):
    """The simple fields of a dataclass, with their defaults."""

    def __init__(
        self, cls: type[Any], what: str, *, id: str, values: Mapping[str, Any] | None = None
    ) -> None:
        """`values` are shown in place of the defaults."""
        super().__init__(id=id)
        self.of = cls
        self._what = what
        self._initial = {spec.name: spec.default for spec in fields(cls)} | dict(values or {})
        self._suggested: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        for spec in fields(self.of):
            yield self._row(spec)

    def _row(self, spec: "Field[Any]") -> Row:
        help, label = spec.metadata.get("help", ""), spec.name.replace("_", " ")
        id, value = f"{self.id}-{spec.name}", self._initial[spec.name]
        if choices := spec.metadata.get("choices"):
            return choice_row(label, {choice: choice for choice in choices}, str(value), help, id=id)
        if isinstance(spec.default, bool):
            return choice_row(label, {"no": "no", "yes": "yes"}, _text(value), help, id=id)
        return text_row(label, _text(value), help, id=id)

    def suggest(self, name: str, value: Any, why: str) -> None:
        """Put a value that suits better than the default into a field, unless a person has changed it."""
        row = self.query_one(f"#{self.id}-{name}", Input).query_ancestor(Row)
        spec = next(spec for spec in fields(self.of) if spec.name == name)
        if row.control.value == self._suggested.get(name, _text(self._initial[name])):
            self._suggested[name] = row.control.value = _text(value)
            row.help(f"{spec.metadata['help']}; {why}")

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
        for spec, row in zip(fields(self.of), self.query(Row), strict=True):
            row.right()
            try:
                built = build(self.of, {spec.name: row.control.value}, self._what)
                given[spec.name] = getattr(built, spec.name)
            except UserError as error:
                row.wrong(" ".join(str(error).split("\n")))
                wrong.append((row, error))
        return given, wrong


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
