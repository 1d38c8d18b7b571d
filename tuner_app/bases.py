"""Base models as people name them: found, checked without torch, and kept in the store.

A base is `builtin`, a name that the store knows, a folder, or a hub name.
"""

import json
import re
from pathlib import Path

import engine
from engine.errors import UserError
from tuner_app.paths import Home, builtin_base
from tuner_app.store import Store, models
from tuner_app.store.run_rows import Base

BUILTIN = "builtin"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+|[\w-]+")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


def register(store: Store, name: str) -> Base:
    """As `find`, and the store knows the base from now on."""
    base = find(store, name)
    return base if base.id else models.add_base(store, base.name, base.source)


def find(store: Store, name: str) -> Base:
    """The base called `name`, checked as far as it goes without loading it; its id is 0 while it has no row.

    Raises UserError when there is no such folder or it holds no model that we open.
    """
    known, folder = models.base(store, name), Path(name).expanduser()
    if known:
        source = known.source
    elif name == BUILTIN or not folder.is_dir():
        source = name
    else:
        source = str(folder.resolve())
        name = source if folder.name == BUILTIN else Path(source).name
        known = models.base(store, source)
    check(source)
    return known or Base(id=0, name=name, source=source, fingerprint="", created="")


def located(source: str) -> str:
    """What the engine loads for a base's `source`: a folder or a hub name."""
    return str(builtin_base()) if source == BUILTIN else source


def cached(name: str) -> Path | None:
    """The folder of what was downloaded of a hub's model, or None."""
    from huggingface_hub import try_to_load_from_cache

    if not HUB_NAME.fullmatch(name):
        return None
    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def check(source: str) -> None:
    """Raise UserError unless `source` is a folder with a safetensors model or may be a hub name."""
    folder = Path(located(source))
    if not folder.is_dir():
        if source == BUILTIN or source.startswith(("/", ".", "~")) or not HUB_NAME.fullmatch(source):
            raise UserError(
                f"There is no model folder {folder}.",
                do="Name a folder with config.json, a tokenizer and safetensors weights, or a hub name.",
            )
        return
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder} is no model: it has no config.json.", do="Name the folder that has one.")
    if not [*folder.glob("*.safetensors")]:
        pickled = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
        raise UserError(
            f"{folder} has only pickle weights ({pickled[0].name}), which can run code when they are opened."
            if pickled
            else f"{folder} has no weights.",
            do="Get the model in safetensors, or convert it where you trust it."
            if pickled
            else "Put model.safetensors there.",
        )
    if not any((folder / file).is_file() for file in TOKENIZERS):
        raise UserError(
            f"{folder} has no tokenizer.", do="Copy tokenizer.json and tokenizer_config.json there."
        )


def template_file(home: Home, base: Base) -> Path:
    """Where the base's chat template lies when a person gave or changed it."""
    return home.templates / f"{base.name.replace('/', '--')}.jinja"


def template_override(home: Home, base: Base) -> str | None:
    """The template to use instead of the tokenizer's own; None to keep that."""
    try:
        return template_file(home, base).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(
            f"The chat template {template_file(home, base)} cannot be read: {error}.",
            do="Mend it, or delete it to get a fresh one.",
        ) from error


def has_template(source: str) -> bool:
    """Whether the model in a local folder brings a chat template; True for what is not here to look at."""
    folder = Path(located(source))
    if not folder.is_dir() or (folder / "chat_template.jinja").is_file():
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(config.get("chat_template"))


def write_fallback(home: Home, base: Base) -> Path:
    """Put our fallback template where a person can see and change it; an existing file is left alone."""
    file = template_file(home, base)
    text = Path(engine.__file__).with_name("fallback.jinja").read_text(encoding="utf-8")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        pass
    except OSError as error:
        raise UserError(
            f"The chat template {file} cannot be written: {error.strerror}.", do="Free some space."
        ) from error
    return file
