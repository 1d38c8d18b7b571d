"""What every screen has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen

from engine.errors import UserError
from tuner_app.tui.widgets.notice import Notice

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp


@dataclass(frozen=True)
class Saving:
    """A write and what follows once it is on disk; uids inside make it safe to try again."""

    what: str
    write: Callable[[], Awaitable[Any]]
    then: Callable[[Any], Awaitable[None]]
    failed: Callable[[], None] = lambda: None


class TunerScreen(Screen[None]):
    """A screen of the app, with a `Notice` on it."""

    @property
    def tuner(self) -> "TunerApp":
        """The app, with what screens share."""
        return cast("TunerApp", self.app)

    @property
    def is_attached(self) -> bool:
        """Whether it is there, and not being taken down: its widgets go first, one after the other."""
        return super().is_attached and self.display

    @property
    def is_current(self) -> bool:
        """Whether it can be seen. Textual takes what lies right under any screen to show through, and paints
        both each time that something changes below; only a dialogue lets it through."""
        top = self.app.screen if self.app.screen_stack else None
        return top is self or (isinstance(top, ModalScreen) and super().is_current)

    @property
    def notice(self) -> Notice:
        """The place for what was saved and what went wrong."""
        return self.query_one(Notice)


class SavingScreen(TunerScreen):
    """A screen that writes: what could not be saved stays, and Ctrl+S tries it again."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "save_again", "save again")]

    def __init__(self) -> None:
        super().__init__()
        self._unsaved: dict[object, Saving] = {}

    def save(self, key: object, saving: Saving) -> None:
        """Write in the background; a later write under the same key replaces one that failed."""
        if self._unsaved.pop(key, None):
            self.refresh_bindings()
        self.run_worker(self.save_now(key, saving))

    def action_save_again(self) -> None:
        for key, saving in list(self._unsaved.items()):
            self.save(key, saving)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._unsaved) if action == "save_again" else True

    async def save_now(self, key: object, saving: Saving) -> None:
        """Write, and return when it is on disk or known not to be."""
        try:
            result = await saving.write()
        except UserError as error:
            self._unsaved[key] = saving
            saving.failed()
            again = "It stays on the screen; Ctrl+S tries again."
            kept = " ".join(part for part in (error.kept, again) if part)
            self.notice.fail(UserError(f"{saving.what} is not saved: {error.what}", kept=kept, do=error.do))
            self.refresh_bindings()
            return
        await saving.then(result)
