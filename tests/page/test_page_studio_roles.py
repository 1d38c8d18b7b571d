"""Every listener of the studio looks at who asks, whatever the browser shows."""

import asyncio
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tuner_app.page.answering import Answering
from tuner_app.page.database import Database
from tuner_app.page.studio import frame
from tuner_app.page.studio.answers import Answers
from tuner_app.page.studio.parts import Studio
from tuner_app.paths import Home
from tuner_app.store import Store, members
from tuner_app.store.members import ROLES
from tuner_app.store.rows import Member

LEAST = {
    "progress": "reviewer",
    "review": "reviewer",
    "runs": "admin",
    "new_run": "admin",
    "data": "admin",
    "people": "admin",
}


async def call(listener: Any, member: Member) -> Any:
    """What a listener does for a member who sends nothing but their cookie."""
    request = gr.Request(username=None)
    request.request = SimpleNamespace(  # type: ignore[assignment]
        state=SimpleNamespace(member=member), headers={"accept-language": "en"}, client=None
    )
    _, *others = inspect.signature(listener).parameters.values()
    values = [None for one in others if one.kind is not inspect.Parameter.VAR_POSITIONAL]
    result = listener(request, *values)
    return await anext(result) if inspect.isasyncgen(result) else await result


@pytest.mark.parametrize("role", ["annotator", "reviewer"])
def test_no_listener_of_a_tab_answers_those_who_may_not(tmp_path: Path, role: Any) -> None:
    home = Home(tmp_path)
    store = Store.open(home.database, migrate=True)
    member = members.add(store, "Ana", role)
    database = Database(store)
    try:
        studio = Studio(home, database, Answers(database, home), Answering(home, database))
        seen = {}
        for block in frame.build(studio).fns.values():
            tab = str(getattr(block.fn, "__module__", "")).rpartition(".")[2]
            least = LEAST.get(tab)
            if least is None or ROLES.index(role) >= ROLES.index(least):  # type: ignore[arg-type]
                continue
            seen[tab] = seen.get(tab, 0) + 1
            with pytest.raises(gr.Error, match="for others"):
                asyncio.run(call(block.fn, member))
        expected = {tab for tab, least in LEAST.items() if ROLES.index(least) > ROLES.index(role)}  # type: ignore[arg-type]
        assert expected <= {*seen}
    finally:
        database.close()
