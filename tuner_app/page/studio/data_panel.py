"""What the studio shows of data and batches. Pure, but for reading the store."""

from collections.abc import Mapping
from urllib.parse import urlencode

from engine.errors import UserError
from tuner_app import formats
from tuner_app.page.studio.markup import Safe, joined, line, said, short, table, text
from tuner_app.page.studio.words import Words
from tuner_app.store import Selection, Store, batches, picking
from tuner_app.store.rows import Batch
from tuner_app.words import PLURALS

KINDS = ("demonstration", "pair", "rated", "prompt")


def batches_table(store: Store, states: Mapping[int, str], words: Words) -> Safe:
    """The batches: how many prompts are answered, how they are shared out, and what goes on."""
    rows = []
    for batch in batches.listed(store):
        prompts, answered, failed = answers(store, batch.id)
        rows.append(
            (
                short(batch.name, 40),
                words(f"data_{batch.kind}"),
                prompts,
                answered,
                failed,
                words("data_yes") if batch.shared else words("data_no"),
                batch.overlap,
                batch.priority,
                f"{batch.gold_rate:.0%}",
                _state(states.get(batch.id, ""), prompts, answered, failed, batch, words),
            )
        )
    names = ("batch", "kind", "prompts", "answered", "failed", "is_shared_head", "overlap", "priority")
    head = [words(f"data_{name}") for name in (*names, "gold_rate", "state")]
    return joined([table(head, rows, caption=words("data_batches"), empty=words("data_no_batches"))])


def answers(store: Store, batch_id: int) -> tuple[int, int, int]:
    """(prompts, answered, failed) of a batch."""
    row = store.one(
        """SELECT count(*) AS prompts, count(item_id) AS answered, coalesce(sum(failure <> ''), 0) AS failed
           FROM batch_prompts WHERE batch_id = ?""",
        (batch_id,),
    )
    assert row is not None
    return row["prompts"], row["answered"], row["failed"]


def counts_table(store: Store, words: Words) -> Safe:
    """How much there is to learn from, by kind."""
    rows = []
    for kind in KINDS:
        found = picking.available(store, kind, Selection())
        if found.examples:
            name = words.of_program(PLURALS[kind])
            rows.append((name, found.examples, found.from_labels, found.from_imports))
    head = [words(f"data_{name}") for name in ("what", "many", "labels", "imports")]
    return joined([table(head, rows, caption=words("data_counts"), empty=words("data_nothing"))])


def batch_named(store: Store, name: str) -> Batch:
    """The batch called `name`; a UserError where there is none."""
    found = next((batch for batch in batches.listed(store) if batch.name == name), None)
    if found is None:
        raise UserError(f"There is no batch “{name}”.", do="Choose one of the list.")
    return found


def export_link(form: str, data: str, container: str, words: Words) -> Safe:
    """A link to the file of all that a selection has, in this format; a UserError says what is wrong."""
    try:
        Selection.parse(data)
        holds = formats.named(form)
    except UserError as error:
        return line(words.of_error(error), "wrong")
    address = f"/api/export?{urlencode({'format': form, 'data': data, 'container': container})}"
    link = f'<p><a class="t-link" href="{text(address)}" download>{text(words("data_download"))}</a></p>'
    return joined([said(words.of_program(holds.description), "quiet"), Safe(link)])


def _state(doing: str, prompts: int, answered: int, failed: int, batch: Batch, words: Words) -> str:
    if doing:
        return words.of_program(doing)
    if answered + failed == prompts:
        return words("data_all_answered")
    return words("data_waits" if batch.shared else "data_share_first")
