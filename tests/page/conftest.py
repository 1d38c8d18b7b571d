"""A browser and a served page for the tests of a file, and a new person with a batch for each."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from labelling import DESK, Browser, Page, chromium, sees
from served import Served, pairs

_numbers = count(1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    page = Served(tmp_path_factory.mktemp("home"))
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
        page.goto(served.link(name))
        page.wait_for_url(f"{served.url}/")
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
