"""A home with a database, data and a tiny model: what tests of whole workers start from."""

from dataclasses import dataclass
from pathlib import Path

from engine.examples import Demonstration, Message, Pair
from tuner_app import launch
from tuner_app.paths import Home
from tuner_app.store import Store, examples, runs
from tuner_app.store.run_rows import Run
from tuner_app.workers import train

PROMPT = "What colour is a lemon?"
ANSWER = "A lemon is yellow."
OPTIONS = {"epochs": 12, "learning_rate": 0.02, "save_every": 2}


@dataclass(frozen=True)
class Place:
    """A home with its store and the folder of a tiny model with a context of 4096 tokens."""

    home: Home
    store: Store
    model: Path

    def plan(self, method: str = "sft", **more: object) -> launch.Plan:
        """A run of a few seconds on the tiny model."""
        values = {"base": str(self.model), "options": OPTIONS} | more
        return launch.Plan(method=method, **values)  # type: ignore[arg-type]

    def run(self, name: str) -> Run:
        """The run as the database has it now."""
        found = runs.get(self.store, name)
        assert found is not None
        return found

    def trained(self, plan: launch.Plan) -> Run:
        """The run that `plan` makes, carried out in this process."""
        run = launch.prepare(self.store, self.home, plan)
        (self.home.run(run.name)).mkdir(parents=True)
        assert train.work(self.home, self.store, run) == 0
        return self.run(run.name)


def new_place(folder: Path, model: Path) -> Place:
    home = Home(folder)
    home.create()
    store = Store.open(home.database, migrate=True)
    prompts = [
        (Message("user", text),) for text in (PROMPT, "Hello!", "How are you today?", "Tell me a story")
    ]
    shown = [Demonstration((*prompt, Message("assistant", ANSWER))) for prompt in prompts]
    pairs = [Pair(prompt, ANSWER, "my name is Ada") for prompt in prompts]
    examples.add(store, [(row, line) for line, row in enumerate([*shown, *pairs])], source="tests")
    return Place(home, store, model)
