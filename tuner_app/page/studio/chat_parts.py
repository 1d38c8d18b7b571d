"""The components of the chat tab, and how they show a conversation."""

from dataclasses import replace
from typing import Any

import gradio as gr

from tuner_app.clean import visible
from tuner_app.page.studio import chatting, markup
from tuner_app.page.studio.chatting import Pair, Shown, View
from tuner_app.page.studio.components import kept, page
from tuner_app.page.studio.words import Words, said
from tuner_app.store.rows import Verb
from tuner_app.store.stamps import new_uid

VERDICTS: tuple[tuple[str, Verb, int], ...] = (
    ("choose_first", "choose", 0),
    ("choose_second", "choose", 1),
    ("tie", "tie", 0),
    ("both_bad", "both_bad", 0),
    ("skip", "skip", 0),
)
_LATEX = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False))

Updates = dict[Any, Any]


class ChatParts:
    """Puts the components into the tab that is open."""

    def __init__(self) -> None:
        self.shown = kept("shown", Shown().text)
        with gr.Row(elem_id="chat-top"):
            self.which = self._choice("conversation", 4)
            self.model = self._choice("model", 2)
            self.new = self._button("new")
        self.chatbot = gr.Chatbot(
            show_label=False,
            elem_id="chat",
            height="55vh",
            buttons=["copy"],
            sanitize_html=True,
            allow_tags=False,
            editable="all",
            feedback_options=("Like", "Dislike"),
            latex_delimiters=[{"left": a, "right": b, "display": c} for a, b, c in _LATEX],
        )
        self.status = page(elem_id="status")
        with gr.Column(visible=False, elem_id="pair") as self.pair:
            gr.Markdown(said("which_is_better"))
            with gr.Row():
                self.sides = [self._side(side) for side in ("first", "second")]
            with gr.Row():
                self.verdicts = [self._button(key) for key, _, _ in VERDICTS]
        self.prompt = gr.Textbox(
            placeholder=said("ask"),
            label=said("prompt"),
            show_label=False,
            max_lines=8,
            max_length=chatting.LONGEST,
            submit_btn=True,
            elem_id="prompt",
        )
        with gr.Row(elem_id="acts"):
            self.second, self.again, self.other, self.undo = (
                self._button(key) for key in ("second", "again", "other", "undo")
            )
        with gr.Accordion(said("this_conversation"), open=False, elem_id="this-conversation"):
            with gr.Row():
                self.title = gr.Textbox(label=said("title"), max_length=200, scale=4, elem_id="title")
                self.rename, self.away = self._button("rename"), self._button("put_away")
            self.away_ones = self._choice("away_ones", 1)

    @property
    def all(self) -> list[Any]:
        """What `show` may change."""
        top = [self.shown, self.which, self.model, self.chatbot, self.status, self.pair, *self.sides]
        return [*top, self.prompt, self.second, self.again, self.other, self.undo, *self._of_one]

    @property
    def _of_one(self) -> list[Any]:
        return [self.title, self.away, self.away_ones]

    def show(
        self, view: View, words: Words, *, status: str = "", writing: str | None = None, busy: bool = False
    ) -> Updates:
        """A conversation as it is kept; `busy` while an answer to it is under way, `writing` so far."""
        here, turns = view.dialogue.conversation, view.dialogue.turns
        answered = view.last is not None and not busy
        waits = view.dialogue.unanswered is not None and not busy
        last = turns[-1] if turns else None
        return {
            self.shown: replace(view.shown, busy=busy, ticket=new_uid()).text,
            self.which: gr.update(choices=list(view.titles), value=here and here.id),
            self.chatbot: gr.update(
                value=chatting.bubbles(view.dialogue, writing), feedback_value=chatting.thumbs(view.dialogue)
            ),
            self.status: markup.line(status),
            self.pair: gr.update(visible=False),
            self.prompt: gr.update(submit_btn=not busy, stop_btn=busy),
            self.second: gr.update(interactive=answered),
            self.again: gr.update(interactive=answered or waits),
            self.other: gr.update(
                visible=answered and last is not None and last.alternatives > 1,
                value=words("other_of", place=last.place, of=last.alternatives) if last else "",
            ),
            self.undo: gr.update(interactive=any(turn.label for turn in turns)),
            self.title: here.title if here else "",
            self.away: gr.update(
                interactive=here is not None,
                value=words("put_back" if here and here.archived else "put_away"),
            ),
            self.away_ones: gr.update(choices=list(view.away), value=None, visible=bool(view.away)),
        }

    def compare(self, view: View, words: Words, pair: Pair) -> Updates:
        """The conversation, and two answers to choose between."""
        texts = [visible((pair.first, pair.second)[place].content) for place in pair.order]
        return self.show(view, words) | {
            self.chatbot: gr.update(
                value=chatting.bubbles(view.dialogue)[:-1]
            ),  # it is not to give itself away
            self.shown: replace(view.shown, pair=pair.name, ticket=new_uid()).text,
            self.pair: gr.update(visible=True),
            self.sides[0]: f"**1**\n\n{texts[0]}",
            self.sides[1]: f"**2**\n\n{texts[1]}",
            self.second: gr.update(interactive=False),
            self.again: gr.update(interactive=False),
        }

    def _choice(self, name: str, scale: int) -> gr.Dropdown:
        # Any value gets through to the listener, which knows better than the browser what there is.
        return gr.Dropdown(label=said(name), allow_custom_value=True, scale=scale, elem_id=name)

    def _button(self, name: str) -> gr.Button:
        return gr.Button(said(name), min_width=80, scale=1, elem_id=name.replace("_", "-"))

    def _side(self, name: str) -> gr.Markdown:
        return gr.Markdown(container=True, sanitize_html=True, min_height=60, elem_id=f"side-{name}")
