"""The studio's frame: one page of tabs, each shown to the roles that may use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import FastAPI

from tuner_app.page.answering import Answering
from tuner_app.page.studio import chat, data, new_run, people, progress, review, runs, words, write
from tuner_app.page.studio.access import may
from tuner_app.page.studio.answers import Answers
from tuner_app.page.studio.blocks import Blocks
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words, said
from tuner_app.paths import Home
from tuner_app.store.members import ROLES
from tuner_app.store.rows import Member, MemberRole

if TYPE_CHECKING:
    from tuner_app.page.database import Database

# A tab is a module with `add(studio)`, which puts its components into the tab that is open, and its
# listeners: each behind `may(role, …)`, for what a browser does not show can be asked for all the same.
TABS: tuple[tuple[str, MemberRole, Any], ...] = (
    ("chat", "annotator", chat),
    ("write", "annotator", write),
    ("progress", "reviewer", progress),
    ("review", "reviewer", review),
    ("runs", "admin", runs),
    ("data", "admin", data),
    ("people", "admin", people),
)
MOST_WAITING = 100  # events in the queue; who comes then is told so
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Noto Sans CJK SC", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def build(studio: Studio) -> gr.Blocks:
    """The tabs, without a server."""
    blocks = Blocks(studio.home, title="tuner", analytics_enabled=False, fill_width=True)
    with blocks:
        gr.Markdown("# tuner", sanitize_html=True, elem_id="heading")  # for those who have it read to them
        gr.Button(said("to_labelling"), link="/", size="sm", min_width=80, elem_id="to-labelling")
        with gr.Tabs(elem_id="tabs"):
            tabs = []
            for name, role, module in TABS:
                with gr.Tab(
                    said(f"tab_{name}"), id=name, elem_id=f"tab-{name}", visible=role == "annotator"
                ) as tab:
                    module.add(studio)
                tabs.append(tab)

        async def shown(member: Member, words: Words) -> list[Any]:
            rank = ROLES.index(member.role)
            return [gr.update(visible=ROLES.index(role) <= rank) for _, role, _ in TABS]

        blocks.load(may("annotator", shown), None, tabs, queue=False, api_visibility="private")
    blocks.queue(max_size=MOST_WAITING, api_open=False, default_concurrency_limit=8)
    return blocks


def host(home: Home, database: "Database", answering: Answering) -> FastAPI:
    """An app with the studio under /studio, to be run for as long as the server."""
    studio = Studio(home, database, Answers(database, home), answering)
    blocks = build(studio)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await studio.answers.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/studio",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=0,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        i18n=words.of_browser(new_run.texts()),
        theme=_theme(),
        css_paths=[Path(__file__).parent / name for name in ("studio.css", "tables.css")],
        head='<script type="module" src="/static/studio.js"></script>',
    )
    # What a client names as a file is checked only in an app that has been “launched”, and a mounted one
    # never is: without this it could name any file of this machine.
    blocks.has_launched = True
    return app


def _theme() -> gr.themes.Base:
    """Fonts that the machine has, so that none is fetched, and contrasts of 4.5 to 1 at least."""
    return gr.themes.Default(
        primary_hue="blue",
        font=[gr.themes.Font(name) for name in SANS],
        font_mono=[gr.themes.Font(name) for name in MONO],
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        block_info_text_color="*neutral_600",
        block_label_text_color="*neutral_700",
        input_placeholder_color="*neutral_500",
        button_secondary_text_color="*neutral_900",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        button_cancel_background_fill_hover_dark="#991b1b",
    )
