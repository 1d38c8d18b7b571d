"""Fields of a dataclass as lines of a form: name, value, help."""

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
        self.control = control

    def compose(self) -> ComposeResult:
        yield Static(Content(self._label), markup=False, classes="label")
        yield self.control
        yield Static(Content(self._help), markup=False, classes="help")

    def help(self, text: str) -> None:
        """Change what is said about it."""
        self._help = text
        self.query_one(".help", Static).update(Content(text))

    def wrong(self, why: str) -> None:
        """Show what is wrong with the value in place of the help."""
        self.query_one(".help", Static).update(Content.styled(f"✗ {why}", "$text-error"))

    def right(self) -> None:
        """Show the help again."""
        self.help(self._help)


def text_row(label: str, value: str, help: str, *, id: str, placeholder: str = "") -> Row:
    """A line with a text field."""
    return Row(label, Input(value, id=id, placeholder=placeholder, compact=True), help)


def choice_row(label: str, choices: dict[str, str], value: str, help: str, *, id: str) -> Row:
    """A line with a choice; `choices` maps values to what is shown."""
    options = [(Content(text), key) for key, text in choices.items()]
    return Row(label, Select(options, value=value, allow_blank=False, id=id, compact=True), help)


class Fields(Vertical):
    """The simple fields of a dataclass, with their defaults."""

    def __init__(self, cls: type[Any], what: str, *, id: str) -> None:
        super().__init__(id=id)
        self._cls = cls
        self._what = what

    def compose(self) -> ComposeResult:
        for spec in fields(self._cls):
            yield self._row(spec)

    def _row(self, spec: "Field[Any]") -> Row:
        help, label = spec.metadata.get("help", ""), spec.name.replace("_", " ")
        id = f"{self.id}-{spec.name}"
        if choices := spec.metadata.get("choices"):
            return choice_row(label, {choice: choice for choice in choices}, str(spec.default), help, id=id)
        if isinstance(spec.default, bool):
            return choice_row(label, {"no": "no", "yes": "yes"}, _text(spec.default), help, id=id)
        return text_row(label, _text(spec.default), help, id=id)

    def values(self) -> dict[str, Any]:
        """The values that differ from the defaults, checked; a UserError, shown at its field too."""
        given, first_wrong = {}, None
        for spec, row in zip(fields(self._cls), self.query(Row), strict=True):
            text = row.control.value
            row.right()
            if str(text).strip() == _text(spec.default):
                continue
            try:
                given[spec.name] = vars(build(self._cls, {spec.name: text}, self._what))[spec.name]
            except UserError as error:
                row.wrong(" ".join(str(error).split("\n")))
                if first_wrong is None:
                    first_wrong = error
                    row.control.focus()
        if first_wrong:
            raise first_wrong
        return given


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
