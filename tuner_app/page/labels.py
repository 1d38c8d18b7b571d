"""What the labelling page asks for, as JSON. No answer here names a model or says what is gold."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tuner_app import settings
from tuner_app.clean import one_line, visible
from tuner_app.page.access import member, refuse
from tuner_app.page.database import Database
from tuner_app.page.rendering import html
from tuner_app.page.translation import of_headers, translate_error
from tuner_app.store import Store, batches, past, sharing, tags
from tuner_app.store.giving import LONGEST_UID, Given, Outcome
from tuner_app.store.past import Past
from tuner_app.store.rows import Batch, Item, Verb
from tuner_app.store.sharing import Offer, Task, Today

router = APIRouter()

MOST = 50  # labels in a request
LONGEST = 1 << 20  # characters of a corrected answer
OFFERED_TAGS = 24
Json = dict[str, Any]
Name = Annotated[str, Field(max_length=200)]


class Label(BaseModel):
    """A label or an undo, as `Given`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    uid: str = Field(pattern=rf"^[0-9A-Za-z-]{{1,{LONGEST_UID}}}$")
    batch: int
    item: str = Field(max_length=64)
    verb: Verb
    value: dict[str, int | Annotated[str, Field(max_length=LONGEST)]] = Field(max_length=2)
    shown: list[int] = Field(max_length=2)
    tags: list[Annotated[str, Field(max_length=200)]] = Field(max_length=50)
    comment: str = Field(max_length=10_000)
    undoes: str | None = Field(max_length=LONGEST_UID)

    def given(self) -> Given:
        """As the store takes it."""
        named = (self.uid, self.batch, self.item, self.verb)
        said = (tuple(self.shown), tuple(self.tags), self.comment, self.undoes)
        return Given(*named, self.value, *said)


class Labels(BaseModel):
    """What a browser sends; `person` is who gave them, as the browser knows."""

    model_config = ConfigDict(extra="forbid", strict=True)
    person: Name
    labels: list[Label] = Field(max_length=MOST)


@router.get("/api/me")
async def me(request: Request) -> Response:
    """Who asks, the keys of this home, the batches that are theirs to do, and the tags that they use."""
    who, database = member(request), _database(request)
    offers, used = await database.read(_mine, who.name)
    return await _answer(
        lambda: {
            "home": request.app.state.cookie,  # for one browser may know several
            "name": who.name,
            "shown_name": one_line(who.name),
            "role": who.role,
            "keys": settings.load(request.app.state.home).keys,
            "batches": [{"id": offer.batch.id, "name": one_line(offer.batch.name)} for offer in offers],
            "tags": [{"tag": tag, "shown": visible(tag)} for tag in used],
        }
    )


def _mine(store: Store, name: str) -> tuple[list[Offer], list[str]]:
    used = tags.most_used(store, OFFERED_TAGS, person=name)
    return sharing.offers(store, name), [tag for tag, _ in used]


@router.get("/api/work")
async def work(
    request: Request,
    person: Name,
    batch: int | None = None,
    count: Annotated[int, Query(ge=1, le=sharing.MOST)] = 8,
    have: Annotated[str, Query(max_length=2_000)] = "",
) -> Response:
    """The next tasks, without those that the browser has (the beginnings of their items' hashes, with
    commas), and how far the person is.

    Of the place of an item in its batch nothing is told: gold is from another one than the rest.
    """
    if person != member(request).name:
        return _another()
    known = tuple(key for key in have.split(",") if key)
    total = min(count + len(known), sharing.MOST)
    found = await _database(request).write(_take, person, batch, total)
    return await _answer(lambda: _work(*found, known))


def _take(store: Store, name: str, batch_id: int | None, count: int) -> tuple[list[Task], list[Offer], Today]:
    taken = sharing.take(store, name, batch_id=batch_id, count=count)
    offers = [offer for offer in sharing.offers(store, name) if batch_id in (None, offer.batch.id)]
    return taken, offers, sharing.today(store, name)


def _work(taken: Sequence[Task], offers: Sequence[Offer], today: Today, known: tuple[str, ...]) -> Json:
    now = datetime.now(UTC)
    fresh = [task for task in taken if not task.item.hash.startswith(known)]
    return {
        "batches": _batches(offer.batch for offer in offers),
        "items": [
            _shown(task.batch_id, task.item, task.shown)
            | {"expires_in": (datetime.fromisoformat(task.expires) - now).total_seconds()}
            for task in fresh
        ],
        "progress": {
            "done": sum(offer.done for offer in offers),
            "left": sum(offer.left for offer in offers),
            "today": today.given,
            "limit": today.limit,
        },
    }


@router.post("/api/labels")
async def give(request: Request, sent: Labels) -> Response:
    """Keep labels and undos; the answer says of each that it is on disk, or why it was refused."""
    if sent.person != member(request).name:
        return _another()
    given = [label.given() for label in sent.labels]
    outcomes = await _database(request).write(sharing.give_all, sent.person, given)
    language = of_headers(request.headers)
    return await _answer(lambda: {"results": [_outcome(one, language) for one in outcomes]})


def _outcome(outcome: Outcome, language: str) -> Json:
    return vars(outcome) | {"why": translate_error(outcome.why, language) if outcome.why else ""}


@router.get("/api/history")
async def history(request: Request, person: Name) -> Response:
    """The person's own labels that stand, the latest first, to take them back."""
    if person != member(request).name:
        return _another()
    found, of = await _database(request).read(_past, person)
    return await _answer(lambda: {"batches": _batches(of), "labels": [_given(label) for label in found]})


def _past(store: Store, name: str) -> tuple[list[Past], list[Batch]]:
    found = past.latest(store, name)
    return found, [batches.get(store, id) for id in {label.batch_id for label in found}]


def _given(label: Past) -> Json:
    order = label.shown or tuple(range(len(label.item.replies)))
    at = {"batch": label.batch_id, "item": label.item.hash}
    return {
        "label": {"uid": label.uid, "tags": label.tags, "comment": label.comment, **at},
        "task": _shown(label.batch_id, label.item, order),
    }


def _batches(of: Iterable[Batch]) -> Mapping[int, Json]:
    return {
        batch.id: {
            "id": batch.id,
            "name": one_line(batch.name),
            "guidelines": html(batch.guidelines) if batch.guidelines else "",
        }
        for batch in of
    }


def _shown(batch_id: int, item: Item, order: Sequence[int]) -> Json:
    """An item with its replies in the order in which they are to be displayed."""
    replies = [item.replies[place].content for place in order]
    return {
        "batch": batch_id,
        "item": item.hash,
        "shown": order,
        "prompt": [{"role": turn.role, "html": html(turn.content)} for turn in item.prompt],
        "replies": [{"html": html(text), "text": text} for text in replies],
    }


def _another() -> Response:
    """For a window that somebody opened before another person joined in the same browser."""
    return refuse(409, "Somebody else has joined in this browser meanwhile.")


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _answer(make: Callable[[], Json]) -> Response:
    """JSON, made in a thread: long answers take their time to render, and others wait for the event loop."""
    body = await asyncio.to_thread(lambda: json.dumps(make()).encode())
    return Response(body, media_type="application/json")
