"""Chat in the browser. What is asked and judged is kept at once; what is being written is then looked at."""

from collections.abc import AsyncIterator, Callable
from functools import wraps
from time import monotonic
from typing import Any

import gradio as gr

from engine.errors import UserError
from tuner_app import settings as settings_file
from tuner_app.clean import one_line
from tuner_app.conversing.dialogue import speaker
from tuner_app.page.database import NotNowError
from tuner_app.page.studio import chatting, markup
from tuner_app.page.studio.access import may, or_told, require_still
from tuner_app.page.studio.answers import MOST, Writing
from tuner_app.page.studio.chat_parts import VERDICTS, ChatParts, Updates
from tuner_app.page.studio.chatting import Shown, View
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words
from tuner_app.store import chats
from tuner_app.store.rows import Member, Message, Verb

SECONDS_A_LOOK = 3.0  # after which someone who looks on has to be let in still


def add(studio: Studio) -> None:
    """Put it into the tab that is open."""
    Chat(studio, ChatParts()).listen()


class Chat:
    """What the tab's listeners do; all that they show is read from the store."""

    def __init__(self, studio: Studio, parts: ChatParts) -> None:
        self._home, self._database, self._answers = studio.home, studio.database, studio.answers
        self._parts = parts

    def listen(self) -> None:
        """Have the components answer."""
        parts = self._parts
        fast: dict[str, Any] = {"outputs": parts.all, "show_progress": "hidden", "api_visibility": "private"}

        def on(event: Any, handler: Callable[..., Any], *inputs: Any, writes: bool = False) -> None:
            # Not queued: what is queued is dropped when the browser goes away.
            safe = may("annotator", _with_what_is_shown(or_told(handler, self._failed)))
            done = event(safe, [parts.shown, *inputs], queue=False, **fast)
            if writes:
                done.success(may("annotator", self.watch), [parts.shown], concurrency_limit=MOST, **fast)

        blocks = gr.context.Context.root_block
        assert blocks is not None
        on(blocks.load, self.load, writes=True)
        for chosen in (parts.which, parts.away_ones):
            on(chosen.input, self.open, chosen, writes=True)
        on(parts.new.click, self.begin)
        on(parts.prompt.submit, self.ask, parts.prompt, parts.model, writes=True)
        on(parts.prompt.stop, self.stop)
        on(parts.again.click, self.write_again, parts.model, writes=True)
        on(parts.second.click, self.write_second, parts.model, writes=True)
        on(parts.chatbot.like, self.rate)
        on(parts.chatbot.edit, self.edit, parts.model, writes=True)
        on(parts.other.click, self.switch)
        on(parts.undo.click, self.undo)
        on(parts.rename.click, self.rename, parts.title)
        on(parts.title.submit, self.rename, parts.title)
        on(parts.away.click, self.put_away)
        for button, (_, verb, side) in zip(parts.verdicts, VERDICTS, strict=True):
            on(button.click, self.chooses(verb, side))

    # --- going about

    async def load(self, member: Member, words: Words, shown: Shown) -> Updates:
        """The latest conversation, in a browser that has just come or come back."""
        view = await self._database.read(chatting.latest, member.name)
        settings = settings_file.load(self._home)
        names = await self._database.read(chatting.names, settings)
        mine = await self._database.read(chatting.usual, settings)
        return self._show(view, words) | {self._parts.model: gr.update(choices=names, value=mine)}

    async def open(self, member: Member, words: Words, shown: Shown, which: Any) -> Updates:
        """Another conversation; a text that is none leaves the page as it is."""
        number = which if isinstance(which, int) else shown.conversation
        return self._show(await self._database.read(chatting.view, member.name, number), words)

    async def begin(self, member: Member, words: Words, shown: Shown) -> Updates:
        """An empty page."""
        return self._show(await self._database.read(chatting.view, member.name, None), words)

    async def rename(self, member: Member, words: Words, shown: Shown, title: str) -> Updates:
        """Give the conversation another title."""
        await self._database.write(chatting.rename, member.name, shown, title)
        return await self._again(member, words, shown, words("saved"))

    async def put_away(self, member: Member, words: Words, shown: Shown) -> Updates:
        """Take the conversation out of the list, or put it back."""
        await self._database.write(chatting.put_away, member.name, shown)
        return await self._again(member, words, shown)

    # --- asking

    async def ask(self, member: Member, words: Words, shown: Shown, text: str, model: str | None) -> Updates:
        """Keep a prompt and begin to answer it."""
        uid = shown.uid(member.name, "ask", text)
        question = await self._database.write(chatting.ask, member.name, shown, text, uid)
        shown_now = await self._begin(member, words, question, model, once=True)
        return shown_now | {self._parts.prompt: shown_now[self._parts.prompt] | {"value": ""}}

    async def write_again(self, member: Member, words: Words, shown: Shown, model: str | None) -> Updates:
        """Answer the last prompt once more, in place of the answer that is there."""
        question = await self._database.read(chatting.last_question, member.name, shown)
        return await self._begin(member, words, question, model)

    async def write_second(self, member: Member, words: Words, shown: Shown, model: str | None) -> Updates:
        """Have another answer to hold against the last one."""
        answer, question = await self._database.read(chatting.last_answer, member.name, shown)
        return await self._begin(member, words, question, model, beside=answer)

    async def _begin(
        self,
        member: Member,
        words: Words,
        question: Message,
        model: str | None,
        beside: Message | None = None,
        once: bool = False,
    ) -> Updates:
        """Have an answer begun; with `once` only where none is there or under way."""
        settings = settings_file.load(self._home)
        here = question.conversation_id
        error = ""
        try:
            if once and await self._is_answered(question):
                return self._show(await self._database.read(chatting.view, member.name, here), words)
            by = await self._database.read(chatting.by, settings, model, here)
            self._answers.begin(member.name, question, by, beside=beside)
        except UserError as refused:  # the question is kept all the same
            error = words.of_error(refused)
        return self._show(await self._database.read(chatting.view, member.name, here), words, error)

    async def _is_answered(self, question: Message) -> bool:
        if self._answers.is_writing(question):
            return True
        answers = await self._database.read(chats.answers, question.id)
        return bool(answers)

    async def stop(self, member: Member, words: Words, shown: Shown) -> Updates:
        """End the answer that is being written; what there is of it is kept."""
        if shown.conversation is not None:
            await self._database.read(chats.own, shown.conversation, member.name)
            await self._answers.stop(shown.conversation)
        return await self._again(member, words, shown)

    async def watch(self, member: Member, words: Words, text: str) -> AsyncIterator[Updates]:
        """Show the answer that is being written as it grows, and its end, if the browser waits for one."""
        shown = Shown.of(text)
        if not shown.busy:
            yield {self._parts.status: gr.skip()}
            return
        view = await self._database.read(chatting.view, member.name, shown.conversation)
        looked = monotonic()
        if writing := self._answers.of(shown.conversation):
            async for _ in self._answers.follow(writing):
                if monotonic() - looked > SECONDS_A_LOOK:
                    await self._database.read(require_still, member)
                    looked = monotonic()
                updates = self._while_writing(view, words, writing)
                del updates[self._parts.shown]  # what is sent again meanwhile is still the same
                yield updates
        view = await self._database.read(chatting.view, member.name, shown.conversation)
        yield self._show(view, words)

    # --- judging

    async def rate(self, member: Member, words: Words, shown: Shown, event: gr.LikeData) -> Updates:
        """A thumb up or down. One that is pressed again stays: Gradio then says neither."""
        if not isinstance(event.liked, bool):
            return await self._again(member, words, shown, words("thumb_stays"))
        verb: Verb = "good" if event.liked else "bad"
        place = _place(event.index)
        uid = shown.uid(member.name, verb, place)
        fed = await self._database.write(chatting.rate, member.name, shown, place, verb, uid)
        return await self._again(member, words, shown, _saved(words, fed))

    async def edit(
        self, member: Member, words: Words, shown: Shown, model: str | None, event: gr.EditData
    ) -> Updates:
        """A corrected answer; a prompt that is put in another way is asked on a branch of its own."""
        place, text = _place(event.index), str(event.value)
        message = await self._database.read(chatting.message, member.name, shown, place)
        if message.role == "user":
            uid = shown.uid(member.name, "ask", text, place)
            question = await self._database.write(chatting.ask, member.name, shown, text, uid, instead=place)
            return await self._begin(member, words, question, model, once=True)
        uid = shown.uid(member.name, "correct", place, text)
        fed = await self._database.write(chatting.correct, member.name, shown, place, text, uid)
        return await self._again(member, words, shown, _saved(words, fed))

    def chooses(self, verb: Verb, side: int) -> Callable[..., Any]:
        """The listener of a verdict's button."""

        async def choose(member: Member, words: Words, shown: Shown) -> Updates:
            writing = self._answers.of(shown.conversation)
            pair = writing.pair if writing else None
            uid = shown.uid(member.name, shown.pair, verb, side)
            fed = await self._database.write(chatting.choose, member.name, shown, pair, verb, side, uid)
            told = _saved(words, fed)
            if shown.conversation is not None and pair and pair.name == shown.pair:
                self._answers.forget(shown.conversation)
                names = [speaker((pair.first, pair.second)[place]) for place in pair.order]
                told += f" {words('they_were', first=names[0], second=names[1])}"
            return await self._again(member, words, shown, told)

        return choose

    async def undo(self, member: Member, words: Words, shown: Shown) -> Updates:
        """Take back the latest label."""
        uid = shown.uid(member.name, "undo")
        undone = await self._database.write(chatting.undo, member.name, shown, uid)
        return await self._again(member, words, shown, words("undone" if undone else "nothing_to_undo"))

    async def switch(self, member: Member, words: Words, shown: Shown) -> Updates:
        """Show the next of the answers to the last prompt."""
        await self._database.write(chatting.switch, member.name, shown)
        return await self._again(member, words, shown)

    # --- showing

    async def _failed(
        self, member: Member, words: Words, error: Exception, shown: Shown, *values: Any
    ) -> Updates:
        """Why nothing came of it; the conversation is shown as it is kept, and what was typed stays."""
        try:
            return await self._again(member, words, shown, words.of_error(error))
        except (UserError, NotNowError):
            return {self._parts.status: markup.line(words.of_error(error), "wrong")}

    async def _again(self, member: Member, words: Words, shown: Shown, status: str = "") -> Updates:
        view = await self._database.read(chatting.view, member.name, shown.conversation)
        return self._show(view, words, status)

    def _show(self, view: View, words: Words, status: str = "") -> Updates:
        writing = self._answers.of(view.shown.conversation)
        if writing is None:
            return self._parts.show(view, words, status=status)
        if not writing.ended:
            return self._while_writing(view, words, writing)
        if writing.pair and view.last == writing.beside:
            return self._parts.compare(view, words, writing.pair)
        failed = words.of_error(writing.error) if writing.error else ""
        return self._parts.show(view, words, status=status or failed)

    def _while_writing(self, view: View, words: Words, writing: Writing) -> Updates:
        state, detail = self._answers.state
        others = self._answers.others(writing)
        status = ""
        if writing.beside:
            status = words("second_under_way", characters=len(writing.text))
        elif not writing.text and state == "starting":
            status = f"{words('loading')} {one_line(detail)}"
        elif not writing.text and others:
            status = words("busy", others=others)
        text = None if writing.beside else writing.text
        return self._parts.show(view, words, status=status, writing=text, busy=True)


def _with_what_is_shown(handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler(member, words, shown, *values)`, called with `shown` as the browser sends it."""

    @wraps(handler)
    async def called(member: Member, words: Words, shown: str, *values: Any) -> Any:
        return await handler(member, words, Shown.of(shown), *values)

    called.__annotations__ = {**handler.__annotations__, "shown": str}
    return called


def _place(index: Any) -> int:
    place = index[0] if isinstance(index, list | tuple) and index else index
    return place if isinstance(place, int) else -1


def _saved(words: Words, fed: str) -> str:
    return f"{words('saved')} {words('fed', what=words.of_program(fed))}" if fed else words("saved")
