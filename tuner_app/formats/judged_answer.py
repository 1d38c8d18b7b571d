"""`judged-answer`: “Q: … A: … True:” and the verdict “ yes” or “ no”, as judges of answers are trained on.

TruthfulQA's judges are, for truth and for helpfulness (arXiv:2109.07958, section 3.2). Read as what was
judged: the answer to the question, rated.
"""

import re

from engine.examples import Message, Rated
from tuner_app.formats.records import Fields, Format, Record, Refused, label, spoken, text

_JUDGED = re.compile(r"Q: (?P<question>.+?)\nA: (?P<answer>.*)\n(?:True|Helpful):", re.DOTALL)


def read(record: Record) -> Rated:
    """A rated reply."""
    asked = _JUDGED.fullmatch(text(record, "prompt"))
    if asked is None:
        raise Refused("“prompt” is not “Q: ”, “A: ” and “True:”, each on a line of its own")
    answer = spoken(asked["answer"], "the answer")
    return Rated((Message("user", asked["question"]),), answer, label(record, "completion"))


def write(example: Rated) -> Fields:
    """The row of a rated reply; only one question of the user fits."""
    if [message.role for message in example.prompt] != ["user"]:
        raise Refused("it has a place for one question alone")
    prompt = f"Q: {example.prompt[0].content}\nA: {example.reply}\nTrue:"
    return {"prompt": prompt, "completion": " yes" if example.good else " no"}


def fits(record: Record) -> bool:
    """A question with its answer, and a verdict."""
    prompt, verdict = record.fields.get("prompt"), record.fields.get("completion")
    judged = isinstance(prompt, str) and _JUDGED.fullmatch(prompt)
    return bool(judged) and isinstance(verdict, str) and verdict.strip() in ("yes", "no")


FORMAT = Format(
    name="judged-answer",
    holds=Rated,
    description='{"prompt": "Q: …\\nA: …\\nTrue:", "completion": " yes" or " no"}: the answer, rated',
    fields=("prompt", "completion"),
    fits=fits,
    read=read,
    write=write,
)
