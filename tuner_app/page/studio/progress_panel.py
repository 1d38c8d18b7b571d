"""What the studio shows of how far the labelling is, and how far people agree. Pure."""

from collections.abc import Mapping, Sequence

from tuner_app.agreement import Agreement, Measure
from tuner_app.page.studio.markup import Safe, joined, said, short, table
from tuner_app.page.studio.words import Words
from tuner_app.store.progress import Done, Far
from tuner_app.times import lasting


def far(found: Sequence[Far], done: Sequence[Done], names: Mapping[int, str], words: Words) -> Safe:
    """A line for each batch, and one for each person in each batch."""
    batches = [
        (
            short(names[one.batch_id], 40),
            one.items,
            one.finished,
            f"{one.labels:,} / {one.wanted:,}",
            share(one.labels, one.wanted),
            one.gold,
            words.of_program(left(one, [person for person in done if person.batch_id == one.batch_id])),
        )
        for one in found
        if one.batch_id in names
    ]
    people = [
        (
            short(one.person, 40),
            short(names[one.batch_id], 40),
            one.labels,
            one.today,
            None if one.per_hour is None else round(one.per_hour),
            one.skips,
            f"{one.gold_right} / {one.gold_of}" if one.gold_of else "",
            words.of_program(lasting(one.seconds)) if one.seconds else "",
        )
        for one in done
        if one.batch_id in names
    ]
    of_batches = ("batch", "items", "finished", "labels", "share", "gold", "left")
    of_people = ("person", "batch", "labels", "today", "per_hour", "skips", "gold_right", "time")
    return joined(
        [
            table(
                [words(f"progress_{name}") for name in of_batches],
                batches,
                caption=words("progress_batches"),
                empty=words("progress_no_batches"),
            ),
            table(
                [words(f"progress_{name}") for name in of_people],
                people,
                caption=words("progress_people"),
                empty=words("progress_no_people"),
            ),
        ]
    )


def left(batch: Far, done: Sequence[Done]) -> str:
    """How long a batch takes those who labelled in it today, at their pace; "" where nobody can tell."""
    pace = sum(one.per_hour or 0.0 for one in done if one.today)
    wanted = batch.wanted - batch.labels
    return lasting(3600 * wanted / pace) if pace and wanted > 0 else ""


def share(part: int, whole: int) -> str:
    """“42 %”, never 100 % before the end."""
    return f"{int(100 * part / whole)} %" if whole else ""


def agreement(found: Agreement, words: Words) -> Safe:
    """α of all and κ of each two, each with its interval and how many items it is of."""
    rows = [(words("progress_alpha"), *_measured(found.alpha))]
    rows += [
        (short(f"κ {one} – {other}", 60), *_measured(each)) for (one, other), each in found.kappas.items()
    ]
    head = [words(f"progress_{name}") for name in ("measure", "value", "interval", "items")]
    lines = [table(head, rows, caption=words("progress_agreement"))]
    if found.alpha.value is None:
        lines.append(said(words.of_program(found.alpha.why), "quiet"))
    return joined([*lines, said(words("progress_about"), "quiet")])


def _measured(found: Measure) -> tuple[str, str, int]:
    value = "–" if found.value is None else f"{found.value:.2f}"
    interval = "" if found.low is None or found.high is None else f"{found.low:.2f} … {found.high:.2f}"
    return value, interval, found.items
