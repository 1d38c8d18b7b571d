"""Progress: by annotator and batch, and how far people agree. For reviewers."""

from typing import Any

import gradio as gr

from tuner_app import agreement
from tuner_app.page.studio import progress_panel
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, begin, choice, opened, page
from tuner_app.page.studio.markup import Safe, joined
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words
from tuner_app.store import Store, batches, progress
from tuner_app.store.rows import Member

LOOK_SECONDS = 5.0


def add(studio: Studio) -> None:
    """The tab."""
    database = studio.database
    tab, timer = opened(), gr.Timer(LOOK_SECONDS, active=False)
    far = page(elem_id="progress-far")
    batch = choice("progress_of", elem_id="progress-batch", allow_custom_value=True)
    agreed = page(elem_id="progress-agreement")

    async def look(member: Member, words: Words) -> Safe:
        return await database.beside(far_of, words)

    async def offer(member: Member, words: Words, chosen: str | None) -> Any:
        names = await database.read(judged_batches)
        return gr.update(choices=names, value=chosen if chosen in names else next(iter(names), None))

    async def measure(member: Member, words: Words, name: str | None) -> Safe:
        return await database.beside(agreement_of, name or "", words)

    looking: dict[str, Any] = {"fn": may("reviewer", look), "outputs": far, "queue": False, **QUIET}
    tab.select(**looking).then(may("reviewer", begin), None, timer, queue=False, **QUIET)
    timer.tick(**looking)
    tab.select(may("reviewer", offer), batch, batch, queue=False, **QUIET).then(
        may("reviewer", measure), batch, agreed, **QUIET
    )
    batch.input(may("reviewer", measure), batch, agreed, **QUIET)


def far_of(store: Store, words: Words) -> Safe:
    """How far everybody is."""
    names = {batch.id: batch.name for batch in batches.listed(store)}
    return progress_panel.far(progress.by_batch(store), progress.by_person(store), names, words)


def judged_batches(store: Store) -> list[str]:
    """The batches' names, those that are shared first, the newest of each first."""
    return [batch.name for batch in sorted(batches.listed(store), key=lambda batch: not batch.shared)]


def agreement_of(store: Store, name: str, words: Words) -> Safe:
    """How far people agree on the batch called `name`; nothing where there is none."""
    found = next((batch for batch in batches.listed(store) if batch.name == name), None)
    return (
        joined([]) if found is None else progress_panel.agreement(agreement.of_batch(store, found.id), words)
    )
