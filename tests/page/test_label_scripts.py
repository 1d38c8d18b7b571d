"""Text that would like to be a program stays text, wherever the page shows it; nothing is fetched for it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile import STRINGS, WATCH
from labelling import Page, expect, saved, sees
from served import Served

from engine.examples import Message
from tuner_app.store import batches
from tuner_app.store.rows import Asked, Reply

FOREIGN = (
    ".body :is(script, img, iframe, object, embed, link, style, form, input, svg, video, audio, base, meta)"
)
TURNS = 11  # of a prompt, with a string each; the replies take two more


def strings() -> list[str]:
    """Ours, and those of the Big List of Naughty Strings where it is here."""
    folder = os.environ.get("TUNER_CONFORMANCE_DATA")
    naughty = Path(folder or "") / "data/nasty/blns.json"
    return STRINGS + (json.loads(naughty.read_text(encoding="utf-8")) if folder and naughty.exists() else [])


def test_there_are_200() -> None:
    assert len(set(STRINGS)) >= 200


@pytest.mark.slow
def test_none_runs(join: Callable[..., Page], served: Served) -> None:
    """In prompts and answers, in the names of a member and of batches: as it is, and within Markdown."""
    name = "<img src=x onerror=alert(1)>"
    served.member(name)
    nasty = [text for text in strings() if text.strip()]
    groups = [nasty[at : at + TURNS + 2] for at in range(0, len(nasty), TURNS + 2)]
    served.share([_asked(n, group) for n, group in enumerate(groups)], STRINGS[0], people=[name])
    served.share([_asked(-1, STRINGS)], STRINGS[4], people=[name], guidelines="\n\n".join(STRINGS))
    page = join(name, first="")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.add_init_script(WATCH)
    page.reload()
    for n in [*range(len(groups)), -1]:
        expect(page.locator("#prompt .user .body").last).to_contain_text(f"number {n}")
        for _ in range(2):
            assert page.locator(FOREIGN).count() == 0
            assert not page.evaluate(
                """[...document.querySelectorAll(".body *")].flatMap((one) => [...one.attributes])
                   .map(({name}) => name).filter((name) => name.startsWith("on") || name === "style")"""
            )
            links = page.locator(".body a").evaluate_all(
                "all => all.map((a) => [a.protocol, a.rel, a.target])"
            )
            for protocol, rel, target in links:
                assert protocol in ("http:", "https:", "mailto:")
                assert rel == "noopener noreferrer nofollow"
                assert target == "_blank"
            page.keyboard.press("d")
        page.keyboard.press("1")
    expect(page.locator("#empty h2")).to_be_visible()
    assert page.evaluate("ran") == []
    assert all(url.startswith(served.url) for url in requests)


def _asked(number: int, texts: list[str]) -> Asked:
    """All of `texts` in one prompt and two replies; the last turn says the number as well."""
    replies = Reply(texts[0]), Reply(f"**x** {texts[-1]} `{texts[-1]}`\n\n> {texts[-1]}\n\n- {texts[-1]}")
    said = texts[1:-1] if len(texts) % 2 else texts[1:]
    turns = [Message(("user", "assistant")[at % 2], text) for at, text in enumerate(said or texts)]
    return Asked(
        (*turns[:-1], Message("user", f"{turns[-1].content}\n\n```\n```\n\nnumber {number}")), replies
    )


def test_none_runs_as_a_tag_or_a_comment(page: Page, served: Served) -> None:
    page.add_init_script(WATCH)
    page.reload()
    sees(page, "Question 0")
    page.keyboard.press("t")
    for text in STRINGS[:20]:
        page.fill("#new-tag", text[:60].replace(",", ";"))
        page.keyboard.press("Enter")
    page.fill("#comment", "\n".join(STRINGS)[:4000])
    page.keyboard.press("Escape")
    expect(page.locator("#reasons")).to_be_hidden()
    page.keyboard.press("1")
    sees(page, "Question 1")
    saved(page)
    page.reload()  # the tags are offered now
    sees(page, "Question 1")
    page.keyboard.press("t")
    expect(page.locator("#tags button").first).to_be_visible()
    assert page.evaluate("ran") == []
    assert page.locator("#tags img, #tags script").count() == 0


def test_a_megabyte_of_answer(join: Callable[..., Page], served: Served) -> None:
    served.member("Patient")
    long = "word " * 200_000
    served.share(
        [Asked((Message("user", "Question 0"),), (Reply(long), Reply("> " * 300 + "deep")))],
        "Long",
        people=["Patient"],
    )
    page = join("Patient")
    texts = sorted(len(text) for text in page.locator(".reply .body").all_text_contents())
    assert texts[1] >= len(long.strip())  # nothing is cut off
    assert texts[0] >= 300
    page.keyboard.press("1")
    expect(page.locator("#empty h2")).to_have_text("All done. Thank you!")
    saved(page)
    assert batches.listed(served.store)[0].name == "Long"
