"""The theme that a person chose: kept in the settings, and there again at the next start."""

from dataclasses import replace
from typing import TYPE_CHECKING

from textual.constants import DEFAULT_THEME
from textual.theme import Theme

from engine.errors import UserError
from tuner_app import settings as settings_file

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp


def use(app: "TunerApp") -> None:
    """Show the theme that the settings name, if there is one called so."""
    if app.settings.theme in app.available_themes:
        app.theme = app.settings.theme


def follow(app: "TunerApp") -> None:
    """Keep each theme that is chosen from now on."""

    def keep(theme: Theme) -> None:
        if theme.name == (app.settings.theme or DEFAULT_THEME):
            return
        try:
            settings_file.save(app.home, replace(settings_file.load(app.home), theme=theme.name))
            app.load_settings()
        except UserError as error:
            app.notify(str(error), severity="error", markup=False)

    app.theme_changed_signal.subscribe(app, keep)
