"""What every errand's worker does: takes one line of JSON, works, and says what came of it.

It writes lines of JSON: {"event", "data"} while it works, and at last {"answer"} or {"error"}; after a fault
of ours neither, but a traceback on standard error. It ends when its standard input does, so that it never
outlives whoever asked.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.spec import Emit
from tuner_app.paths import Home
from tuner_app.paths import home as home_at

Work = Callable[[Home, dict[str, Any], Emit], Any]


def run(work: Work) -> int:
    """Do `work` on what is asked for; returns 1 when it failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", required=True, type=Path)
    home = home_at(parser.parse_args().home)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)  # what libraries print goes to the log, not among the answers

        def say(**line: Any) -> None:
            output.write(json.dumps(line) + "\n")
            output.flush()

        asked = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        try:
            say(answer=work(home, asked, lambda event: say(event=event.kind, data=event.data)))
        except UserError as error:
            say(error={"what": error.what, "kept": error.kept, "do": error.do})
            return 1
    return 0


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)
