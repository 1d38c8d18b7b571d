"""Base models on disk: found, checked, and known by a fingerprint of their weights.

Only safetensors weights are believed (pickled ones can run code) and only architectures that transformers
itself brings. A local folder never touches the network; a hub name does once, until it is cached.
"""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from engine.errors import UserError

logging.set_verbosity_error()
logging.disable_progress_bar()

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+|[\w-]+")
HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]
# What a copy of the same model may differ in.
VOLATILE = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache"}


def locate(base: str) -> Path:
    """The folder of `base`: itself, or the hub's cached or freshly downloaded snapshot."""
    folder = Path(base).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or base.startswith((".", "~")) or not HUB_NAME.fullmatch(base):
        raise UserError(
            f"There is no model folder {base}.",
            do="Name a folder with config.json, a tokenizer and safetensors weights, or a model of the hub.",
        )
    return _cached(base) or _download(base)


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
        read_config(folder)
        weight_files(folder)
    except (LocalEntryNotFoundError, UserError):
        return None
    return folder


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except GatedRepoError as error:
        raise UserError(
            f"The hub lets only people who asked for it download {name}.",
            do="Accept its terms on the hub's page, then log in with `hf auth login`.",
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"There is no folder {name} here, and no model of that name on the hub.", do="Check the name."
        ) from error
    except Exception as error:  # the hub client raises whatever its HTTP library does
        raise UserError(
            f"There is no folder {name} here, and the hub cannot be reached ({type(error).__name__}).",
            do="Connect to the network once; after that the model is cached. Or name a local folder.",
        ) from error


def read_config(folder: Path) -> Any:
    """The transformers configuration in `folder`, checked to be a causal language model's."""
    file = folder / "config.json"
    if not file.is_file():
        raise UserError(f"{folder} is no model: it has no config.json.", do="Name the folder that has one.")
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises a different class for each way to be wrong
        raise UserError(
            f"{file} cannot be used: {first_line(error)}",
            do="Download the model again, or choose an architecture that transformers brings itself.",
        ) from error
    named = raw.get("architectures") or []
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    wanted = {known} if isinstance(known, str) else set(known or ())
    if not wanted or (named and not wanted & set(named)):
        raise UserError(
            f"{folder} is a {(named or [config.model_type])[0]}, not a causal language model.",
            do="Choose a model that continues text (…ForCausalLM).",
        )
    return config


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(
            f"{folder} has no tokenizer.", do="Copy tokenizer.json and tokenizer_config.json there."
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise UserError(
            f"The tokenizer in {folder} cannot be read: {first_line(error)}", do="Download the model again."
        ) from error


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256, in hex, of what a tokenizer makes of text: its vocabulary, merges, and special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return hashlib.sha256(
        f"{text}\n{sorted(tokenizer.special_tokens_map.items(), key=str)}".encode()
    ).hexdigest()


def context_length(config: Any) -> int:
    """The longest sequence, in tokens, that the model was made for."""
    text = config.get_text_config()
    length = getattr(text, "max_position_embeddings", None) or getattr(text, "max_seq_len", None)
    return int(length) if length else 2048


def fingerprint(base: str) -> str:
    """SHA-256, in hex, of a base's weights and of its configuration, less what copies may differ in."""
    folder = locate(base)
    files = [*weight_files(folder), folder / "config.json"]
    return _fingerprint(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@lru_cache
def _fingerprint(files: tuple[tuple[Path, int, int], ...]) -> str:
    *weights, (config, _, _) = files
    kept = {k: v for k, v in json.loads(config.read_text(encoding="utf-8")).items() if k not in VOLATILE}
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(sha256_of, [file for file, _, _ in weights]))
    return hashlib.sha256("\n".join([json.dumps(kept, sort_keys=True), *digests]).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256, in hex, of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, each one that its index names, sorted by name."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise UserError(f"{index} is broken.", do="Download the model again.") from error
        files = [folder / name for name in names]
    else:
        files = sorted(folder.glob("model*.safetensors"))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}.", do="Download the model again.")
    if files:
        return files
    if [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]:
        raise UserError(
            f"{folder} has pickled weights only, which can run code when they are opened.",
            do="Get the same model in safetensors, or convert it where you trust it.",
        )
    raise UserError(f"{folder} has no weights.", do="Put model.safetensors there.")


def first_line(error: BaseException) -> str:
    """An error's first line, or what it is called."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
