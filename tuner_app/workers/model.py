"""The model behind the chat worker: a base, its adapters by run name, and the template they speak in."""

from collections import OrderedDict
from collections.abc import Sequence

import torch

from engine import adapters
from engine import models as engine_models
from engine.answers import ContextFullError
from engine.errors import UserError
from engine.examples import Message
from engine.generate import Batch
from engine.template import Template, template_for
from tuner_app import bases
from tuner_app.paths import Home
from tuner_app.store import Store, models
from tuner_app.store.run_rows import AdapterRow, Base
from tuner_app.workers.openai_api import ApiError

BASE = "base"  # the name on the wire of the base alone
FEW_PARAMETERS = 100_000_000
MOST_LOADED = 16  # adapters kept in memory; the one that was not used for longest goes first


class ChatModel:
    """One base in memory; `prompt` and `batch` are called from one thread, all else from any."""

    def __init__(self, home: Home, store: Store, row: Base) -> None:
        self.home, self.store, self.row = home, store, row
        self.base: engine_models.Base | None = None
        self.warning = ""
        self._loaded: OrderedDict[str, str] = OrderedDict()  # adapter hash to chat template, oldest use first

    def load(self) -> None:
        """Load the base and see to its chat template. Raises UserError when it cannot be loaded."""
        base = engine_models.load(bases.located(self.row.source))
        # other weights than before in the same folder are another base: adapters of the old one do not fit
        self.row = models.add_base(self.store, self.row.name, self.row.source, base.fingerprint)
        if template_for(base.tokenizer, bases.template_override(self.home, self.row)).source == "fallback":
            bases.write_fallback(self.home, self.row)
        if not base.tokenizer.chat_template:
            self.warning = (
                f"{self.row.name} comes without a chat template. It uses one that you can change: "
                f"{bases.template_file(self.home, self.row)}"
            )
        _use_threads(base)
        self.base = base

    def adapters(self) -> list[AdapterRow]:
        """What can answer on this base, runs that ended a moment ago included; reward models cannot."""
        return [row for row in models.adapters(self.store, self.row.id) if not row.is_reward]

    def batch(self) -> Batch:
        """Room for answers of the model that `prompt` was last called for."""
        assert self.base is not None
        return Batch(
            self.base.model, self.base.tokenizer, context=self.base.context, ends=self.base.end_tokens
        )

    def prompt(self, adapter: AdapterRow | None, messages: Sequence[Message]) -> list[int]:
        """Let an adapter answer, or with None the base; the conversation in its template, as token ids."""
        return self._use(adapter).prompt(messages)

    def count(self, adapter: AdapterRow | None, messages: Sequence[Message]) -> tuple[int, int]:
        """The tokens of a conversation in a model's template, and its context; what answers goes on."""
        assert self.base is not None
        return len(self._template(adapter).prompt(messages)), self.base.context

    def explained(self, error: BaseException) -> BaseException:
        """What a client is told of an error; one that nobody foresaw stays what it is."""
        if isinstance(error, ContextFullError):
            return ApiError(400, str(error), param="messages", code="context_length_exceeded")
        if isinstance(error, UserError):
            return ApiError(422, str(error), code="unusable")
        if engine_models.out_of_memory(error):
            what = "Memory ran out.\nAsk for fewer or shorter answers at once."
            return ApiError(422, what, code="out_of_memory")
        return error

    def _use(self, row: AdapterRow | None) -> Template:
        """Let an adapter answer, or the base; returns the template that it was trained with."""
        assert self.base is not None
        if row is None:
            adapters.activate(self.base, None)
            return self._template(None)
        if row.hash not in self._loaded:
            folder = self.home.folder / row.folder
            self._make_room(adapters.card(folder).get("kind") == "full")
            adapters.attach(self.base, row.hash, folder)
            self._loaded[row.hash] = adapters.card(folder).get("template", "")
        self._loaded.move_to_end(row.hash)
        adapters.activate(self.base, row.hash)
        return self._template(row)

    def _make_room(self, for_full: bool) -> None:
        """Let go of adapters before another comes: of full ones, each as large as the base, one is kept."""
        assert self.base is not None
        attached = self.base.attached
        gone = [name for name in self._loaded if for_full and attached[name].kind == "full"]
        gone += [name for name in self._loaded if name not in gone][
            : max(0, len(self._loaded) - MOST_LOADED + 1)
        ]
        for name in gone:
            del self._loaded[name]
            adapters.detach(self.base, name)

    def _template(self, row: AdapterRow | None) -> Template:
        assert self.base is not None
        text = bases.template_override(self.home, self.row)
        if row:
            known = self._loaded.get(row.hash)
            if known is None:
                known = adapters.card(self.home.folder / row.folder).get("template", "")
            text = known or text
        return template_for(self.base.tokenizer, text, end_tokens=self.base.end_tokens)

    def named(self, name: str) -> AdapterRow | None:
        """The adapter called `name`, or None for the base; an ApiError of status 404 lists what there is."""
        if name == BASE:
            return None
        rows = {row.name: row for row in self.adapters()}
        if name not in rows:
            known = models.adapter(self.store, name)
            judges = known is not None and known.is_reward
            raise ApiError(
                404,
                f"The model “{name}” "
                + ("is a reward model: it scores answers and gives none." if judges else "does not exist.")
                + f" Models: {', '.join([BASE, *rows])}.",
                param="model",
                code="model_not_found",
            )
        return rows[name]


def _use_threads(base: engine_models.Base) -> None:
    """Let a small model decode on one thread of this one: its products end before other threads wake up.

    With other work on the cores, waiting for them made the built-in base answer forty times slower.
    """
    if base.device.type == "cpu" and base.parameters < FEW_PARAMETERS:
        torch.set_num_threads(1)
