"""Tables of other people: their columns renamed to ours, or a proposal of how to."""

from collections.abc import Mapping, Sequence

from engine.errors import UserError
from tuner_app.formats.records import Record

ROLES = (
    *("prompt", "completion", "chosen", "rejected", "label", "system", "messages", "conversations"),
    *("instruction", "input", "output", "history", "tools", "a", "b", "winner", "margin"),
)

_KNOWN = {
    "a": ("response1", "response_1", "response_a", "answer_a", "output_1", "model_a", "a1", "a"),
    "b": ("response2", "response_2", "response_b", "answer_b", "output_2", "model_b", "a2", "b"),
    "winner": ("winner", "preference", "choice", "annotator1", "better", "label"),
    "chosen": ("chosen", "preferred", "win", "positive", "good_response"),
    "rejected": ("rejected", "dispreferred", "lose", "negative", "bad_response"),
    "prompt": (
        *("prompt", "question", "ask", "query", "context", "instruction", "user", "human", "dialogue"),
        *("input", "source", "problem", "title"),
    ),
    "completion": (
        *("completion", "answer", "response", "reply", "output", "assistant", "bot", "target", "solution"),
        *("summary", "section_text", "text"),
    ),
    "label": ("label", "rating", "score", "thumb", "feedback", "is_good", "good"),
}


def check(columns: Mapping[str, str]) -> None:
    """A UserError for a role that no format has."""
    for role in columns:
        if role not in ROLES:
            raise UserError(
                f"--columns does not know the role “{role}”.", do=f"Roles are: {', '.join(ROLES)}."
            )


def numbered(columns: Mapping[str, str] | None) -> bool:
    """Whether the columns are given by number, as for a table without a header."""
    return bool(columns) and all(name.isdecimal() for name in columns.values())  # type: ignore[union-attr]


def renamed(record: Record, columns: Mapping[str, str]) -> Record:
    """The row with the named columns alone, under our names."""
    fields = {role: record.fields[name] for role, name in columns.items() if name in record.fields}
    return Record(record.line, fields, record.table)


def check_present(columns: Mapping[str, str], found: Sequence[str]) -> None:
    """A UserError for a column that the file does not have."""
    for role, name in columns.items():
        if name not in found:
            raise UserError(
                f"There is no column “{name}” for {role}.", do=f"The columns are: {', '.join(found)}."
            )


def proposal(sample: Sequence[Record]) -> dict[str, str]:
    """A guess of which column plays which role; empty where no two columns could be a dialogue."""
    names = {name.strip().lower(): name for name in sample[0].fields}
    texts = {name for name in sample[0].fields if _lengths(sample, name)}
    for roles in (("chosen", "rejected"), ("a", "b", "winner")):
        found = _by_name(roles, names, texts)
        if len(found) == len(roles):
            return _prompt(names, texts - set(found.values())) | found
    found = _by_name(("prompt", "completion", "label"), names, texts)
    rest = [name for name in names.values() if name not in found.values() and _is_prose(sample, name)]
    for role in ("prompt", "completion"):
        if role not in found and rest:
            found[role] = rest.pop(0)
    return found if {"prompt", "completion"} <= set(found) else {}


def _prompt(names: Mapping[str, str], texts: set[str]) -> dict[str, str]:
    """Alpaca's two columns as they are, or the one that is called like a prompt."""
    alpaca = {name: names[name] for name in ("instruction", "input") if name in names}
    return alpaca if "instruction" in alpaca else _by_name(("prompt",), names, texts)


def _by_name(roles: Sequence[str], names: Mapping[str, str], texts: set[str]) -> dict[str, str]:
    """For each role the first column that is called like it; only judgements may be other than text."""
    found: dict[str, str] = {}
    for role in roles:
        for name in _KNOWN[role]:
            column = names.get(name)
            if column and column not in found.values() and (role in ("winner", "label") or column in texts):
                found[role] = column
                break
    return found


def _lengths(sample: Sequence[Record], name: str) -> list[int]:
    """How long the different texts of a column are; none if most of it is not text."""
    texts = [value for record in sample if isinstance(value := record.fields.get(name), str) and value]
    return [len(value) for value in set(texts)] if len(texts) * 2 > len(sample) else []


def _is_prose(sample: Sequence[Record], name: str) -> bool:
    """Whether a column holds something said: texts that differ and are longer than a name or a class."""
    lengths = _lengths(sample, name)
    links = sum(str(record.fields.get(name)).startswith(("http://", "https://")) for record in sample)
    return len(lengths) * 2 > len(sample) > links * 2 and sum(lengths) > 10 * len(lengths)
