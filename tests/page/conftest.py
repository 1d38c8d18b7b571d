"""A browser and a served page for the tests of a file, and a new person with a batch for each."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import gate
import httpx
import pytest
from labelling import DESK, Browser, Page, ask, chromium, enter, expect, says, sees
from scripted_server import ScriptedServer
from served import Served, pairs

from tuner_app import settings

_numbers = count(1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    """Gives the answers of the chat."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def served(
    browser: Browser, server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    page = Served(tmp_path_factory.mktemp("home"))
    settings.save(page.home, settings.Settings(chat_url=server.url))
    try:
        page.start()
        yield page
    finally:
        page.close()


@pytest.fixture
def name(served: Served) -> str:
    """A new member, who has 30 pairs to judge that nobody else gets."""
    name = f"Ann {next(_numbers)}"
    served.member(name)
    served.share(pairs(30), f"Pairs of {name}", people=[name], guidelines="Prefer what is **right**.")
    return name


@pytest.fixture
def join(browser: Browser, served: Served) -> Iterator[Callable[..., Page]]:
    """Opens a link for somebody in a browser of its own (what Playwright calls a context)."""
    contexts = []

    def open_link(name: str, first: str = "Question 0", **options: object) -> Page:
        contexts.append(browser.new_context(**{"viewport": DESK, **options}))
        page = contexts[-1].new_page()
        enter(page, served, name)
        if first:
            sees(page, first)
        return page

    yield open_link
    for context in contexts:
        context.close()


@pytest.fixture
def page(join: Callable[..., Page], name: str) -> Page:
    """The page as `name` sees it, the first pair on it."""
    return join(name)


@pytest.fixture
def studio(join: Callable[..., Page], served: Served, name: str) -> Iterator[Callable[..., Page]]:
    """Opens the studio as a new member; fails when a request goes elsewhere that the page does not forbid."""

    def opened(**options: object) -> Page:
        expect.set_options(timeout=20_000)  # Gradio takes its time on a busy machine
        page = join(name, first="", **options)
        page.on("request", lambda request: asked.append(request))
        page.goto(f"{served.url}/studio/", timeout=120_000)  # the first waits until Gradio is imported
        expect(page.locator("#prompt textarea")).to_be_visible()
        return page

    asked: list[Any] = []
    yield opened
    elsewhere = [request for request in asked if not request.url.startswith((served.url, "data:", "blob:"))]
    assert [request.url for request in elsewhere if request.failure != "csp"] == []


@pytest.fixture
def answered(studio: Callable[..., Page], server: ScriptedServer) -> Page:
    """The studio as a new member sees it who has asked something and been answered."""
    server.answers = ["A small plant."]
    page = studio()
    ask(page, "What is a tree?")
    says(page, "A small plant.")
    return page


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[gate.Gate]:
    """A page that a thread of the tests serves; beside its home is a file with `gate.SECRET`."""
    folder = tmp_path_factory.mktemp("gated")
    (folder / "secret.txt").write_text(gate.SECRET)
    with gate.gate(folder / "home") as served:
        yield served


@pytest.fixture
def ann(gated: gate.Gate) -> Iterator[httpx.Client]:
    """A client of an annotator there."""
    with gated.client("ann") as client:
        yield client
