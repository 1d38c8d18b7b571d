"""A field for a file's name, which completes it."""

import os
from pathlib import Path

from textual.suggester import Suggester

from tuner_app.clean import visible
from tuner_app.tui.widgets.line_field import LineField


class PathField(LineField):
    """The right arrow takes the completion that is shown in grey."""

    def __init__(self, value: str = "", *, id: str) -> None:
        super().__init__(value, id=id, placeholder="a file; → completes", compact=True, suggester=_Files())

    @property
    def path(self) -> Path:
        """What was typed, with ~ for the person's own folder."""
        return Path(self.value.strip()).expanduser()


class _Files(Suggester):
    """The first name in the folder that begins as what is typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        typed = os.path.expanduser(value)
        folder, start = os.path.split(typed)
        try:
            names = sorted(os.listdir(folder or "."))
        except (OSError, ValueError):
            return None
        for name in names:
            hidden = (name.startswith(".") and not start) or name != visible(name)
            if name.startswith(start) and name != start and not hidden:
                whole = value + name[len(start) :]
                return whole + "/" if os.path.isdir(os.path.join(folder, name)) else whole
        return None
