"""Review: what people judged differently, side by side, and the reviewer's own label. For reviewers."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import gradio as gr

from engine.errors import UserError
from tuner_app.page.studio.access import may
from tuner_app.page.studio.components import QUIET, button, choice, field, kept, opened, page
from tuner_app.page.studio.markup import Safe, line
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.progress import judged_batches
from tuner_app.page.studio.review_panel import (
    Case,
    Place,
    answer_of,
    case_page,
    choices,
    following,
    spoken,
)
from tuner_app.page.studio.words import Words
from tuner_app.page.studio.words import said as label
from tuner_app.store import Store, audit, batches, comments, gold, labels
from tuner_app.store.rows import LabelEvent, Member

CHOICES = ("choose 0", "choose 1", "tie", "both_bad", "good", "bad")  # in the order of the buttons
LOOKED_AT = 20  # batches, for one with something to decide


def add(studio: Studio) -> None:
    """The tab."""
    database = studio.database
    tab = opened()
    shown, last = (kept(f"review-{name}") for name in ("shown", "last"))
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

    async def show(member: Member, words: Words, name: str | None, now: str) -> list[Any]:
        here = Place.of(now)
        return await parts(await database.beside(_next, name or "", member.name, here), words)

    async def parts(found: Case | None, words: Words) -> list[Any]:
        if found is None:
            hidden = [gr.update(visible=False) for _ in CHOICES]
            return ["", line(words("review_none"), "quiet"), gr.update(visible=False), *hidden]
        written = await database.beside(case_page, found, words)
        offered = choices(found.found.item)
        buttons = [gr.update(visible=one in offered) for one in CHOICES]
        return [found.place.text, written, gr.update(visible=True, value=""), *buttons]

    async def offer(member: Member, words: Words, chosen: str | None) -> Any:
        names = await database.read(judged_batches)
        begin = chosen if chosen in names else await database.beside(_waiting, names, member.name)
        return gr.update(choices=names, value=begin)

    async def decide(
        choice: str, member: Member, words: Words, now: str, why: str, is_gold: bool
    ) -> list[Any]:
        here = Place.of(now)
        if here is None:
            raise UserError(words("review_none"))
        event = await database.write(decided, here, choice, member, why, is_gold)
        name = (await database.read(batches.get, here.batch)).name
        found = await database.beside(following, name, member.name, here.position)
        said_of = words("review_saved", label=spoken(event, words))
        return [_good(said_of), event.uid, gr.update(visible=True), *await parts(found, words)]

    async def take_back(member: Member, words: Words, name: str | None, uid: str, now: str) -> list[Any]:
        await database.write(taken_back, uid or "", member)
        found = await database.beside(following, name or "", member.name, -1)
        return [_good(words("review_undone")), "", gr.update(visible=False), *await parts(found, words)]

    everything = [told, last, undo, *seen]
    private: dict[str, Any] = {**QUIET, "queue": False}  # what is queued is lost with the connection
    tab.select(may("reviewer", offer), batch, batch, queue=False, **QUIET).then(
        may("reviewer", show), [batch, shown], seen, **private
    )
    for event in (batch.input, further.click):
        event(may("reviewer", show), [batch, shown], seen, **private)
    for one, press in zip(CHOICES, deciding, strict=True):
        press.click(may("reviewer", _with(decide, one)), [shown, why, as_gold], everything, **private)
    undo.click(may("reviewer", take_back), [batch, last, shown], everything, **private)


def _with(decide: Any, choice: str) -> Any:
    async def handler(member: Member, words: Words, now: str, why: str, is_gold: bool) -> list[Any]:
        result: list[Any] = await partial(decide, choice)(member, words, now, why, is_gold)
        return result

    return handler


def decided(store: Store, here: Place, choice: str, member: Member, why: str, is_gold: bool) -> LabelEvent:
    """Keep the reviewer's label with its comment, and make the item gold where it is to be."""
    verb, value = answer_of(choice)
    item = labels.item(store, here.item)
    order = tuple(range(len(item.replies)))
    uid = here.uid(member.name, choice)
    again = labels.find(store, uid)
    if again:
        return again
    event = labels.record(store, item.hash, verb, value=value, shown=order, person=member.name, uid=uid)
    if why.strip():
        comments.add(store, event.uid, why, uid=f"{uid}-why")
    if is_gold:
        gold.set_answer(store, here.batch, here.position, verb, value)
        detail = f"{batches.get(store, here.batch).name}, {here.position + 1}: {verb}"
        audit.note(store, "set gold", person=member.name, detail=detail)
    return event


def taken_back(store: Store, uid: str, member: Member) -> None:
    """Undo the reviewer's label of this uid, unless another one stands by now; once, however often."""
    undo = f"undo-{uid}"
    event = labels.find(store, uid)
    if event is None or event.person != member.name:
        raise UserError("There is nothing to take back.")
    if labels.find(store, undo):
        return
    standing = labels.head(store, event.item_hash, member.name)
    if standing is None or standing.uid != uid:
        raise UserError("Another label of yours stands by now.", kept="It was left as it is.")
    labels.undo(store, event.item_hash, person=member.name, uid=undo)


def _waiting(store: Store, names: Sequence[str], person: str) -> str | None:
    """The first of the batches, of the latest ones, where something is to be decided; else the first."""
    waits = (name for name in names[:LOOKED_AT] if following(store, name, person))
    return next(waits, next(iter(names), None))


def _next(store: Store, name: str, person: str, here: Place | None) -> Case | None:
    """The case after the one that is shown, or the first one of another batch."""
    same = here is not None and any(
        batch.id == here.batch and batch.name == name for batch in batches.listed(store)
    )
    return following(store, name, person, here.position if here and same else -1)


def _good(told: str) -> Safe:
    return line(told, "good")
