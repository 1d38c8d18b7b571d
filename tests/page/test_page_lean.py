"""Gradio is imported without what the studio has no use for, and works all the same."""

import subprocess
import sys

_PROGRAM = """
import sys
from pathlib import Path
from tuner_app.page.answering import Answering
from tuner_app.page.database import Database
from tuner_app.page.loading import Studio
from tuner_app.paths import Home
from tuner_app.store import Store

home = Home(Path(sys.argv[1]))
home.create()
database = Database(Store.open(home.database, migrate=True))
try:
    studio = Studio(home, database, Answering(home, database))
    studio._build()
finally:
    database.close()
import gradio.component_meta, gradio.events
print(gradio.component_meta.create_or_modify_pyi.__module__, gradio.events.EventListener.set_doc.__module__)
print("pandas.core" in sys.modules, "matplotlib" in sys.modules, [type(f).__name__ for f in sys.meta_path])
import pandas
print(pandas.DataFrame([1]).shape)
"""


def test_gradio_is_imported_lean(tmp_path: object) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    changed, left_out, later = ran.stdout.splitlines()
    assert changed.split() == ["tuner_app.page.lean", "tuner_app.page.lean"]
    assert left_out.startswith("False False")
    assert "_Lean" not in left_out  # the imports of others are as they were
    assert later == "(1, 1)"  # whoever uses it gets it
