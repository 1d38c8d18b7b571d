"""How the tables of data do with very many rows, through a real terminal (a pty).

    python -m tests.bench.data_table FOLDER [--rows 1000000]

Prints JSON: in milliseconds, how long a person waits for a page: opening, paging, the last row, a filter by
source and by text; and the app's resident memory in MB, before and at its peak. A home that is in FOLDER
already is used again.
"""

import argparse
import json
import random
from pathlib import Path

from tests.bench.figures import spread
from tests.terminal import Terminal
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store

PAGES = 50
COUNTED = r"[\d,]+ rows? {2}"  # while it counts, an ellipsis follows


def make(folder: Path, rows: int) -> Home:
    """A home with this many pairs from five large files and a small one, made by SQL alone."""
    home = Home(folder)
    home.create()
    settings.save(home, Settings(chat_url="http://127.0.0.1:9"))  # no model is to take the processors
    store = Store.open(home.database, migrate=True)
    there = store.one("SELECT count(*) AS n FROM examples")
    if there and there["n"] == 0:
        store.db.execute("PRAGMA synchronous=OFF")
        store.db.execute("PRAGMA cache_size=-1000000")  # hashes come in no order: the index stays in memory
        with store.write():
            _fill(store, rows)
        store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return home


def _fill(store: Store, rows: int) -> None:
    drawn = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(drawn.choices(letters, k=drawn.randint(2, 9))) for _ in range(5000)]
    texts = [
        (
            n,
            *(
                " ".join(drawn.choices(words, k=drawn.randint(low, high)))
                for low, high in ((8, 20), (15, 35))
            ),
        )
        for n in range(1000)
    ]
    store.execute("CREATE TEMP TABLE texts (n INTEGER PRIMARY KEY, asked TEXT, said TEXT)")
    store.execute_many("INSERT INTO texts VALUES (?, ?, ?)", texts)
    store.execute(
        """WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)
           INSERT INTO examples (id, hash, kind, question, answer, body, created)
           SELECT i, hex(randomblob(32)), 'pair', i, i % 2,
             '{"chosen":"' || u.said || ' ' || i || '","kind":"pair","prompt":[{"content":"' || w.asked
               || '","role":"user"}],"rejected":"' || v.said || '"}',
             strftime('%Y-%m-%dT%H:%M:%f000+00:00', '2025-01-01', '+' || (i * 5) || ' seconds')
           FROM c JOIN texts w ON w.n = i % 1000 JOIN texts v ON v.n = i / 7 % 1000
             JOIN texts u ON u.n = (i / 1000 * 31 + i) % 1000""",
        (rows,),
    )
    store.execute("INSERT INTO example_prompts SELECT id, id % 1000 FROM examples")
    names = [*((n, f"part-{n}.jsonl") for n in range(1, 6)), (6, "small.jsonl")]
    store.execute_many("INSERT INTO sources VALUES (?, ?, '2025-01-01T00:00:00.000000+00:00')", names)
    store.execute("INSERT INTO imports SELECT id * 5 / (? + 1) + 1, 'pair', id, id FROM examples", (rows,))
    store.execute("INSERT INTO imports SELECT 6, 'pair', id, id FROM examples WHERE id % 10000 = 7")


def measure(home: Home, rows: int) -> dict[str, float]:
    """Press the keys and say how long a person waited."""
    figures: dict[str, float] = {}
    with Terminal(home) as terminal:
        terminal.sees("help")
        terminal.settle()
        figures["mb_before"] = terminal.memory("VmHWM")
        terminal.send("f4")
        figures["opened_ms"] = terminal.drawn("part-5.jsonl")
        figures["all_counted_ms"] = terminal.drawn(COUNTED)
        terminal.settle()
        waits = []
        for page in range(1, PAGES + 1):
            terminal.send("pagedown")
            # A page has eight rows and the cursor moves by seven: the row that it comes to is told below.
            waits.append(terminal.drawn(f"line {rows - 7 * page:,} of"))
        figures |= {f"page_{name}": figure for name, figure in spread(waits).items()}
        terminal.settle()
        terminal.send("end")
        figures["last_row_ms"] = terminal.drawn("line 1 of part-1.jsonl")
        terminal.settle()
        for what, line, found in (
            ("source", "source:small.jsonl", "small.jsonl"),
            ("letter", "e", "part-5.jsonl"),
            ("number", f"{rows // 2 + 1}", "part-3.jsonl"),
        ):
            terminal.send("/", *["backspace"] * 20)
            terminal.settle()
            terminal.send(line)
            figures[f"by_{what}_first_ms"] = terminal.drawn(found)
            figures[f"by_{what}_all_ms"] = terminal.drawn(COUNTED)
            terminal.settle()
            terminal.send("escape")
            terminal.settle()
        figures["mb_peak"] = terminal.memory("VmHWM")
        terminal.quit()
    return {name: round(figure, 1) for name, figure in figures.items()}


def main() -> None:
    """Make the home where it is not there, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    print(json.dumps({"rows": args.rows, **measure(make(args.folder, args.rows), args.rows)}))


if __name__ == "__main__":
    main()
