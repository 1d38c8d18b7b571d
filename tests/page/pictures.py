"""Draws the README's pictures of the page: PYTHONPATH=tests python tests/page/pictures.py [FOLDER]

Serves a home whose batch the built-in base answers, and labels some of it in Chromium, for about a minute.
"""

import sys
import tempfile
from pathlib import Path

from labelling import DESK, PHONE, chromium, saved
from served import Served

from engine.examples import Message
from tuner_app import settings
from tuner_app.store import batches, sharing
from tuner_app.store.rows import Asked, Maker
from tuner_app.store.stamps import new_uid
from tuner_app.workers import supervisor

QUESTIONS = (
    "Tell me a story about a fox.",
    "Tell me a story about a cat.",
    "What should I eat today?",
    "Tell me a joke.",
    "Write a poem about rain.",
    "How are you today?",
)
GUIDELINES = "Prefer what is **right**; of two that are right, the warmer and briefer."
WARM = 1.2  # the temperature: two answers should differ


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "assets/pictures")
    with tempfile.TemporaryDirectory() as temporary:
        served = Served(Path(temporary))
        settings.save(served.home, settings.Settings())  # the built-in base answers
        made = batches.make(
            served.store,
            [Asked((Message("user", question),)) for question in QUESTIONS],
            name="Warm and brief",
            kind="pair",
            makers=[Maker("builtin")],
            decoding={"temperature": WARM},
            uid=new_uid(),
        )
        sharing.configure(served.store, made.id, shared=True, guidelines=GUIDELINES)
        served.member("Ada")
        try:
            served.start()
            draw(served, folder)
        finally:
            served.close()
            supervisor.stop_chat(served.home)


def draw(served: Served, folder: Path) -> None:
    with chromium() as browser:
        for name, size in (("label", DESK), ("label-phone", PHONE)):
            page = browser.new_page(viewport=size)
            page.set_default_timeout(120_000)
            page.goto(served.link("Ada"))
            page.wait_for_url(f"{served.url}/")
            page.locator("#prompt .user .body").last.wait_for()
            page.keyboard.press("1")
            saved(page)
            page.wait_for_timeout(500)  # the note of what was done goes
            file = folder / f"{name}.png"
            page.screenshot(path=file)
            print(f"{file}  {file.stat().st_size // 1024} KB", flush=True)
            page.close()


if __name__ == "__main__":
    main()
