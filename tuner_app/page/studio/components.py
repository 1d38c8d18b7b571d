"""Components that several tabs have."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from tuner_app.page.studio.words import Words, said
from tuner_app.store.rows import Member

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def page(**where: Any) -> gr.Markdown:
    """A place for HTML made by `markup`. Gradio's own HTML component evaluates its text as a program, which
    the page forbids; in Markdown a line that begins with a tag stays as it is."""
    return gr.Markdown(
        sanitize_html=True, latex_delimiters=[], container=False, elem_classes="t-page", **where
    )


def kept(name: str, value: str = "") -> gr.Textbox:
    """A value that nobody sees, in the browser and not, as a gr.State is, on the server: a try whose answer
    was lost is sent again as it was, and a restarted server goes on with it."""
    return gr.Textbox(value, elem_id=name, elem_classes="t-kept", label=name)


def choice(key: str, choices: Sequence[Any] = (), value: Any = None, **more: Any) -> gr.Dropdown:
    """A labelled choice."""
    return gr.Dropdown(list(choices), value=value, label=said(key), interactive=True, **more)


def field(key: str, value: str = "", **more: Any) -> gr.Textbox:
    """A labelled text field."""
    return gr.Textbox(value, label=said(key), interactive=True, **more)


def button(key: str, **more: Any) -> gr.Button:
    """A labelled button."""
    return gr.Button(said(key), **more)


async def begin(member: Member, words: Words) -> gr.Timer:
    """A handler that sets a timer going: those of tabs that nobody has opened ask for nothing."""
    return gr.Timer(active=True)


def opened() -> gr.Tab:
    """The tab that components are being put into."""
    from gradio.context import Context

    tab = Context.block
    assert isinstance(tab, gr.Tab)
    return tab
