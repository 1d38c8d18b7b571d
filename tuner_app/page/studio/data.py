"""Data: what there is, batches made and shared out, files in and out. For admins."""

from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import gradio as gr
from gradio.events import Dependency

from engine.errors import UserError
from tuner_app import labelling, settings
from tuner_app.formats import FORMATS
from tuner_app.labelling import From, Wish
from tuner_app.page.answering import Answering
from tuner_app.page.files import CONTAINERS
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, begin, button, choice, field, opened, page
from tuner_app.page.studio.data_panel import batch_named, batches_table, counts_table, export_link
from tuner_app.page.studio.markup import Safe, line
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words
from tuner_app.page.studio.words import said as label
from tuner_app.paths import Home
from tuner_app.store import Store, audit, batches, members, sharing
from tuner_app.store.rows import Batch, BatchKind, Member

if TYPE_CHECKING:
    from tuner_app.page.database import Database

LOOK_SECONDS = 3.0
USUAL = 200
WARM = "1.0"  # two answers of one model are to differ
ORIGINS: tuple[From, ...] = ("typed", "conversations", "examples", "stored")


def add(studio: Studio) -> None:
    """The tab."""
    database, home, answering = studio.database, studio.home, studio.answering
    tab, timer = opened(), gr.Timer(LOOK_SECONDS, active=False)
    listing = page(elem_id="data-batches")
    told = page(elem_id="data-told")
    with gr.Accordion(label("data_new"), open=False, elem_id="data-new"):
        made = _new_batch(database, home, tab, told)
    with gr.Accordion(label("data_share"), open=False, elem_id="data-share"):
        _share(database, tab, told, answering, made)
    with gr.Accordion(label("data_import"), open=False, elem_id="data-import"):
        page(elem_id="import-here")  # static/studio.js puts a form here: files go by a route of our own
    with gr.Accordion(label("data_export"), open=False, elem_id="data-export"):
        _export(tab)
    counts = page(elem_id="data-counts")
    imported = gr.Button(elem_id="data-imported", elem_classes="t-kept")  # static/studio.js presses it

    async def look(member: Member, words: Words) -> Safe:
        return await database.beside(batches_table, answering.states, words)

    async def count(member: Member, words: Words) -> Safe:
        return await database.beside(counts_table, words)

    looking: dict[str, Any] = {"fn": may("admin", look), "outputs": listing, "queue": False, **QUIET}
    for event in (tab.select, imported.click):
        event(may("admin", count), None, counts, queue=False, **QUIET)
    tab.select(**looking).then(may("admin", begin), None, timer, queue=False, **QUIET)
    timer.tick(**looking)


def _new_batch(database: "Database", home: Home, tab: gr.Tab, told: gr.Markdown) -> Dependency:
    """The form of a new batch; what makes it."""
    kinds = [(label("data_pair"), "pair"), (label("data_single"), "single")]
    with gr.Row():
        name = field("data_name", placeholder=label("runs_next_free"), elem_id="batch-name")
        kind = choice("data_kind", kinds, "pair", elem_id="batch-kind")
        origin = choice(
            "data_origin", [(label(f"data_{one}"), one) for one in ORIGINS], "typed", elem_id="batch-origin"
        )
        limit = gr.Number(USUAL, label=label("data_limit"), precision=0, minimum=1, maximum=batches.MOST)
    typed = field("data_lines", lines=5, max_lines=12, elem_id="batch-typed")
    source = choice("data_source", [(label("data_all"), "")], "", visible=False, allow_custom_value=True)
    with gr.Row() as answered:
        first = choice("data_first", [(label("data_base"), "")], "", allow_custom_value=True)
        second = choice("data_second", [(label("data_same"), "")], "", allow_custom_value=True)
        temperature = field("data_temperature", WARM)
        longest = field("data_longest", "256")
        system = field("data_system")
    make = button("data_make", variant="primary", elem_id="batch-make")
    fields = [name, kind, origin, limit, typed, source, first, second, temperature, longest, system]

    async def offer(member: Member, words: Words) -> list[Any]:
        kept = settings.load(home)
        free, _, sources, makers = await database.beside(labelling.offered, kept)
        answer = [(shown, one) for one, shown in makers.items()]
        return [
            gr.update(placeholder=free),
            gr.update(choices=[(words("data_all"), ""), *sources]),
            gr.update(choices=answer, value=kept.adapter),
            gr.update(choices=[(words("data_same"), ""), *answer[1:]]),
            str(kept.decoding.max_tokens),
        ]

    async def adapt(member: Member, words: Words, kind: str, origin: str) -> list[Any]:
        return [
            gr.update(visible=origin == "typed"),
            gr.update(visible=origin in ("examples", "stored")),
            gr.update(visible=origin != "stored"),
            gr.update(visible=kind == "pair"),
        ]

    async def made(member: Member, words: Words, *values: Any) -> list[Any]:
        batch = await _make(database, home, member, values)
        return [line(words("data_made", name=batch.name), "good"), "", ""]

    tab.select(may("admin", offer), None, [name, source, first, second, longest], queue=False, **QUIET)
    for event in (kind.change, origin.change):
        event(may("admin", adapt), [kind, origin], [typed, source, answered, second], queue=False, **QUIET)
    return make.click(may("admin", made), fields, [told, name, typed], api_visibility="private")


