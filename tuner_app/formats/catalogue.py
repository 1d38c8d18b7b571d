"""The formats by name. Their order is that of detection: a row counts for the first that it fits."""

from engine.errors import UserError
from tuner_app.formats import (
    alpaca,
    hh_rlhf,
    judged_answer,
    kto_tag,
    messages,
    pairwise,
    preference,
    prompt_completion,
    ranking,
    sharegpt,
    unpaired,
)
from tuner_app.formats.records import Format

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        *(hh_rlhf, ranking, preference, pairwise, kto_tag, unpaired),
        *(judged_answer, messages, sharegpt, prompt_completion, alpaca),
    )
}


def named(name: str) -> Format:
    """The format called `name`, also with / or _ for -; a UserError lists them all."""
    found = FORMATS.get(name.strip().lower().replace("/", "-").replace("_", "-"))
    if found is None:
        raise UserError(f"There is no file format “{name}”.", do=f"Formats are: {', '.join(FORMATS)}.")
    return found
