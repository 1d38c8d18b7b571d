"""A scripted annotator: labels the way a careful person would, by the world's own rules."""

import random
import uuid
from collections import Counter
from typing import Any

from assets import world
from assets.world import Question
from tuner_app.demo.report import warm_and_brief
from tuner_app.store import Store, labels
from tuner_app.store.rows import Reply, Verb


def label(store: Store, question: Question, replies: list[Reply], rng: random.Random) -> Verb:
    """Judge two replies to a question and record the label; returns the verb.

    Where neither reply is right, warm and brief, the better one is corrected. Else the reply of higher gold
    score is chosen, and equal ones are a tie. Which one is shown first is drawn from `rng`.
    """
    item = labels.item_for_pair(store, question.prompt, *replies)
    verdicts = [world.judge(question.prompt, reply.content) for reply in item.replies]
    scores = [world.gold(verdict) for verdict in verdicts]
    best = scores.index(max(scores))
    verb: Verb
    value: dict[str, Any]
    if not any(verdict.right and warm_and_brief(verdict) for verdict in verdicts):
        verb, value = "correct", {"reply": best, "text": world.ideal(question)}
    elif scores[0] == scores[1]:
        verb, value = "tie", {}
    else:
        verb, value = "choose", {"reply": best}
    shown = (0, 1) if rng.random() < 0.5 else (1, 0)
    uid = uuid.UUID(int=rng.getrandbits(128), version=4).hex
    labels.record(store, item.hash, verb, value=value, shown=shown, uid=uid)
    return verb


def summary(verbs: Counter[Verb]) -> str:
    """“62 chosen, 31 corrected, 7 ties”."""
    words: dict[Verb, str] = {"choose": "chosen", "correct": "corrected", "tie": "ties"}
    return ", ".join(f"{verbs[verb]} {word}" for verb, word in words.items() if verbs[verb])
