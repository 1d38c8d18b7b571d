"""Review: what people judged differently, side by side, and the reviewer's own label. For reviewers."""

from functools import partial
from typing import Any
from uuid import uuid4

import gradio as gr

from engine.errors import UserError
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, button, choice, field, opened, page
from tuner_app.page.studio.markup import Safe, joined, said
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.progress import judged_batches
from tuner_app.page.studio.review_panel import Case, answer_of, case_page, choices, following, spoken
from tuner_app.page.studio.words import Words
from tuner_app.page.studio.words import said as label
from tuner_app.store import Store, audit, comments, gold, labels
from tuner_app.store.rows import LabelEvent, Member

CHOICES = ("choose 0", "choose 1", "tie", "both_bad", "good", "bad")  # in the order of the buttons


def add(studio: Studio) -> None:
    """The tab."""
    database = studio.database
    tab, shown, last = opened(), gr.State(None), gr.State(None)
    with gr.Row(elem_classes="t-bar"):
        batch = choice("review_batch", elem_id="review-batch", allow_custom_value=True)
        as_gold = gr.Checkbox(False, label=label("review_as_gold"), elem_id="review-gold")
        further = button("review_next", elem_id="review-next")
        undo = button("review_undo", visible=False, elem_id="review-undo")
    told = page(elem_id="review-told")
    case = page(elem_id="review-case")
    why = field("review_why", max_length=comments.LONGEST, elem_id="review-why", visible=False)
    with gr.Row(elem_classes="t-bar t-decide"):
        deciding = [
            button(f"review_do_{one.replace(' ', '_')}", visible=False, elem_id=f"review-{place}")
            for place, one in enumerate(CHOICES)
        ]
    seen = [shown, case, why, *deciding]

    async def show(member: Member, words: Words, name: str | None, now: Case | None) -> list[Any]:
        after = now.found.position if now and now.batch.name == name else -1
        found = await database.beside(following, name or "", member.name, after)
        return await parts(found, words)

    async def parts(found: Case | None, words: Words) -> list[Any]:
        if found is None:
            hidden = [gr.update(visible=False) for _ in CHOICES]
            return [None, joined([said(words("review_none"), "quiet")]), gr.update(visible=False), *hidden]
        written = await database.beside(case_page, found, words)
        offered = choices(found.found.item)
        buttons = [gr.update(visible=one in offered) for one in CHOICES]
        return [found, written, gr.update(visible=True, value=""), *buttons]

    async def offer(member: Member, words: Words, chosen: str | None) -> Any:
        names = await database.read(judged_batches)
        return gr.update(choices=names, value=chosen if chosen in names else next(iter(names), None))

    async def decide(
        choice: str, member: Member, words: Words, now: Case | None, why: str, is_gold: bool
    ) -> list[Any]:
        if now is None:
            raise UserError(words("review_none"))
        event = await database.write(decided, now, choice, member, why, is_gold)
        found = await database.beside(following, now.batch.name, member.name, now.found.position)
        said_of = words("review_saved", label=spoken(event, words))
        return [_good(said_of), event, gr.update(visible=True), *await parts(found, words)]

    async def take_back(
        member: Member, words: Words, event: LabelEvent | None, now: Case | None
    ) -> list[Any]:
        if event is None:
            raise UserError(words("review_nothing"))
        await database.write(taken_back, event, member)
        name = now.batch.name if now else None
        case_now = await database.beside(following, name, member.name, -1) if name else None
        return [_good(words("review_undone")), None, gr.update(visible=False), *await parts(case_now, words)]

    everything = [told, last, undo, *seen]
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    tab.select(may("reviewer", offer), batch, batch, queue=False, **QUIET).then(
        may("reviewer", show), [batch, shown], seen, **private
    )
    for event in (batch.input, further.click):
        event(may("reviewer", show), [batch, shown], seen, **private)
    for one, press in zip(CHOICES, deciding, strict=True):
        press.click(may("reviewer", _with(decide, one)), [shown, why, as_gold], everything, **private)
    undo.click(may("reviewer", take_back), [last, shown], everything, **private)


def _with(decide: Any, choice: str) -> Any:
    async def handler(member: Member, words: Words, now: Any, why: str, is_gold: bool) -> list[Any]:
        result: list[Any] = await partial(decide, choice)(member, words, now, why, is_gold)
        return result

    return handler


def decided(store: Store, case: Case, choice: str, member: Member, why: str, is_gold: bool) -> LabelEvent:
    """Keep the reviewer's label with its comment, and make the item gold where it is to be."""
    verb, value = answer_of(choice)
    item = case.found.item
    order = tuple(range(len(item.replies)))
    event = labels.record(store, item.hash, verb, value=value, shown=order, person=member.name, uid=case.uid)
    if why.strip():
        comments.add(store, event.uid, why, uid=f"{case.uid}-why")
    if is_gold:
        gold.set_answer(store, case.batch.id, case.found.position, verb, value)
        detail = f"{case.batch.name}, {case.found.position + 1}: {verb}"
        audit.note(store, "set gold", person=member.name, detail=detail)
    return event


def taken_back(store: Store, event: LabelEvent, member: Member) -> None:
    """Undo the reviewer's label, unless another one stands by now."""
    standing = labels.head(store, event.item_hash, member.name)
    if standing is None or standing.uid != event.uid:
        raise UserError("Another label of yours stands by now.", kept="It was left as it is.")
    labels.undo(store, event.item_hash, person=member.name, uid=uuid4().hex)


def _good(line: str) -> Safe:
    return joined([said(line, "good")])
