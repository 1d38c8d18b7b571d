"""What is done with models that are there: renamed, deleted, exported, merged. No torch."""

import shutil
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from engine.errors import UserError
from tuner_app import bases, settings, words
from tuner_app.errands import Errand
from tuner_app.paths import Home
from tuner_app.store import Store, models
from tuner_app.store.run_rows import AdapterRow, Base

SMALLER = "precision bf16 takes half of fp32's memory; a smaller base"


def named(store: Store, name: str) -> Base | AdapterRow:
    """The adapter or base called `name`; a UserError where there is none."""
    found = models.adapter(store, name) or models.base(store, name)
    if found is None:
        raise UserError(f"There is no model called “{name}”.", do="`tuner models` lists them.")
    return found


def size(home: Home, row: Base | AdapterRow) -> int:
    """Bytes on the disk: of an adapter its run's whole folder, checkpoints included; of a base its files."""
    if isinstance(row, Base):
        folder = Path(bases.located(row.source))
        folder = folder if folder.is_dir() else (bases.cached(row.source) or folder)
    else:
        folder = _folder(home, row).parent
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def rename(home: Home, store: Store, row: Base | AdapterRow, name: str) -> None:
    """Call it otherwise; where it answers in the chat it goes on to."""
    models.rename(store, row, name)
    chosen = settings.load(home)
    if isinstance(row, AdapterRow) and chosen.adapter == row.name:
        settings.save(home, replace(chosen, adapter=name))


def check_deletable(home: Home, store: Store, row: Base | AdapterRow) -> None:
    """Raise UserError while other models need it, or while it answers in the chat."""
    chosen = settings.load(home)
    answers = chosen.adapter == row.name if isinstance(row, AdapterRow) else chosen.base == row.source
    if answers:
        raise UserError(
            f"“{row.name}” answers in the chat.",
            kept="Nothing was deleted.",
            do="Let another model answer first.",
        )
    if isinstance(row, Base) and row.source == bases.BUILTIN:
        raise UserError("The built-in base belongs to the program.", kept="Nothing was deleted.")
    models.check_free(store, row)


def delete(home: Home, store: Store, row: Base | AdapterRow) -> str:
    """Take a model out of use and its files off the disk; says what was freed.

    A base's folder is the person's own and stays; what was downloaded from the hub goes. Raises UserError
    as `check_deletable` does.
    """
    check_deletable(home, store, row)
    bytes = size(home, row)
    models.remove(store, row)
    if isinstance(row, AdapterRow):
        for folder in (_folder(home, row), _folder(home, row).parent / "checkpoints"):
            shutil.rmtree(folder, ignore_errors=True)
        return f"{row.name} is deleted: {words.sized(bytes)} free. What it learnt from stays in the database."
    if Path(row.source).is_dir():
        return f"{row.name} is out of the list. Its folder {row.source} is yours, and stays."
    _forget(row.source)
    return f"{row.name} is deleted: {words.sized(bytes)} free. Its name downloads it again."


def merge(home: Home, store: Store, row: AdapterRow, target: Path) -> Errand:
    """Start to write `target`: the adapter's base with the adapter merged in, for any other program."""
    base = next(base for base in models.bases(store) if base.id == row.base_id)
    asked = {"base": base.source, "adapter": str(_folder(home, row)), "target": str(_new(home, target))}
    return Errand(home, "merge", asked, memory=SMALLER)


def export(home: Home, row: AdapterRow, target: Path) -> None:
    """Copy an adapter's files, as peft and others read them, to the new folder `target`."""
    target = _new(home, target)
    try:
        shutil.copytree(_folder(home, row), target)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise UserError(
            f"The adapter cannot be written to {target}: {error}.",
            kept="The adapter is as it was.",
            do="Check the folder's permissions and free space.",
        ) from error


def _folder(home: Home, row: AdapterRow) -> Path:
    return home.folder / row.folder


def free_folder(home: Home, name: str) -> Path:
    """A folder that is not there yet, for what is written of the model called so."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(home.exports / one for one in names if not (home.exports / one).exists())


def _new(home: Home, target: Path) -> Path:
    target = target.expanduser().absolute()
    if target.parent == home.exports.absolute():
        with suppress(OSError):  # then there is no such folder, which is said below
            target.parent.mkdir(exist_ok=True)
    if target.exists():
        raise UserError(f"{target} exists already.", kept="It was left as it is.", do="Name a new folder.")
    if not target.parent.is_dir():
        raise UserError(f"There is no folder {target.parent}.", do="Make it first, or name another.")
    return target


def _forget(name: str) -> None:
    """Delete all that was downloaded of a hub's model."""
    from huggingface_hub import scan_cache_dir

    for repo in scan_cache_dir().repos:
        if repo.repo_id == name and repo.repo_type == "model":
            scan_cache_dir().delete_revisions(*(r.commit_hash for r in repo.revisions)).execute()
