"""What the studio shows of runs: the list, and one of them with its figures, live."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

from tuner_app import remedies, words
from tuner_app.page.studio.charts import MOST_BESIDE, charts
from tuner_app.page.studio.markup import Safe, block, joined, said, short, table
from tuner_app.page.studio.words import Words
from tuner_app.paths import Home
from tuner_app.run_facts import PAGE, STATUS, RunFacts, look, progress
from tuner_app.run_list import Listed, listed, log_tail
from tuner_app.store import Store, runs
from tuner_app.store.run_rows import Run
from tuner_app.times import ago

MOST_FOLLOWED = 32
LOG_LINES = 40


class Followed:
    """The facts of the runs that are looked at: of each only what is new is read."""

    def __init__(self) -> None:
        self._facts: OrderedDict[str, RunFacts] = OrderedDict()
        self._lock = Lock()

    def of(self, store: Store, name: str) -> tuple[Run, RunFacts]:
        """The run and all that it has reported; a UserError where there is no such run."""
        with self._lock:
            facts = self._facts.setdefault(name, RunFacts())
            self._facts.move_to_end(name)
            if len(self._facts) > MOST_FOLLOWED:
                self._facts.popitem(last=False)
            while True:
                run, page = look(store, name, facts.last)
                facts.add(page)
                if len(page) < PAGE:
                    return run, facts


@dataclass(frozen=True)
class Shown:
    """All that the tab shows: the list, what can be chosen of it as (title, name), the run that is open, and
    what can be done with it."""

    choices: tuple[tuple[str, str], ...]
    name: str
    table: Safe
    panel: Safe
    log: Safe
    may_pause: bool = False
    may_resume: bool = False
    may_stop: bool = False
    remedy: str = ""

    @property
    def seal(self) -> str:
        """Which of what it shows is the same: of what can be chosen, and of all."""
        parts = (self.name, self.choices), self
        seals = [sha256(repr(part).encode()).hexdigest()[:16] for part in parts]
        return " ".join(seals)


def shown(
    store: Store, home: Home, followed: Followed, name: str, words: Words, beside: Sequence[str] = ()
) -> Shown:
    """The list, and the run that is called `name` or has left a model of that name, with the figures of the
    runs `beside` laid over its own; the first of the list where there is none of that name."""
    found = listed(store, home)
    every = {one.run.name: one.run for one in found}
    listing = runs_table(found, words)
    if not every:
        return Shown((), "", listing, Safe(""), Safe(""))
    known = runs.get(store, name)
    name = known.name if known and known.name in every else found[0].run.name
    run, facts = followed.of(store, name)
    offered = remedies.remedy(run)
    others = [one for one in beside if one in every and one != name][:MOST_BESIDE]
    laid_over = [(every[other].title, followed.of(store, other)[1]) for other in others]
    return Shown(
        tuple((each.title, each.name) for each in every.values()),
        name,
        listing,
        panel(run, facts, words, laid_over),
        block("\n".join(log_tail(home.run(name))[-LOG_LINES:])),
        may_pause=run.status in ("queued", "running"),
        may_resume=run.status in ("stopped", "paused", "failed"),
        may_stop=run.status in ("queued", "running"),
        remedy=offered.text if offered else "",
    )


def runs_table(found: Sequence[Listed], said: Words) -> Safe:
    """The runs, a line each."""
    of = said.of_program
    rows = [
        (
            short(one.run.title, 40),
            one.run.method,
            said("runs_after", run=one.waits_for) if one.waits_for else of(STATUS[one.run.status]),
            progress(one.step),
            of(one.left),
            of(words.headline(one.step)) if one.step else "",
            short(one.run.source, 40),
            of(ago(one.run.started)),
        )
        for one in found
    ]
    head = [said(f"runs_{name}") for name in ("run", "method", "status", "step", "left", "latest", "from")]
    head.append(said("runs_started"))
    return joined([table(head, rows, caption=said("runs_list"), empty=said("runs_none"))])


def panel(run: Run, facts: RunFacts, say: Words, beside: Sequence[tuple[str, RunFacts]] = ()) -> Safe:
    """One run: how far it is, what it says, and its figures."""
    spec, of = run.spec, say.of_program
    heading = f"{of(STATUS[run.status])} · {run.title}: {run.method}, {run.source}, "
    heading += str(facts.plan.get("precision", spec["precision"]))
    lines = [Safe(f"<h2>{short(heading, 200)}</h2>")]
    if run.error:
        offered = remedies.remedy(run)
        do = of(f"{offered.text}.") if offered else say("runs_no_remedy")
        lines.append(said(f"{say.of_error(run.error)}\n{do}", "wrong"))
    lines += [said(of(line)) for line in (facts.progress(running=run.status == "running"), *facts.lines)]
    lines += [said(f"! {of(warning)}", "wrong") for warning in facts.warnings]
    lines += [said(of(note), "quiet") for note in facts.notes]
    return joined([*lines, charts(facts, say, beside)])
