"""Which stored examples can stand before a conversation."""

from engine.examples import Demonstration, Message, Pair
from tuner_app.store import Store, examples, shots
from tuner_app.store.table import Filter


def test_demonstrations_alone_the_chosen_first_and_then_the_newest(store: Store) -> None:
    def shown(number: int, **more: str) -> Demonstration:
        turns = ("system", "S"), ("user", f"ask {number}"), ("assistant", f"say {number}")
        return Demonstration(tuple(Message(role, text) for role, text in turns), **more)  # type: ignore[arg-type]

    with_tools = shown(9, tools="[]")
    rows = [*map(shown, range(5)), Pair((Message("user", "?"),), "a", "b"), with_tools]
    examples.add(store, [(row, line) for line, row in enumerate(rows)], source="rows")

    def asks(**how: object) -> list[str]:
        found = shots.offered(store, Filter(text=str(how.pop("text", ""))), **how)  # type: ignore[arg-type]
        return [shot.turns[0].content for shot in found]

    assert asks() == [f"ask {number}" for number in (4, 3, 2, 1, 0)]
    hashes = {shot.turns[0].content: shot.hash for shot in shots.offered(store, Filter())}
    first = (hashes["ask 1"], "gone", hashes["ask 3"])
    assert asks(first=first) == ["ask 1", "ask 3", "ask 4", "ask 2", "ask 0"]
    assert asks(first=first, limit=3) == ["ask 1", "ask 3", "ask 4"]
    assert asks(text="say 2") == ["ask 2"]
    assert asks(text="nobody says") == []
