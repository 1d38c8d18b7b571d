"""Instruction examples, written in the browser."""

import gradio as gr

from tuner_app.page.studio.parts import Studio


def add(studio: Studio) -> None:
    """Put it into the tab that is open."""
    gr.Markdown("write")
