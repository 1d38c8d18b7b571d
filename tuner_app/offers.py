"""What the form of a run offers to choose from: bases, adapters and reward models, name to text."""

from engine.spec import Method
from tuner_app import bases, launch
from tuner_app.clean import one_line
from tuner_app.store import Store, models, runs
from tuner_app.store.run_rows import AdapterRow


def bases_to_train(store: Store, chosen: str) -> dict[str, str]:
    """The bases to choose from: name to text; `chosen` is one of them."""
    found = {row.name: one_line(row.name, 64) for row in models.bases(store)}
    chosen = bases.find(store, chosen).name
    return found | {name: one_line(name, 64) for name in (chosen, bases.BUILTIN) if name not in found}


def named(known: dict[str, str], base: str) -> str:
    """The name, among the known ones, of a base that the settings name by its folder."""
    name = base.rstrip("/").rsplit("/", 1)[-1]
    return base if base in known else name


def to_go_on_from(store: Store, method: Method, base: str) -> tuple[dict[str, str], dict[str, str]]:
    """The adapters to go on from, and the reward models, of a base, the newest reward first: name to text."""
    of = models.base(store, base)
    parents = [row for row in launch.parents(store, method) if of and row.base_id == of.id]
    rewards = launch.rewards(store, of.id if of else 0)
    return (
        {row.name: one_line(row.name, 64) for row in parents},
        {row.name: _scored(store, row) for row in reversed(rewards)},
    )


def _scored(store: Store, reward: AdapterRow) -> str:
    """A reward model's name, with how often it was right on pairs held out."""
    measured = runs.events(store, reward.run_id, kinds=["evaluation"])
    return one_line(reward.name, 64) + (f", {measured[-1].data['accuracy']:.0%} right" if measured else "")
