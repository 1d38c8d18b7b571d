"""Where everything that belongs to one home lies on disk."""

from dataclasses import dataclass
from pathlib import Path

import platformdirs

from engine.errors import UserError


@dataclass(frozen=True)
class Home:
    """One home folder: a database and what its runs wrote. Two homes share nothing."""

    folder: Path

    @property
    def database(self) -> Path:
        """The SQLite file: the source of truth."""
        return self.folder / "tuner.sqlite"

    @property
    def reference_cache(self) -> Path:
        """The side file of reference log-probs; safe to delete."""
        return self.folder / "reference.sqlite"

    @property
    def near_index(self) -> Path:
        """The side file by which demonstrations that ask nearly the same are found; safe to delete."""
        return self.folder / "near.sqlite"

    @property
    def settings(self) -> Path:
        """The settings, as JSON that a person may edit."""
        return self.folder / "settings.json"

    @property
    def backups(self) -> Path:
        """Copies of the database made before each migration."""
        return self.folder / "backups"

    @property
    def templates(self) -> Path:
        """Chat templates for models that come without one; a person may edit them."""
        return self.folder / "templates"

    @property
    def exports(self) -> Path:
        """Where adapters and merged models are written unless a person names another folder."""
        return self.folder / "exports"

    @property
    def drafts(self) -> Path:
        """Texts that somebody has begun to write, and has not sent or saved."""
        return self.folder / "drafts"

    @property
    def workers(self) -> Path:
        """Endpoint and log of the chat worker."""
        return self.folder / "workers"

    def run(self, name: str) -> Path:
        """A run's folder: `log.txt`, `lock`, `checkpoints/`, `adapter/`."""
        return self.folder / "runs" / name

    def adapter(self, name: str) -> Path:
        """The folder of the adapter that the run called `name` made."""
        return self.run(name) / "adapter"

    def create(self) -> None:
        """Make the folder, readable by its owner alone."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            why = "it is a file" if self.folder.is_file() else error.strerror
            raise UserError(
                f"The home folder {self.folder} cannot be made: {why}.",
                do="Choose another with --home DIR or TUNER_HOME.",
            ) from error


def home(folder: str | Path | None = None) -> Home:
    """The home at `folder`, or the platform's data folder."""
    return Home(Path(folder).expanduser().absolute() if folder else Path(platformdirs.user_data_dir("tuner")))


def builtin_base() -> Path:
    """The folder of the base model that comes with the program."""
    import assets.base

    return Path(assets.base.__file__).parent
