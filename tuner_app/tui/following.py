"""A run, followed by a screen: its events are read page by page, between other work."""

from collections.abc import AsyncIterator
from itertools import count

from tuner_app.run_facts import PAGE, RunFacts, look
from tuner_app.store.run_rows import Run
from tuner_app.tui.database import Database

PAGES = 20  # pages after which the figures are drawn


async def follow(database: Database, name: str, facts: RunFacts) -> AsyncIterator[Run]:
    """The run as it is now, when `facts` has all that it has reported, and before that every now and then: it
    is read page by page, between other work."""
    for number in count():
        run, page = await database(look, name, facts.last)
        facts.add(page)
        if len(page) < PAGE:
            yield run
            return
        if number % PAGES == 0:
            yield run
