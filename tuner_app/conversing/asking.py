"""How a conversation asks: its decoding, in words, and what of it fits into the model's context."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from engine.errors import UserError
from engine.spec import build
from tuner_app.settings import NEW_SEED, Decoding, Settings
from tuner_app.store import Store, chats
from tuner_app.store.asked import Prompt
from tuner_app.store.rows import Conversation

if TYPE_CHECKING:
    from tuner_app.client import ChatClient

# Ways to draw an answer by name. What a preset leaves out (length, repetition, seed) stays as it is.
_NEUTRAL = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "beams": 1}
PRESETS: dict[str, Mapping[str, Any]] = {
    "greedy": _NEUTRAL | {"temperature": 0.0},
    "beam search": _NEUTRAL | {"temperature": 0.0, "beams": 4},
    "balanced": _NEUTRAL | {"temperature": 0.7, "top_p": 0.9},
    "creative": _NEUTRAL | {"temperature": 1.2, "min_p": 0.05},
}
_SHORT = {"temperature": "T", "repetition_penalty": "repetition", "max_tokens": "at most"}
_DRAWS = ("temperature", "top_p", "top_k", "min_p")  # what beam search and, but for T, greedy leave out


@dataclass(frozen=True)
class Fit:
    """A prompt as it is sent; `tokens` of the model's `context` are taken, 0 where nobody tells."""

    prompt: Prompt
    tokens: int = 0
    context: int = 0


def decoding_of(settings: Settings, conversation: Conversation | None) -> Decoding:
    """How a conversation has its answers drawn: as the settings say, but for what departs from them."""
    own = dict(conversation.decoding) if conversation else {}
    known = {spec.name for spec in fields(Decoding)}
    try:
        return build(
            Decoding, asdict(settings.decoding) | {k: v for k, v in own.items() if k in known}, "decoding"
        )
    except UserError:  # kept by a version that allowed more
        return settings.decoding


def departing(decoding: Decoding, settings: Settings) -> dict[str, Any]:
    """What of `decoding` is not as the settings say."""
    usual = asdict(settings.decoding)
    return {name: value for name, value in asdict(decoding).items() if value != usual[name]}


def in_words(decoding: Decoding, settings: Settings) -> str:
    """What of `decoding` is not as the settings say, short: “T 1.2 · min-p 0.05”; "" for nothing."""
    differs = departing(decoding, settings)
    parts = []
    if decoding.beams > 1:
        parts, differs = [f"{decoding.beams} beams"], _without(differs, *_DRAWS)
    elif not decoding.temperature and differs.keys() & {"temperature", "beams"}:
        parts, differs = ["greedy"], _without(differs, *_DRAWS)
    for name, value in _without(differs, "beams").items():
        unit = " tokens" if name == "max_tokens" else ""
        parts.append(f"{_SHORT.get(name, name.replace('_', '-'))} {value:g}{unit}")
    return " · ".join(parts)


def _without(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def second(by: Settings) -> Settings:
    """How a second answer to the same prompt is drawn: freely enough to differ, whatever the settings say."""
    warm = max(by.decoding.temperature, 1.0)
    return replace(by, decoding=replace(by.decoding, temperature=warm, beams=1, seed=NEW_SEED))


def preset_of(decoding: Decoding) -> str:
    """The preset that `decoding` is; "" for none."""
    values = asdict(decoding)
    return next((name for name, preset in PRESETS.items() if preset.items() <= values.items()), "")


def keep(
    store: Store,
    conversation_id: int | None,
    uid: str,
    *,
    system: str | None = None,
    decoding: Mapping[str, Any] | None = None,
    shots: tuple[str, ...] | None = None,
) -> Conversation:
    """Change how a conversation asks, but for what is None; one that has not begun begins, with `uid`."""
    with store.write():
        here = chats.get(store, conversation_id) if conversation_id else chats.start(store, uid=uid)
        return chats.set_asking(
            store,
            here.id,
            system=here.system if system is None else system,
            decoding=here.decoding if decoding is None else decoding,
            shots=here.shots if shots is None else shots,
        )


async def fitted(client: "ChatClient", prompt: Prompt, by: Settings) -> Fit:
    """`prompt` without the oldest messages, as few as leave room for the answer.

    The answer is to have `max_tokens`, but the conversation half of the context at least. What is left begins
    with a message of the person's; the last is never left out, nor is what stands before the conversation.
    Servers that do not count get all of it.
    """
    model = by.adapter or "base"
    counted: dict[int, Fit] = {}

    async def without(messages: int) -> Fit:
        if messages not in counted:
            shorter = replace(prompt, asked=replace(prompt.asked, left_out=messages))
            use = await client.count(shorter.wire, model=model)
            counted[messages] = Fit(shorter, use.tokens, use.context) if use else Fit(shorter)
        return counted[messages]

    def fits(fit: Fit) -> bool:
        return fit.tokens + min(by.decoding.max_tokens, fit.context // 2) <= fit.context

    starts = [0, *(n for n, turn in enumerate(prompt.said) if n and turn.role == "user")]
    low, high = 0, len(starts) - 1
    if fits(await without(0)):
        return counted[0]
    while low < high:
        middle = (low + high) // 2
        if fits(await without(starts[middle])):
            high = middle
        else:
            low = middle + 1
    return await without(starts[low])


def left_out_in_words(fit: Fit) -> str:
    """Which messages did not fit; "" for none."""
    number = fit.prompt.asked.left_out
    if not number:
        return ""
    return "the first message does not fit" if number == 1 else f"the first {number} messages do not fit"
