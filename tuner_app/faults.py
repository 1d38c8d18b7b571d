"""Faults of ours: the traceback is kept in a file, and a person is told where."""

import traceback

from tuner_app.paths import Home


def keep(home: Home, error: BaseException) -> str:
    """Write down where `error` comes from; returns what to tell the person."""
    file = home.folder / "fault.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    except OSError:
        where = "Its details could not be written down."
    else:
        where = f"Its details are in {file}; what was saved before is unharmed."
    return f"An unexpected fault: {type(error).__name__}: {error}\n{where}"