async def _make(database: "Database", home: Home, member: Member, values: tuple[Any, ...]) -> Batch:
    name, kind, origin, limit, text, source, first, second, temperature, longest, system = values
    if origin not in ORIGINS:  # “file” would be a path of this machine
        raise UserError(f"Prompts cannot come from “{origin}” here.", kept="Nothing was made.")
    kept = settings.load(home)
    wish = Wish(
        cast(BatchKind, kind),
        origin,
        int(limit or USUAL),
        text=text or "",
        source=source or "",
        system=system,
    )
    asked = await database.beside(labelling.gather, wish)
    makers = labelling.makers(wish, kept.base, first or "", second or first or "")
    drawn = {"temperature": temperature, "max_tokens": longest}
    decoding = labelling.decoding(wish, makers, kept.decoding, drawn)

    def make(store: Store) -> Batch:
        batch = labelling.make(
            store, wish, asked, makers=makers, decoding=decoding, name=name.strip(), uid=uuid4().hex
        )
        audit.note(store, "make batch", person=member.name, detail=f"{batch.name}: {len(asked)} prompts")
        return batch

    return await database.write(make)


def _share(
    database: "Database", tab: gr.Tab, told: gr.Markdown, answering: Answering, made: Dependency
) -> None:
    """How a batch is shared out: the one that has just been made, or another."""
    with gr.Row():
        batch = choice("data_batch", elem_id="share-batch", allow_custom_value=True)
        overlap = gr.Number(1, label=label("data_overlap"), precision=0, minimum=1, elem_id="share-overlap")
        priority = gr.Number(0, label=label("data_priority"), precision=0)
        gold_rate = gr.Number(0, label=label("data_gold_rate"), minimum=0, maximum=1, step=0.05)
    people = choice("data_people", value=[], multiselect=True, info=label("data_everybody"))
    guidelines = field("data_guidelines", lines=4, max_lines=20, elem_id="share-guidelines")
    with gr.Row(elem_classes="t-bar"):
        shared = gr.Checkbox(True, label=label("data_shared"), elem_id="share-shared")
        save = button("data_save", variant="primary", elem_id="share-save")
        again = button("data_again")
    form = [overlap, priority, gold_rate, people, guidelines, shared]

    async def offer(member: Member, words: Words, chosen: str | None) -> Any:
        names = [one.name for one in await database.read(batches.listed)]
        return gr.update(choices=names, value=chosen if chosen in names else next(iter(names), None))

    async def show(member: Member, words: Words, name: str | None) -> list[Any]:
        if not name:
            return [gr.skip() for _ in form]
        found = await database.read(batch_named, name)
        who = [one.name for one in await database.read(members.listed) if not one.revoked]
        named = await database.read(sharing.people_of, found.id)
        given = [found.overlap, found.priority, found.gold_rate]
        return [*given, gr.update(choices=who, value=named), found.guidelines, found.shared]

    async def show_new(member: Member, words: Words) -> list[Any]:
        names = [one.name for one in await database.read(batches.listed)]
        *others, _ = await show(member, words, names[0])
        return [gr.update(choices=names, value=names[0]), *others, True]  # it was made to be labelled

    async def saved(
        member: Member,
        words: Words,
        name: str | None,
        overlap: float,
        priority: float,
        gold_rate: float,
        people: list[str],
        guidelines: str,
        shared: bool,
    ) -> Safe:
        def configure(store: Store) -> Batch:
            batch = sharing.configure(
                store,
                batch_named(store, name or "").id,
                overlap=int(overlap or 1),
                priority=int(priority or 0),
                gold_rate=float(gold_rate or 0),
                guidelines=guidelines,
                shared=shared,
                people=people,
            )
            detail = f"{batch.name}: shared {batch.shared}, overlap {batch.overlap}, gold {batch.gold_rate:g}"
            audit.note(store, "share batch", person=member.name, detail=detail)
            return batch

        batch = await database.write(configure)
        return line(words("data_is_shared" if shared else "data_not_shared", name=batch.name), "good")

    async def try_again(member: Member, words: Words, name: str | None) -> Safe:
        batch = await database.read(batch_named, name or "")
        await database.write(batches.try_again, batch.id)
        answering.try_again(batch.id)
        return line(words("data_trying", name=batch.name), "good")

    tab.select(may("admin", offer), batch, batch, queue=False, **QUIET).then(
        may("admin", show), batch, form, queue=False, **QUIET
    )
    batch.input(may("admin", show), batch, form, queue=False, **QUIET)
    # All of it at once: what is typed then is not written over.
    made.success(may("admin", show_new), None, [batch, *form], queue=False, **QUIET)
    save.click(may("admin", saved), [batch, *form], told, api_visibility="private")
    again.click(may("admin", try_again), batch, told, api_visibility="private")


def _export(tab: gr.Tab) -> None:
    """What is to be written, and the link that gives it."""
    with gr.Row():
        form = choice("data_format", [*FORMATS], "messages", elem_id="export-format")
        data = field("data_selection", "all", info=label("runs_data_info"), elem_id="export-data")
        container = choice("data_container", [*CONTAINERS], CONTAINERS[0])
    link = page(elem_id="export-link")

    async def show(member: Member, words: Words, form: str, data: str, container: str) -> Safe:
        return export_link(form, data, container, words)

    for event in (tab.select, form.change, data.change, container.change):
        event(may("admin", show), [form, data, container], link, queue=False, **QUIET)
