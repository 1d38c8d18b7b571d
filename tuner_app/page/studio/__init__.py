"""The studio: chat, writing and what runs the labelling, made with Gradio, beside the labelling page."""

from tuner_app.page.studio.frame import host

__all__ = ["host"]
