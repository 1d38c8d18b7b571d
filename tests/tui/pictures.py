"""Draws the README's pictures: python tests/tui/pictures.py [FOLDER]

Drives the app on the built-in base, in a temporary home and with real workers, for about two minutes.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from person import Person, opened
from textual.widgets import Input

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.workers import supervisor

SIZE = (110, 30)
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # names a server; a picture asks no one for anything


async def draw(folder: Path, home: Home) -> None:
    async with opened(home, SIZE, ready="builtin") as person:
        await person.until(lambda: person.app.link.state == "ready", timeout=120)
        for question, correction in (
            ("What does a cow say?", " It is fond of grass."),
            ("Tell me a story about a fox.", " The end."),
        ):
            await answered(person, question)
            await person.press("tab", "e")
            await person.type(correction)
            await person.press("ctrl+s")
            await person.sees("Fed 1 SFT row")
            await person.press("escape")
        save(person, folder / "chat.svg")
        await person.press("ctrl+n")
        await answered(person, "What colour is the sky?")
        await person.press("tab", "s")
        await person.until(lambda: bool(person.app.screen.query("Comparison")), timeout=60)
        await person.sees("Which is better?")
        save(person, folder / "choose.svg")
        await person.press("1", "enter", "ctrl+t")
        await person.sees("2 demonstrations")
        person.app.screen.query_one("#options-epochs", Input).value = "24"
        await person.press("ctrl+s")
        await person.sees("check sft")
        await person.press("ctrl+s")
        await person.sees("run sft-1")
        await person.until(lambda: "step 18 of 24" in person.screen(), timeout=240)
        save(person, folder / "train.svg")
        await person.until(lambda: "✓ done" in person.screen(), timeout=120)


async def answered(person: Person, question: str) -> None:
    await person.paste(question)
    await person.press("enter")
    await person.until(lambda: not person.app.screen.query("Draft"), timeout=60)


def save(person: Person, file: Path) -> None:
    file.write_text(FONT.sub("", person.app.export_screenshot()), encoding="utf-8")
    print(f"{file}  {file.stat().st_size // 1024} KB", flush=True)


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "assets/pictures")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        home = Home(Path(temporary))
        Store.open(home.database, migrate=True).close()
        settings.save(home, settings.Settings())  # not a first start: no tour
        try:
            asyncio.run(draw(folder, home))
        finally:
            supervisor.stop_chat(home)


if __name__ == "__main__":
    main()
