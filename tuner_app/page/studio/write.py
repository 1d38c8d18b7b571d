"""Instruction examples, written in the browser, with those beside them that ask nearly the same."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gradio as gr

from engine.errors import UserError
from tuner_app.page.database import NotNowError
from tuner_app.page.studio import markup, writing
from tuner_app.page.studio.access import may, or_told
from tuner_app.page.studio.chatting import LONGEST
from tuner_app.page.studio.components import kept, page
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words, said
from tuner_app.page.studio.writing import MOST_TURNS, Written
from tuner_app.store.edits import Edit
from tuner_app.store.near import Near, NearFile
from tuner_app.store.rows import Member

BACK = "back"  # tells static/drafts.js that its draft has come
INDEX_SECONDS = 0.05  # of taking in what others have brought, at a time
Updates = dict[Any, Any]


def add(studio: Studio) -> None:
    """Put it into the tab that is open."""
    Write(studio).listen()


class Write:
    """The tab's components and what their listeners do; what is edited is named by its id alone."""

    def __init__(self, studio: Studio) -> None:
        self._database, self._near = studio.database, NearFile(studio.home.near_index)
        self._catching_up: asyncio.Task[None] | None = None
        self.changes = kept("write-open")  # the id of the example that is being changed
        self.draft = kept("write-draft")  # what static/drafts.js has kept, to be put into the form
        with gr.Row(elem_id="write-top"):
            self.mine = gr.Dropdown(label=said("written_by_you"), allow_custom_value=True, scale=4)
            self.new = gr.Button(said("new_example"), min_width=80, scale=1)
        self.system = self._text("system", "system_info")
        self.turns: list[gr.Textbox] = []
        self.rows: list[gr.Column] = []
        for turn in range(MOST_TURNS):
            with gr.Column(visible=turn == 0) as row:
                self.turns += [self._text("asked", lines=2), self._text("answered", lines=4)]
            self.rows.append(row)
            if turn == 0:
                self.near = page(elem_id="near")
        self.tags = self._text("tags", "tags_info")
        self.status = page(elem_id="write-status")
        with gr.Row():
            self.save = gr.Button(said("save"), variant="primary", min_width=80, elem_id="save-example")
            self.more = gr.Button(said("add_turn"), min_width=80, elem_id="add-turn")
            self.remove = gr.Button(said("remove"), min_width=80, interactive=False)
        self.history = page(elem_id="history")

    def listen(self) -> None:
        """Have the components answer; nothing is queued, so nothing is dropped with the connection."""
        form = [self.system, *self.turns, self.tags]
        out = [
            self.changes,
            self.draft,
            self.mine,
            *form,
            *self.rows,
            self.near,
            self.more,
            self.remove,
            self.status,
        ]
        quietly: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

        def on(event: Any, handler: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
            event(may("annotator", or_told(handler, self._failed)), inputs, outputs, **quietly)

        out.append(self.history)
        blocks = gr.context.Context.root_block
        assert blocks is not None
        on(blocks.load, self.load, [], [self.mine, self.status])
        on(self.draft.change, self.restore, [self.draft], out)
        on(self.new.click, self.begin, [], out)
        on(self.mine.input, self.open, [self.mine], out)
        on(self.save.click, self.keep, [self.changes, *form], out)
        on(self.remove.click, self.take_away, [self.changes], out)
        on(self.more.click, self.add_turn, self.turns, [*self.rows, self.more, self.status])
        self.turns[0].change(  # its `input` knows keys alone, not what is pasted or an input method writes
            may("annotator", self.look),
            [self.changes, self.turns[0]],
            [self.near],
            trigger_mode="always_last",
            **quietly,
        )

    async def load(self, member: Member, words: Words) -> Updates:
        """The person's own, to choose from; the form stays as it is."""
        return {self.mine: gr.update(choices=await self._database.read(writing.listed, member.name))}

    async def begin(self, member: Member, words: Words) -> Updates:
        """An empty form."""
        return await self._show(member, words, None)

    async def restore(self, member: Member, words: Words, draft: str) -> Updates:
        """What was in the form before a reload."""
        found = writing.draft(draft)
        if found is None:
            return {self.draft: BACK}
        open, (system, *turns, tags) = found
        written = None
        if open is not None:
            with suppress(UserError):  # it has been removed meanwhile: then it is a new one
                written = await self._database.read(writing.own, member.name, open)
        shown = await self._show(member, words, written)
        texts = [*turns, *[""] * (len(self.turns) - len(turns))]
        return {
            **shown,
            **dict(zip(self.turns, texts, strict=True)),
            self.system: system,
            self.tags: tags,
            **self._rows(max(len(turns) // 2, 1)),
            self.draft: BACK,
            self.status: markup.line(words("draft_is_back")),
        }

    async def open(self, member: Member, words: Words, which: Any) -> Updates:
        """One of the person's own, to be changed."""
        if not isinstance(which, int):
            return await self._show(member, words, None)
        return await self._show(member, words, await self._database.read(writing.own, member.name, which))

    async def keep(self, member: Member, words: Words, changes: str, *form: str) -> Updates:
        """Save what the form says."""
        system, *turns, tags = form
        example = writing.demonstration(system, turns)
        id = await self._database.write(writing.save, member.name, example, tags, _id(changes))
        shown = await self._show(member, words, None)
        return shown | {self.status: markup.line(words("example_saved", id=id), "good")}

    async def take_away(self, member: Member, words: Words, changes: str) -> Updates:
        """Take the example that is open out of use."""
        id = _id(changes)
        if id is None:
            raise UserError("No example is open.")
        await self._database.write(writing.remove, member.name, id)
        shown = await self._show(member, words, None)
        return shown | {self.status: markup.line(words("example_removed"))}

    async def look(self, member: Member, words: Words, changes: str, text: str) -> str:
        """What asks nearly the same as is being written."""
        try:
            busy = self._catching_up is not None and not self._catching_up.done()
            if not busy and not await self._database.beside(self._take_in):
                self._catching_up = asyncio.create_task(self._catch_up())
            found = await self._database.beside(self._find, text, _id(changes))
        except (UserError, NotNowError) as error:
            return markup.line(words.of_error(error), "quiet")  # it can be written all the same
        return _near(words, found)

    async def add_turn(self, member: Member, words: Words, *turns: str) -> Updates:
        """One more prompt and answer."""
        used = max((place // 2 for place, text in enumerate(turns) if text.strip()), default=0)
        return self._rows(used + 2)

    async def _show(self, member: Member, words: Words, written: Written | None) -> Updates:
        mine = await self._database.read(writing.listed, member.name)
        messages = list(written.example.messages) if written else []
        system = messages.pop(0).content if messages and messages[0].role == "system" else ""
        texts = [message.content for message in messages]
        texts += [""] * (len(self.turns) - len(texts))
        return {
            self.changes: str(written.id) if written else "",
            self.draft: BACK,
            self.mine: gr.update(choices=mine, value=written and written.id),
            self.system: system,
            **dict(zip(self.turns, texts, strict=True)),
            self.tags: ", ".join(written.tags) if written else "",
            **self._rows(max(len(messages) // 2, 1)),
            self.near: "",
            self.remove: gr.update(interactive=written is not None),
            self.status: "",
            self.history: _history(words, written.history) if written else "",
        }

    async def _failed(self, member: Member, words: Words, error: Exception, *values: Any) -> Updates:
        return {self.status: markup.line(words.of_error(error), "wrong")}  # what was typed stays

    def _rows(self, number: int) -> Updates:
        shown = {row: gr.update(visible=place < number) for place, row in enumerate(self.rows)}
        return {**shown, self.more: gr.update(interactive=number < MOST_TURNS)}

    async def _catch_up(self) -> None:
        with suppress(UserError, NotNowError):  # whoever looks next is told
            while not await self._database.beside(self._take_in):
                await asyncio.sleep(INDEX_SECONDS)  # others want to read as well

    def _take_in(self, store: Any) -> bool:
        return self._near.update(store, seconds=INDEX_SECONDS)

    def _find(self, store: Any, text: str, changes: int | None) -> list[Near]:
        return self._near.find(store, text, but=changes)

    def _text(self, name: str, info: str = "", *, lines: int = 1) -> gr.Textbox:
        return gr.Textbox(
            "",
            label=said(name),
            info=said(info) if info else None,
            lines=lines,
            max_lines=20,
            max_length=LONGEST,
            elem_classes=f"write-{name}",
        )


def _id(text: str) -> int | None:
    """An example's, as the browser sends it; None where none is open."""
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


def _near(words: Words, found: list[Near]) -> str:
    rows = [
        (
            f"{one.likeness:.0%}",
            markup.short(writing.start_of(one.example), 200),
            markup.short(one.example.messages[-1].content, 200),
        )
        for one in found
    ]
    head = ("", words("asked"), words("answered"))
    return markup.joined([markup.table(head, rows, caption=words("nearly_the_same"))]) if rows else ""


def _history(words: Words, history: tuple[Edit, ...]) -> str:
    rows = [
        (
            edit.created[:16].replace("T", " "),
            edit.person,
            markup.short(_said(edit.before), 120),
            markup.short(_said(edit.after), 120) if edit.after else words("removed"),
        )
        for edit in history
    ]
    head = ("", "", words("before"), words("after"))
    return markup.joined([markup.table(head, rows, caption=words("history"))]) if rows else ""


def _said(example: Any) -> str:
    return " / ".join(message.content for message in example.messages)
