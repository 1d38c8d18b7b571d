"""What to say about a file that no format fits: what was found, what is nearest, what to type."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import UserError
from tuner_app.formats.catalogue import FORMATS
from tuner_app.formats.columns import proposal
from tuner_app.formats.containers import Container
from tuner_app.formats.records import Format, Record


class UnknownColumnsError(UserError):
    """The columns of a file fit no format, but may under other names: `proposal` maps ours to the file's."""

    def __init__(self, what: str, *, do: str, proposal: Mapping[str, str]) -> None:
        super().__init__(what, do=do)
        self.proposal = proposal


def refusal(
    container: Container,
    sample: Sequence[Record],
    form: Format | None,
    columns: Mapping[str, str] | None,
) -> UserError:
    """The error for a file whose rows fit nothing, or not the `form` that was asked for."""
    path, fields = container.path, sample[0].fields
    known = None if columns else _known(path, fields)
    if known:
        return known
    names = list(dict.fromkeys(name for record in sample for name in record.fields))
    what = f"{path} ({container}) has the columns {', '.join(names) or '(none)'}"
    if columns:
        target = f"that is not enough for {form.name}" if form else "no format consists of these"
        what += f"; with the roles {', '.join(columns)}, {target}."
        return UserError(what, do=_needs(form or _nearest(set(columns))))
    what += f", which do not fit {form.name}." if form else ", which no format has."
    guess = proposal(sample)
    if not guess:
        return UserError(what, do=_needs(form or _nearest(set(fields))))
    command = f"tuner import {shlex.quote(str(path))} --columns "
    command += shlex.quote(",".join(f"{role}={name}" for role, name in guess.items()))
    if container.encoding not in ("utf-8", "utf-8-sig", "utf-16"):
        command += f" --encoding {container.encoding}"
    return UnknownColumnsError(what, do=f"{_needs(_nearest(set(guess)))}\nTry: {command}", proposal=guess)


def _needs(form: Format) -> str:
    return f"The nearest format is {form.name}: {form.description}."


def _nearest(names: set[str]) -> Format:
    """The format that `names` fit, or that shares the most with them, or else prompt and completion."""
    row = Record(0, dict.fromkeys(names, "?"))
    fitting = next((form for form in FORMATS.values() if form.fits(row)), None)
    best = max(FORMATS.values(), key=lambda form: len(names & set(form.fields)) / len(form.fields) ** 0.5)
    return fitting or (best if names & set(best.fields) else FORMATS["prompt-completion"])


def _known(path: Path, fields: Mapping[str, object]) -> UserError | None:
    """Files that people have and that no mapping of columns would help."""
    if set(fields) <= {"text", "meta", "id", "url", "timestamp", "source"} and "text" in fields:
        return UserError(
            f"{path} holds plain text (the column text), without prompts and replies.",
            do="tuner learns from conversations, from pairs of replies and from rated replies.",
        )
    if fields and all(isinstance(entry, dict) and _REGISTRY & set(entry) for entry in fields.values()):
        return UserError(
            f"{path} is a list of data sets (LLaMA-Factory's registry), not data.",
            do="Import the files that it names.",
        )
    if isinstance(fields.get("instances"), list):
        return UserError(
            f"{path} keeps its replies in lists (self-instruct's “instances”).",
            do=f"Make a row of each: jq -c '{{instruction}} + .instances[]' {shlex.quote(str(path))} "
            "> rows.jsonl, and import rows.jsonl.",
        )
    if isinstance(prompt := fields.get("prompt"), dict) and "replies" in prompt:
        return UserError(
            f"{path} holds trees of messages (Open Assistant's), where a prompt has many ranked replies.",
            do="Write one row for each pair of replies: prompt, chosen, rejected.",
        )
    return None


_REGISTRY = {"file_name", "hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name"}
