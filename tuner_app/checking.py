"""A check before a run, in a process of its own. No torch."""

from dataclasses import replace

from engine.findings import Findings
from tuner_app import launch
from tuner_app.errands import Errand, OnEvent
from tuner_app.machines import ALONE, Machines
from tuner_app.paths import Home
from tuner_app.store import Store


class Checking:
    """A check under way. `findings` waits for its end; `stop`, from any thread, ends it."""

    def __init__(self, store: Store, home: Home, plan: launch.Plan, where: Machines = ALONE) -> None:
        """Start it, on as many processes as the run would have on this machine.

        Raises UserError at once for what can be told without loading the model.
        """
        found = launch.check(store, home, plan, where)
        self._machines, here = where.machines, where.alone()
        asked = {
            "spec": launch.specification(home, plan, found).to_json(),
            "kind": found.method.kind,
            "selection": vars(plan.selection),
            "where": vars(here),
        }
        help = "precision nf4; a lower max_length or micro_tokens; a smaller base"
        self._errand = Errand(home, "check", asked, memory=help)

    def findings(self, on_event: OnEvent = lambda kind, data: None) -> Findings:
        """What was found. `on_event` gets the engine's events; raises UserError when the check failed."""
        found = Findings.from_json(self._errand.answer(on_event))
        if self._machines == 1:
            return found
        said = (
            f"This was tried on this machine alone; {self._machines} take less time, and no more memory each."
        )
        return replace(found, warnings=[said, *found.warnings])

    def stop(self) -> None:
        """End it; it holds nothing that would be lost."""
        self._errand.stop()
