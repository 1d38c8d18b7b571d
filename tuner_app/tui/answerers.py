"""The models that one key goes round: those that answered lately, the newest adapter, and the base alone."""

from tuner_app.settings import Settings
from tuner_app.store import Store, models

LATELY = 200  # answers
MOST_USED = 3  # models that answered lately

Answerer = tuple[str, str]  # a base's source, and the adapter on it: "" for none


def ring(store: Store, settings: Settings) -> list[Answerer]:
    """The round, bases before their adapters, in the order in which they came; who answers now is in it."""
    known = _known(store)
    answers = now(settings)
    wanted = {answers, (settings.base, "")}
    wanted.update([one for one in known if one[0] == settings.base][-1:])
    wanted.update([one for one in _lately(store) if one in known][:MOST_USED])
    return [one for one in known if one in wanted] if answers in known else [answers, *(wanted - {answers})]


def now(settings: Settings) -> Answerer:
    """Who answers as the settings say."""
    return settings.base, settings.adapter


def following(ring: list[Answerer], now: Answerer) -> Answerer:
    """The next in the round; the first where `now` is not in it."""
    return ring[(ring.index(now) + 1) % len(ring)] if now in ring else ring[0]


def name(answerer: Answerer) -> str:
    """How an answerer is called: its adapter, or its base."""
    base, adapter = answerer
    return adapter or base.rstrip("/").rsplit("/", 1)[-1]


def _known(store: Store) -> list[Answerer]:
    known: list[Answerer] = []
    for base in models.bases(store):
        if (base.source, "") not in known:
            known.append((base.source, ""))
        known += [(base.source, row.name) for row in models.adapters(store, base.id) if not row.is_reward]
    return known


def _lately(store: Store) -> list[Answerer]:
    """Who answered lately, the latest first."""
    rows = store.query(
        """SELECT model, adapter FROM
             (SELECT id, model, adapter FROM messages WHERE role = 'assistant' ORDER BY id DESC LIMIT ?)
           GROUP BY model, adapter ORDER BY max(id) DESC""",
        (LATELY,),
    )
    return [(row["model"], row["adapter"]) for row in rows]
