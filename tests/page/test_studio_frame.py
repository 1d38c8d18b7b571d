"""The studio as a whole: every listener asks who it is, nothing is uploaded, both languages say all."""

import json
import string
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from engine.errors import UserError
from tuner_app.page.answering import Answering
from tuner_app.page.database import Database
from tuner_app.page.studio import frame, words
from tuner_app.page.studio.access import may
from tuner_app.page.studio.answers import Answers
from tuner_app.page.studio.parts import Studio
from tuner_app.page.studio.words import Words
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.store.rows import Member, MemberRole


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gr.Blocks]:
    home = Home(tmp_path_factory.mktemp("home"))
    database = Database(Store.open(home.database, migrate=True))
    yield frame.build(Studio(home, database, Answers(database, home), Answering(home, database)))
    database.close()


def request(role: MemberRole, language: str = "") -> gr.Request:
    member = Member(1, "Ann", role, None, None, "")
    headers = {"accept-language": language}
    return gr.Request(SimpleNamespace(state=SimpleNamespace(member=member), headers=headers))  # type: ignore[arg-type]


def test_every_listener_asks_for_a_role(blocks: gr.Blocks) -> None:
    listeners = [listener for listener in blocks.fns.values() if listener.fn is not None]
    assert len(listeners) > 20
    silent = [listener.name for listener in listeners if not hasattr(listener.fn, "role")]
    assert silent == []


def test_nothing_is_uploaded_and_no_conversation_comes_from_the_browser(blocks: gr.Blocks) -> None:
    takes_files = (
        gr.File,
        gr.UploadButton,
        gr.Image,
        gr.Audio,
        gr.Video,
        gr.MultimodalTextbox,
        gr.ImageEditor,
    )
    assert not [block for block in blocks.blocks.values() if isinstance(block, takes_files)]
    given = [given for listener in blocks.fns.values() for given in listener.inputs]
    assert not [one for one in given if isinstance(one, gr.Chatbot | gr.HTML | gr.Dataframe)]


def test_what_a_model_says_is_sanitized(blocks: gr.Blocks) -> None:
    shown = [block for block in blocks.blocks.values() if isinstance(block, gr.Chatbot | gr.Markdown)]
    assert len(shown) > 3
    assert all(block.sanitize_html for block in shown)
    assert not any(block.allow_tags for block in shown if isinstance(block, gr.Chatbot))


def test_labels_are_not_queued(blocks: gr.Blocks) -> None:
    listeners = [listener for listener in blocks.fns.values() if listener.queue]
    of_chat = [
        one for one in listeners if one.fn and one.fn.__module__.endswith((".chat", ".write", ".review"))
    ]
    assert {one.name for one in of_chat} == {"watch"}  # which only looks on


@pytest.mark.parametrize(
    ("has", "needs", "let_in"),
    [
        ("annotator", "annotator", True),
        ("admin", "annotator", True),
        ("annotator", "reviewer", False),
        ("reviewer", "admin", False),
    ],
)
async def test_a_listener_refuses_whoever_may_not(has: MemberRole, needs: MemberRole, let_in: bool) -> None:
    called = []

    async def handler(member: Member, words: Words, value: str) -> str:
        called.append(value)
        return member.name

    async def stream(member: Member, words: Words, value: str) -> AsyncIterator[str]:
        called.append(value)
        yield member.name

    once, growing = may(needs, handler), may(needs, stream)
    if let_in:
        assert await once(request(has), "x") == "Ann"
        assert [part async for part in growing(request(has), "x")] == ["Ann"]
    else:
        with pytest.raises(gr.Error):
            await once(request(has), "x")
        with pytest.raises(gr.Error):
            await anext(aiter(growing(request(has), "x")))
    assert bool(called) == let_in


async def test_an_error_is_said_as_text() -> None:
    async def handler(member: Member, words: Words) -> None:
        raise UserError("No <b>model</b>.", do="Try again.")

    with pytest.raises(gr.Error) as raised:
        await may("annotator", handler)(request("annotator"))
    assert raised.value.message == "No &lt;b&gt;model&lt;/b&gt;.<br>Try again."


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("de-DE, en-US;q=0.7", "en"), ("", "en"), ("fr", "en")],
)
async def test_the_language_is_the_browsers(accepted: str, language: str) -> None:
    async def handler(member: Member, words: Words) -> str:
        return words.language

    assert await may("annotator", handler)(request("annotator", accepted)) == language


def test_both_languages_have_the_same_words_with_the_same_places() -> None:
    folder = Path(words.__file__).parent
    english, chinese = (
        json.loads((folder / f"words.{name}.json").read_text("utf-8")) for name in ("en", "zh")
    )
    assert english.keys() == chinese.keys()

    def places(text: str) -> set[Any]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert {key for key in english if places(english[key]) != places(chinese[key])} == set()
