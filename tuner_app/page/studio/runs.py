"""Runs: the list, one of them live, and its control. For admins."""

from typing import Any

import gradio as gr

from engine.errors import UserError
from tuner_app import remedies
from tuner_app.page.studio import new_run
from tuner_app.page.studio.access import may
from tuner_app.page.studio.charts import MOST_BESIDE
from tuner_app.page.studio.components import QUIET, begin, button, choice, kept, opened, page
from tuner_app.page.studio.markup import Safe, line
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.run_panel import Followed, shown
from tuner_app.page.studio.words import Words
from tuner_app.page.studio.words import said as label
from tuner_app.paths import Home
from tuner_app.store import Store, audit, runs
from tuner_app.store.rows import Member
from tuner_app.store.run_rows import Request, Run
from tuner_app.workers import supervisor

TICK_SECONDS = 1.0


def add(studio: Studio) -> None:
    """The tab."""
    database, home = studio.database, studio.home
    tab, followed = opened(), Followed()
    last = kept("runs-last")
    timer = gr.Timer(TICK_SECONDS, active=False)
    listing = page(elem_id="runs-list")
    with gr.Row(elem_classes="t-bar"):
        name = choice("runs_run", elem_id="runs-name", allow_custom_value=True)
        beside = choice(
            "runs_beside", value=[], multiselect=True, max_choices=MOST_BESIDE, elem_id="runs-beside"
        )
        pause = button("runs_pause", visible=False, elem_id="runs-pause")
        resume = button("runs_resume", visible=False, elem_id="runs-resume")
        stop = button("runs_stop", visible=False, variant="stop", elem_id="runs-stop")
    with gr.Row(visible=False, elem_classes="t-bar") as sure:
        gr.Markdown(label("runs_sure"))
        yes = button("runs_yes", variant="stop", elem_id="runs-yes")
        no = button("runs_no")
    notice = page(elem_id="runs-notice")
    panel = page(elem_id="runs-panel")
    with gr.Accordion(label("runs_log"), open=False):
        log = page(elem_id="runs-log")
    seen = [last, listing, name, beside, panel, log, pause, resume, stop]

    async def look(
        member: Member, words: Words, name: str | None, others: list[str] | None, before: str
    ) -> list[Any]:
        await database.apart(_reap, home)
        now = await database.read(shown, home, followed, name or "", words, others or [])
        if now.seal == before:
            return [gr.skip() for _ in seen]
        # What was chosen meanwhile stays chosen: a value is sent only where there was none.
        value: dict[str, Any] = {} if name == now.name else {"value": now.name or None}
        listed = (before or " ").split()[:1] == now.seal.split()[:1]
        return [
            now.seal,
            now.table,
            gr.skip() if listed and not value else gr.update(choices=list(now.choices), **value),
            gr.skip()
            if listed
            else gr.update(
                choices=[one for one in now.choices if one[1] != now.name], visible=len(now.choices) > 1
            ),
            now.panel,
            now.log,
            gr.update(visible=now.may_pause),
            gr.update(visible=now.may_resume),
            gr.update(visible=now.may_stop),
        ]

    looking: dict[str, Any] = {
        "fn": may("admin", look),
        "inputs": [name, beside, last],
        "outputs": seen,
        "queue": False,
        **QUIET,
    }
    tab.select(**looking).then(may("admin", begin), None, timer, queue=False, **QUIET)
    timer.tick(**looking)
    name.input(**looking)
    beside.input(**looking)

    def ends(request: Request) -> Any:
        async def end(member: Member, words: Words, name: str, asked: gr.Request) -> Safe:
            await database.apart(_end, home, name, request, member, _address(asked))
            return line(words("runs_paused" if request == "pause" else "runs_stopped"), "good")

        return may("admin", end)

    async def go_on(member: Member, words: Words, name: str, asked: gr.Request) -> Safe:
        await database.apart(_resume, home, name, member, _address(asked))
        return line(words("runs_resumed"), "good")

    def ask(seen: bool) -> Any:
        async def show(member: Member, words: Words) -> Any:
            return gr.update(visible=seen)

        return may("admin", show)

    private: dict[str, Any] = {"api_visibility": "private"}
    stop.click(ask(True), None, sure, queue=False, **QUIET)
    no.click(ask(False), None, sure, queue=False, **QUIET)
    yes.click(ask(False), None, sure, queue=False, **QUIET).then(ends("stop"), name, notice, **private)
    pause.click(ends("pause"), name, notice, **private)
    resume.click(may("admin", go_on), name, notice, **private)
    with gr.Accordion(label("runs_new"), open=False, elem_id="runs-new"):
        new_run.add(database, home, tab, name)


def _reap(store: Store, home: Home) -> None:
    if any(run.status == "running" for run in runs.listed(store)):
        supervisor.reap(home, store)


def _run(store: Store, name: str) -> Run:
    run = runs.get(store, name or "")
    if run is None:
        raise UserError(f"There is no run “{name}”.", do="Choose one of the list.")
    return run


def _end(store: Store, home: Home, name: str, request: Request, member: Member, address: str) -> None:
    run = _run(store, name)
    supervisor.stop_run(home, store, run, request=request)
    audit.note(store, f"{request} run", person=member.name, detail=run.name, address=address)


def _resume(store: Store, home: Home, name: str, member: Member, address: str) -> None:
    run = _run(store, name)
    remedies.refuse_in_vain(run)
    supervisor.start_run(home, store, run)
    audit.note(store, "resume run", person=member.name, detail=run.name, address=address)


def _address(asked: gr.Request) -> str:
    return asked.client.host if asked.client else ""
