"""Instruction examples, written in the browser."""

from typing import TYPE_CHECKING

import gradio as gr

from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.page.database import Database


def add(database: "Database", home: Home) -> None:
    gr.Markdown("write")
