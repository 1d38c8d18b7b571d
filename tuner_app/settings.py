"""Settings of one home: a small JSON file that a person may edit."""

import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.spec import build
from tuner_app.paths import Home

NEW_SEED = -1  # stands for a seed that is drawn anew each time


@dataclass(frozen=True)
class Decoding:
    """How an answer is drawn from the model; kept with every message that it made."""

    temperature: float = field(default=0.7, metadata={"help": "0 is greedy", "min": 0.0, "max": 5.0})
    top_p: float = field(default=1.0, metadata={"help": "nucleus: 1 keeps all", "min": 0.0, "max": 1.0})
    top_k: int = field(default=0, metadata={"help": "the k likeliest tokens: 0 keeps all", "min": 0})
    min_p: float = field(
        default=0.0,
        metadata={
            "help": "min p × the highest p: 0 keeps all",
            "min": 0.0,
            "max": 1.0,
        },
    )
    repetition_penalty: float = field(
        default=1.0,
        metadata={"help": "above 1 repeats what was said less", "min": 0.01, "max": 100.0},
    )
    beams: int = field(default=1, metadata={"help": "beam search above 1; not streamed", "min": 1, "max": 16})
    max_tokens: int = field(default=256, metadata={"help": "longest answer, in tokens", "min": 1})
    seed: int = field(default=NEW_SEED, metadata={"help": "-1 draws a new one each time", "min": NEW_SEED})

    def to_json(self) -> dict[str, Any]:
        """The settings as the chat worker's request and the store take them."""
        return asdict(self)

    def draw(self) -> int:
        """The seed of an answer: the one that is set, or a new one."""
        return secrets.randbelow(2**31) if self.seed == NEW_SEED else self.seed


@dataclass(frozen=True)
class Settings:
    """`base` is `builtin`, a folder or a hub name; `adapter` the run whose adapter answers ("" for none).

    `chat_url` and `chat_key` point chat at another OpenAI-compatible server instead of our own worker. `keys`
    are other keys for what the help names, such as {"tie": "t", "choose-first": "1,h"}; `goal` is how many
    labels a person means to give in a day (0: none), `theme` the terminal app's colours ("" for the usual).
    """

    base: str = "builtin"
    adapter: str = ""
    chat_url: str = ""
    chat_key: str = ""
    goal: int = field(default=0, metadata={"min": 0})
    theme: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    decoding: Decoding = field(default_factory=Decoding)


def load(home: Home) -> Settings:
    """The home's settings; defaults where the file or a field is missing, a UserError where it is wrong."""
    try:
        data = json.loads(home.settings.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise UserError(
            f"The settings file {home.settings} cannot be read: {error}.",
            kept="It was left as it is.",
            do="Mend it, or delete it to go back to the defaults.",
        ) from error
    parts = (
        [data, *(data.get(name, {}) for name in ("decoding", "keys"))] if isinstance(data, dict) else [data]
    )
    if not all(isinstance(part, dict) for part in parts):
        raise UserError(
            f"The settings file {home.settings} does not hold a JSON object of settings.",
            kept="It was left as it is.",
            do="Mend it, or delete it to go back to the defaults.",
        )
    decoding = build(Decoding, data.pop("decoding", {}), f"decoding setting in {home.settings}")
    keys = {name: str(key) for name, key in data.pop("keys", {}).items()}
    plain = build(Settings, data, f"setting in {home.settings}")
    return Settings(**{**vars(plain), "decoding": decoding, "keys": keys})


def save(home: Home, settings: Settings) -> None:
    """Write the settings: the old file stays whole until the new one is on disk."""
    home.create()
    text = json.dumps(asdict(settings), indent=2, ensure_ascii=False) + "\n"
    try:
        write_atomically(home.settings, text.encode())
    except OSError as error:
        raise UserError(
            f"The settings could not be saved: {error.strerror}.",
            kept="The settings from before are unchanged.",
            do="Free some space or check the folder's permissions.",
        ) from error


def write_atomically(file: Path, content: bytes) -> None:
    """Replace `file` by `content`: written beside it, fsynced, renamed."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
