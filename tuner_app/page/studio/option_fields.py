"""Fields of a dataclass of options as fields of a form. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from engine.spec import build


@dataclass(frozen=True)
class OptionField:
    """One field: what it means, and what it is when nobody says; `choices` where there are no others."""

    name: str
    help: str
    default: Any
    choices: tuple[str, ...] = ()
    common: bool = False

    @property
    def label(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")

    @property
    def usual(self) -> str:
        """The default as a person would type it."""
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


def option_fields(cls: type[Any]) -> list[OptionField]:
    """The fields of a class, the common ones first."""
    found = [
        OptionField(
            spec.name,
            spec.metadata.get("help", ""),
            spec.default,
            tuple(spec.metadata.get("choices", ())),
            bool(spec.metadata.get("common")),
        )
        for spec in fields(cls)
    ]
    return sorted(found, key=lambda field: not field.common)


def given(cls: type[Any], values: Sequence[Any], what: str) -> dict[str, Any]:
    """What a person has said, of the values of `option_fields` in their order, checked: what is empty or as
    usual is left out. A UserError for a value that cannot be."""
    said = {
        field.name: value
        for field, value in zip(option_fields(cls), values, strict=True)
        if value not in (None, "", field.default)
    }
    checked: Mapping[str, Any] = vars(build(cls, said, what))
    return {name: checked[name] for name in said}
